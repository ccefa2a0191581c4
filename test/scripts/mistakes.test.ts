import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MUTANTS, suitesFor } from '../../scripts/mistakes.ts';

const ROOT = join(import.meta.dir, '../..');

test('every mistake has its place in the source, once, and suites that are there', async () => {
  const lost: string[] = [];
  for (const { name, file, from, to } of MUTANTS) {
    const path = join(ROOT, file);
    const count = existsSync(path) ? (await Bun.file(path).text()).split(from).length - 1 : 0;
    if (count !== 1) lost.push(`${name}: its place is ${count} times in ${file}`);
    if (from === to) lost.push(`${name}: changes nothing`);
    for (const suite of suitesFor(name)) if (!existsSync(join(ROOT, suite))) lost.push(`${name}: no suite ${suite}`);
  }
  expect(lost).toEqual([]);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});
