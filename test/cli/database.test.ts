import { expect, test } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase, openSnapshot, REFUSE } from '../../src/cli/alone/database.ts';
import { migrations } from '../../src/meta/migrations.ts';
import { olderDatabase } from '../meta/older.ts';
import { folders } from '../source/folder.ts';

const folder = folders();

function newPath(): string {
  const at = folder();
  mkdirSync(at);
  return join(at, 'rows.db');
}

/** What tables and indexes there are, each as it was made. */
function schemaOf({ db }: ReturnType<typeof openDatabase>): unknown[] {
  return db
    .query("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE '%drizzle%' ORDER BY type, name")
    .all();
}

test.each(migrations.map((_, count) => count))('a database of the first %d migrations becomes one of today', count => {
  const path = newPath();
  olderDatabase(path, count);
  const mended = openDatabase(path, REFUSE, () => {});
  const fresh = openDatabase(newPath(), REFUSE, () => {});
  expect(schemaOf(mended)).toEqual(schemaOf(fresh));
  expect(schemaOf(mended).length).toBeGreaterThan(10);
  mended.close();
  fresh.close();
});

test('whoever only reads leaves the tables of an older version as they are, and says so', () => {
  const path = newPath();
  olderDatabase(path, migrations.length - 1);
  expect(() => openSnapshot(path)).toThrow(`${path} was written by an older version`);
  openDatabase(path, REFUSE, () => {}).close();
  openSnapshot(path).close();
});
