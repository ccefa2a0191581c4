import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { Fault } from '../../src/base/fault.ts';
import { batchOf } from '../../src/store/batch.ts';
import {
  byAddress,
  forgetOldRows,
  hasOldRows,
  integrityOf,
  sqliteRows,
  sqliteStore,
  SWEPT_ROWS_MAX,
} from '../../src/store/sqlite.ts';
import { folders } from '../source/folder.ts';
import { Random } from '../sim/random.ts';
import { storeSuite } from './store.suite.ts';
import { rowAt } from './wanted.ts';
import { concatenating } from '../store/addends.ts';

const folder = folders();

storeSuite({
  name: 'sqlite',
  make() {
    const path = folder();
    const open = () => sqliteStore(new Database(path), concatenating);
    return { store: open(), reopen: open };
  },
});

const PAGE = 8192;

const rowOf = (n: number) => ({
  entity: 1,
  key: Buffer.from('a'),
  levelMs: 1,
  tileStartMs: n,
  value: Buffer.from('x'),
});
const MARK = { position: 1, clocks: new Map(), highest: [] };

test('sqlite: one sweep deletes only so many rows, the oldest first', () => {
  const store = sqliteStore(new Database(':memory:'), concatenating);
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

test('sqlite: rows of an older version are refused, and forgotten where that is wanted', () => {
  const db = new Database(':memory:');
  const written = sqliteStore(db, concatenating);
  written.commit([rowOf(1)], MARK);
  written.close();
  expect(hasOldRows(db)).toBe(false);
  db.run('UPDATE rows_state SET version = 2');
  expect(hasOldRows(db)).toBe(true);
  expect(() => sqliteStore(db, concatenating)).toThrow(
    'rows of version 2 in :memory:; this program reads version 8: a command',
  );
  const failing = () => {
    throw new Error('no');
  };
  expect(() => forgetOldRows(db, failing)).toThrow('no');
  expect(hasOldRows(db)).toBe(true);
  forgetOldRows(db, () => {});
  expect(hasOldRows(db)).toBe(false);
  const store = sqliteStore(db, concatenating);
  expect([store.mark().position, [...store.scan()]]).toEqual([0, []]);
  db.run('UPDATE rows_state SET version = 9');
  expect(hasOldRows(db)).toBe(false);
  expect(() => sqliteStore(db, concatenating)).toThrow('use a newer tilefold');
});

test('sqlite: readers have a read-only handle of their own, and see each commit', () => {
  const path = folder();
  const store = sqliteStore(new Database(path), concatenating);
  const reader = sqliteRows(new Database(path, { readonly: true }), concatenating);
  expect(reader.mark().position).toBe(0);
  store.commit([rowOf(5)], MARK);
  expect([reader.mark().position, rowAt(reader, 1, Buffer.from('a'), 1, 5)]).toEqual([1, Buffer.from('x')]);
  reader.close();
});

test('sqlite: a pack whose bytes are no rows is a fault', () => {
  const db = new Database(':memory:');
  const store = sqliteStore(db, concatenating);
  for (const bytes of [
    [9],
    [1, 1, 1],
    [1, 9, 0, 0],
    [0, 200],
    [0, 1, 7, 200, 1],
    [0, 1, 7, 255, 255, 255, 255, 255, 1],
  ]) {
    const pack = Uint8Array.from(bytes);
    db.run('UPDATE packs SET crc = ?, bytes = ?', [crc32(pack), pack]);
    expect(() => [...store.scan()]).toThrow(
      /^:memory:: a pack of rows is not what was written( \(pack 1, the first\))?; `tilefold rebuild/,
    );
  }
});

test('batch: rows come in order, one for each address, the last', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new Random(seed);
    const [bytes, keyMax] = [
      random.pick([
        [0, 1],
        [0, 1, 0xff],
        [0x61, 0x62, 0x63],
      ]),
      random.pick([2, 5, 30]),
    ];
    const rows = Array.from({ length: random.below(3_000) }, (_, n) => ({
      entity: random.pick([1, 1, 70_000]),
      key: Uint8Array.from({ length: random.below(keyMax) }, () => random.pick(bytes)),
      levelMs: random.pick([0, 60_000]),
      tileStartMs: random.below(5) - 2,
      value: Buffer.from(String(n)),
    }));
    const last = new Map(
      rows.map(row => [[row.entity, Buffer.from(row.key).toString('hex'), row.levelMs, row.tileStartMs].join(), row]),
    );
    const { order, values, valueStarts } = batchOf(rows);
    const found = Array.from(order, i => Buffer.from(values.subarray(valueStarts[i]!, valueStarts[i + 1]!)).toString());
    expect(found).toEqual([...last.values()].sort(byAddress).map(row => row.value.toString()));
  }
});

test('sqlite: a damaged or truncated file is a fault that names it and what mends it', () => {
  const path = folder();
  const db = new Database(path);
  const store = sqliteStore(db, concatenating);
  const random = new Random(1);
  store.commit(
    Array.from({ length: 5_000 }, (_, n) => ({
      ...rowOf(n),
      value: Uint8Array.from({ length: 40 }, () => 2 + random.below(254)),
    })),
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
      const damaged = sqliteStore(again, concatenating);
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
  const page = damage(() => writeFileSync(path, Buffer.from(whole).fill(0xee, 8 * PAGE, 12 * PAGE)));
  isFault(page.error);
  expect(page.found.map(({ offset }) => offset)).toContain(8 * PAGE);
  isFault(damage(() => truncateSync(path, 5 * PAGE + 100)).error);
  isFault(damage(() => writeFileSync(path, 'no database at all'.repeat(100))).error);
});
