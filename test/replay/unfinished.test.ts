/** Files that somebody has not finished: whose they are decides whether they go. */
import { expect, test } from 'bun:test';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { partOf, rowsPathOf, scratchFolder, sweepUnfinished } from '../../src/replay/unfinished.ts';
import { folders } from '../source/folder.ts';

const newFolder = folders();

/** No process has such a number. */
const NOBODY = 2 ** 30;

test('what is left of the dead and of this process goes, what others are writing stays', () => {
  const folder = newFolder();
  mkdirSync(folder);
  const others = [`a.column.${process.ppid}-0-0.part`, `job-3.${process.ppid}-0.rows`, 'a.column'];
  const dead = [`a.column.${NOBODY}-0-0.part`, `job-3.${NOBODY}-0.rows`, `job-3.${NOBODY}-0.rows-wal`];
  for (const name of [...others, ...dead]) writeFileSync(join(folder, name), '');
  for (const path of [partOf(join(folder, 'b.column')), rowsPathOf(folder, 4)]) writeFileSync(path, '');
  expect(sweepUnfinished(folder)).toBe(dead.length + 2);
  expect(readdirSync(folder).sort()).toEqual(others.sort());
});

test('a folder of nobody else leaves those of others that are at work, and not those of the dead', () => {
  const folder = newFolder();
  mkdirSync(folder);
  for (const name of [`${process.ppid}-0-0`, `${NOBODY}-0-0`]) mkdirSync(join(folder, name));
  const made = scratchFolder(folder);
  expect(
    readdirSync(folder)
      .map(name => join(folder, name))
      .sort(),
  ).toEqual([join(folder, `${process.ppid}-0-0`), made].sort());
});
