import { expect, test } from 'bun:test';
import { together } from '../../src/store/keyed.ts';

test('keys share a statement where one node has them, a hundred at most, and each is in one', () => {
  const keys = Array.from({ length: 450 }, (_, i) => i);
  const asked = together(keys, key => (key % 3 === 0 ? 'a' : 'b'));
  expect(asked.map(some => some.length)).toEqual([100, 50, 100, 100, 100]);
  expect(asked.flat().sort((a, b) => a - b)).toEqual(keys);
  for (const some of asked) expect(new Set(some.map(key => key % 3 === 0)).size).toBe(1);
  expect(together([], () => 'a')).toEqual([]);
});
