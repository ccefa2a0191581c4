import { expect, test } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase, openSnapshot, REFUSE } from '../../src/cli/database.ts';
import { folders } from '../source/folder.ts';

const folder = folders();

test('whoever only reads leaves the tables of an older version as they are, and says so', () => {
  const at = folder();
  mkdirSync(at);
  const path = join(at, 'rows.db');
  const older = openDatabase(path, REFUSE, () => {});
  for (const table of ['timelines', 'timeline_types', 'timeline_chunks']) older.db.run(`DROP TABLE ${table}`);
  older.db.run(
    'DELETE FROM __drizzle_migrations WHERE created_at = (SELECT max(created_at) FROM __drizzle_migrations)',
  );
  older.close();
  expect(() => openSnapshot(path)).toThrow(`${path} was written by an older version`);
  const newer = openDatabase(path, REFUSE, () => {});
  expect(newer.db.query('SELECT count(*) AS n FROM timelines').get()).toEqual({ n: 0 });
  newer.close();
  openSnapshot(path).close();
});
