import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { Fault } from '../../src/base/fault.ts';
import { integrityOf, sqliteStore, SWEPT_ROWS_MAX } from '../../src/store/sqlite.ts';
import { folders } from '../source/folder.ts';
import { storeSuite } from './store.suite.ts';

const folder = folders();

storeSuite({
  name: 'sqlite',
  make() {
    const path = folder();
    const open = () => sqliteStore(new Database(path));
    return { store: open(), reopen: open };
  },
});

const rowOf = (n: number) => ({
  entity: 1,
  key: Buffer.from('a'),
  levelMs: 1,
  tileStartMs: n,
  value: Buffer.from('x'),
});
const MARK = { position: 1, clocks: new Map(), highest: [] };

test('sqlite: one sweep deletes only so many rows, the oldest first', () => {
  const store = sqliteStore(new Database(':memory:'));
  const count = 2 * SWEPT_ROWS_MAX + 5;
  store.commit(
    Array.from({ length: count }, (_, n) => rowOf(n)),
    MARK,
  );
  const horizons = [{ entity: 1, levelMs: 1, beforeMs: count - 3 }];
  expect(store.sweep(horizons, 10)).toBe(SWEPT_ROWS_MAX);
  expect(store.scan()[Symbol.iterator]().next().value!.tileStartMs).toBe(SWEPT_ROWS_MAX);
  const rest = [1, 2, 3, 4].map(() => store.sweep(horizons, 10));
  expect(rest.reduce((sum, n) => sum + n)).toBe(SWEPT_ROWS_MAX + 2);
  expect([...store.scan()].length).toBe(3);
});

test('sqlite: a damaged or truncated file is a fault that names it and what mends it', () => {
  const path = folder();
  const db = new Database(path);
  const store = sqliteStore(db);
  store.commit(
    Array.from({ length: 20_000 }, (_, n) => rowOf(n)),
    MARK,
  );
  db.run('PRAGMA wal_checkpoint(TRUNCATE)');
  store.close();
  db.close();
  const whole = readFileSync(path);
  const damage = (change: () => void) => {
    writeFileSync(path, whole);
    change();
    let error: unknown = null;
    const again = new Database(path);
    let found: ReturnType<typeof integrityOf> = [];
    try {
      found = integrityOf(again);
      const damaged = sqliteStore(again);
      for (const _ of damaged.scan());
    } catch (thrown) {
      error = thrown;
    }
    return { error, found };
  };
  expect(damage(() => {})).toEqual({ error: null, found: [] });
  const isFault = (error: unknown) => {
    expect(error).toBeInstanceOf(Fault);
    expect((error as Fault).code).toBe('corrupt');
    expect((error as Fault).message).toStartWith(`${path}: `);
    expect((error as Fault).message).toContain('`tilefold rebuild --from-log`');
  };
  const page = damage(() => writeFileSync(path, Buffer.from(whole).fill(0xee, 8 * 4096, 12 * 4096)));
  isFault(page.error);
  expect(page.found.map(({ offset }) => offset)).toContain(8 * 4096);
  isFault(damage(() => truncateSync(path, 5 * 4096 + 100)).error);
  isFault(damage(() => writeFileSync(path, 'no database at all'.repeat(100))).error);
});
