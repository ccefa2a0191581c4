/** The table of aggregates: its page is as it makes it, and what it says of types is what the compiler does. */
import { describe, expect, test } from 'bun:test';
import { aggregatesPage } from '../../scripts/aggregates.ts';
import { AGGREGATES, BY_SPELLING, isLinear } from '../../src/compile/aggregates.ts';
import { KNOWN_FUNCTIONS, REFUSED_FUNCTIONS } from '../../src/compile/unsupported.ts';
import { LINEAR } from '../../src/plan/plan.ts';

test('the page is what `bun scripts/aggregates.ts` makes', async () => {
  expect(await Bun.file(new URL('../../docs/aggregates.md', import.meta.url)).text()).toBe(aggregatesPage());
});

describe('the table', () => {
  const names = AGGREGATES.flatMap(each => each.names);

  test('has each spelling once, known to hints and refused nowhere', () => {
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter(name => !KNOWN_FUNCTIONS.includes(name))).toEqual([]);
    expect(names.filter(name => REFUSED_FUNCTIONS.has(name))).toEqual([]);
  });

  test('has each aggregate of plans once, and says which are linear', () => {
    expect(Object.keys(LINEAR).filter(name => !AGGREGATES.some(each => each.name === name))).toEqual([]);
    for (const each of AGGREGATES) expect(isLinear(each)).toBe(LINEAR[each.name]);
  });

  test('finds by their spelling those that stand behind others in a call', () => {
    for (const [name, { names: own }] of BY_SPELLING) expect(own).toContain(name);
  });
});
