/** Rows that move from run to run: whatever is written, dropped and changed, they are those of a map; and so is an older database. */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { crc32 } from 'node:zlib';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runOf } from '../../src/store/batch.ts';
import { isOverfull, levelsFrom, levelsOf, type Tail, tailsToJoin } from '../../src/store/levels.ts';
import { PackWalk } from '../../src/store/pack.ts';
import { unsealPack } from '../../src/store/seal.ts';
import { byAddress, sqliteRows, sqliteStore } from '../../src/store/sqlite.ts';
import type { Row } from '../../src/store/store.ts';
import { rowsAt } from '../contract/wanted.ts';
import { Random } from '../sim/random.ts';
import { folders } from '../source/folder.ts';
import { addendOf, addTo, concatenating, rowValue, sealedOf } from './addends.ts';

/** In the long run, seeds go on where the short one ends. */
const SEEDS = process.env.TILEFOLD_LONG ? Array.from({ length: 30 }, (_, i) => i + 1) : [1, 2];

const folder = folders();

const MARK = { position: 1, clocks: new Map(), highest: [] };

/** Values that do not compress, so that a few thousand of them are more than may lie in tails. */
function randomRow(random: Random, keys: number): Row {
  const levelMs = random.pick([0, 60_000, 1_800_000]);
  return {
    entity: random.pick([1, 2]),
    key: Buffer.from(`key ${random.below(keys)}`),
    levelMs,
    tileStartMs: levelMs * random.below(20),
    value: rowValue(random, random.below(400)),
  };
}

const addressText = ({ entity, key, levelMs, tileStartMs }: Omit<Row, 'value'>) =>
  [entity, Buffer.from(key), levelMs, tileStartMs].join();

const plain = (rows: Iterable<Row>) =>
  Array.from(rows, row => `${addressText(row)} ${Buffer.from(row.value).toString('hex')}`);

const sorted = (model: Map<string, Row>) => [...model.values()].sort(byAddress);

test.each(SEEDS)('rows are those of a map, whichever run they are in, seed %p', seed => {
  const random = new Random(seed);
  const path = folder();
  let db = new Database(path);
  let store = sqliteStore(db, concatenating);
  const reader = sqliteRows(new Database(path, { readonly: true }), concatenating);
  const model = new Map<string, Row>();
  const seen = { tails: 0, settled: 0, swept: 0 };
  let beforeMs = 0;
  for (let round = 0; round < 40; round++) {
    const rows = Array.from({ length: random.pick([1, 30, 600]) }, () => randomRow(random, 300));
    for (const row of rows) model.set(addressText(row), row);
    // A horizon moves on, and sweeps of few keys come behind it.
    beforeMs = Math.max(beforeMs, 60_000 * Math.floor(round / 4));
    const [before, horizons] = [tailsIn(db), [{ entity: 1, levelMs: 60_000, beforeMs }]];
    let deleted = 0;
    store.commit(rows, MARK, () => {
      deleted = store.sweep(horizons, random.pick([1, 40, 1000]));
    });
    seen.swept += deleted;
    const [left, tails] = [[...store.scan()], tailsIn(db)];
    const gone = new Set(model.keys()).difference(new Set(left.map(addressText)));
    expect(gone.size).toBe(deleted);
    for (const text of gone) {
      const { entity, levelMs, tileStartMs } = model.get(text)!;
      expect([entity, levelMs, tileStartMs < beforeMs]).toEqual([1, 60_000, true]);
      model.delete(text);
    }
    expect(plain(left)).toEqual(plain(sorted(model)));
    if (random.chance(0.2)) expect(plain(reader.scan(sorted(model)[5]))).toEqual(plain(sorted(model).slice(6)));
    const wanted = [...Array.from({ length: 20 }, () => randomRow(random, 400)), ...rows.slice(0, 20)];
    for (const each of [store, reader])
      expect(rowsAt(each, wanted).map(found => found && Buffer.from(found).toString('hex'))).toEqual(
        wanted.map(row => {
          const found = model.get(addressText(row));
          return found ? Buffer.from(found.value).toString('hex') : null;
        }),
      );
    const { entity, key } = random.pick(rows);
    const ofKey = sorted(model).filter(
      row => row.entity === entity && row.levelMs === 60_000 && Buffer.compare(row.key, key) === 0,
    );
    expect(plain(reader.readRange(entity, key, 60_000, 0, Infinity))).toEqual(plain(ofKey));
    seen.tails = Math.max(seen.tails, tails.length);
    if (tails.some(({ run, size }) => before.some(tail => tail.run === run && tail.size > size))) seen.settled++;
    if (random.chance(0.1)) rewriteAll(store, model);
    if (random.chance(0.1)) {
      store.close();
      db.close();
      [db, store] = reopened(path);
    }
  }
  expect(seen.tails).toBeGreaterThan(3);
  expect(seen.settled).toBeGreaterThan(0);
  expect(seen.swept).toBeGreaterThan(100);
});

test.each(SEEDS)('what is added to rows is in them once, and in order, whichever run it is in, seed %p', seed => {
  const random = new Random(seed);
  const path = folder();
  let [db, store] = reopened(path);
  const reader = sqliteRows(new Database(path, { readonly: true }), concatenating);
  const model = new Map<string, Row>();
  let addends = 0;
  for (let round = 0; round < 40; round++) {
    const share = random.pick([0.02, 0.7]);
    const runs = Array.from({ length: 1 + random.below(3) }, () => {
      const rows = Array.from({ length: random.pick([1, 30, 300]) }, () => randomRow(random, 10));
      const last = [...new Map(rows.map(row => [addressText(row), row])).values()];
      return last.map(row => (random.chance(share) ? addendOf(row) : row));
    });
    for (const row of runs.flat()) model.set(addressText(row), addTo(model.get(addressText(row)), row));
    const sealed = runs.map(run => sealedOf(runOf(run)));
    const horizon = { entity: 1, levelMs: 60_000, beforeMs: 60_000 * Math.floor(round / 4) };
    store.commit({ runs: [], sealed, isBulk: random.chance(0.3) }, MARK, () => {
      if (random.chance(0.3)) while (store.sweep([horizon], 1000) > 0);
    });
    const left = new Set(Array.from(store.scan(), addressText));
    for (const [text, row] of model) {
      if (left.has(text)) continue;
      expect([row.entity, row.levelMs, row.tileStartMs < horizon.beforeMs]).toEqual([1, 60_000, true]);
      model.delete(text);
    }
    for (const each of [store, reader]) expect(plain(each.scan())).toEqual(plain(sorted(model)));
    const wanted = Array.from({ length: 40 }, () => randomRow(random, 400));
    expect(rowsAt(reader, wanted)).toEqual(wanted.map(row => model.get(addressText(row))?.value ?? null));
    if (random.chance(0.3)) rewriteAll(store, model);
    if (random.chance(0.1)) {
      store.close();
      db.close();
      [db, store] = reopened(path);
    }
    const [inBase, inTails] = markedIn(db);
    expect(inBase).toBe(0);
    addends = Math.max(addends, inTails);
  }
  expect(addends).toBeGreaterThan(50);
});

/** How many addends packs of the base have, and of tails. */
function markedIn(db: Database): [base: number, tails: number] {
  const counts: [number, number] = [0, 0];
  for (const { isTail, bytes } of db
    .query<{ isTail: 0 | 1; bytes: Uint8Array<ArrayBuffer> }, []>("SELECT first >= x'ff' AS isTail, bytes FROM packs")
    .all())
    for (const walk = new PackWalk().open(unsealPack(bytes, concatenating)); walk.next(); )
      if (walk.isAddend) counts[isTail]++;
  return counts;
}

function reopened(path: string): [Database, ReturnType<typeof sqliteStore>] {
  const db = new Database(path);
  return [db, sqliteStore(db, concatenating)];
}

function tailsIn(db: Database): Tail[] {
  const { levels } = db.query<{ levels: string }, []>('SELECT levels FROM rows_state').get()!;
  return (JSON.parse(levels) as { tails: Tail[] }).tails;
}

/** Short values go, and some are another; of what older runs had nothing may come back. */
function rewriteAll(store: ReturnType<typeof sqliteStore>, model: Map<string, Row>): void {
  const change = (value: Uint8Array) => (value.length < 20 ? null : value.length < 200 ? value.slice(0, -1) : value);
  for (let place = store.rewrite(null, change); place; ) place = store.rewrite(place, change);
  for (const [text, row] of model) {
    const value = change(row.value);
    if (value) model.set(text, { ...row, value });
    else model.delete(text);
  }
}

test('what a database says of its runs is what its packs take', () => {
  const random = new Random(3);
  const db = new Database(':memory:');
  const store = sqliteStore(db, concatenating);
  for (let round = 0; round < 25; round++)
    store.commit(
      Array.from({ length: 300 }, () => randomRow(random, 500)),
      MARK,
      () => store.sweep([{ entity: 1, levelMs: 60_000, beforeMs: 300_000 }], 100),
    );
  const { levels } = db.query<{ levels: string }, []>('SELECT levels FROM rows_state').get()!;
  const { base, tails } = JSON.parse(levels) as { base: number; tails: Tail[] };
  const sizeOf = (from: string, to: string) =>
    db
      .query<{ size: number }, []>(
        `SELECT sum(length(bytes)) AS size FROM packs WHERE first >= ${from} AND first < ${to}`,
      )
      .get()!.size;
  const hex = (run: number) => `x'ff${run.toString(16).padStart(8, '0')}'`;
  expect(base).toBe(sizeOf("x''", "x'ff'"));
  expect(tails.length).toBeGreaterThan(0);
  for (const { run, size } of tails) expect(size).toBe(sizeOf(hex(run), hex(run + 1)));
  const { count } = db
    .query<{ count: number }, []>("SELECT count(DISTINCT substr(first, 1, 5)) AS count FROM packs WHERE first >= x'ff'")
    .get()!;
  expect(count).toBe(tails.length);
});

test('the latest tails of about a size are joined, and only where they are many', () => {
  const tails = (...sizes: number[]): Tail[] => sizes.map((size, run) => ({ run, size }));
  expect(tailsToJoin([])).toBe(0);
  expect(tailsToJoin(tails(5, 5, 5, 5, 5, 5))).toBe(0);
  expect(tailsToJoin(tails(5, 5, 5, 5, 5, 5, 5))).toBe(7);
  expect(tailsToJoin(tails(5, 8, 16, 40, 50, 60, 70))).toBe(3);
  expect(tailsToJoin(tails(5, 11, 40, 100, 500, 2000, 9000))).toBe(2);
  expect(tailsToJoin(tails(5, 5, 5, 5, 5, 5, 5), 7)).toBe(0);
  expect(tailsToJoin(tails(5, 8, 16, 40, 50, 60, 70), 6)).toBe(3);
  expect(isOverfull({ ...levelsOf(10 << 20), tails: tails(3 << 20, 2 << 20) })).toBe(false);
  expect(isOverfull({ ...levelsOf(10 << 20), tails: tails(3 << 20, 3 << 20) })).toBe(true);
});

test('without a base tails may take anything as long as they are few', () => {
  const many = Array.from({ length: 7 }, (_, run) => ({ run, size: 3 << 20 }));
  expect(isOverfull({ ...levelsOf(0), tails: many.slice(1) })).toBe(false);
  expect(isOverfull({ ...levelsOf(0), tails: many })).toBe(true);
});

test('what has come in bulk is merged by later commits, some of it by each', () => {
  const random = new Random(5);
  const db = new Database(':memory:');
  const store = sqliteStore(db, concatenating);
  const model = new Map<string, Row>();
  const commit = (count: number, isBulk: boolean) => {
    // Values that do not compress: what is merged is what it takes in the database.
    const rows = Array.from({ length: count }, () => ({
      ...randomRow(random, 1e9),
      value: rowValue(random, 20_000),
    }));
    for (const row of rows) model.set(addressText(row), row);
    store.commit({ runs: [runOf(rows)], sealed: [], isBulk }, MARK);
    return tailsIn(db).length;
  };
  // The first rows are the base. The others are as many runs, and half a base may lie in these: not of what comes in bulk.
  expect(Array.from({ length: 13 }, () => commit(200, true))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const sizes = () => tailsIn(db).map(({ size }) => size);
  const inTails = () => sizes().reduce((sum, size) => sum + size, 0);
  const before = inTails();
  commit(1, false);
  const left = inTails();
  expect(left).toBeGreaterThan(25 << 20);
  expect(before - left).toBeGreaterThan(12 << 20);
  // Small ones are joined meanwhile, beside large ones that are left.
  for (let n = 0; n < 20 && inTails() > 10 << 20; n++) expect(commit(1, false)).toBeLessThan(21);
  for (let n = 0; n < 10; n++) commit(1, false);
  expect(sizes().length).toBeLessThan(8);
  expect(plain(store.scan())).toEqual(plain(sorted(model)));
});

test('of runs that have come in bulk many are joined all the same', () => {
  const random = new Random(6);
  const db = new Database(':memory:');
  const store = sqliteStore(db, concatenating);
  const counts = Array.from({ length: 27 }, () => {
    store.commit(
      { runs: [runOf([{ ...randomRow(random, 1e9), value: rowValue(random, 200) }])], sealed: [], isBulk: true },
      MARK,
    );
    return tailsIn(db).length;
  });
  expect(counts.slice(0, 25)).toEqual(Array.from({ length: 25 }, (_, i) => i));
  expect(counts[25]).toBe(1);
});

test('what has come in bulk is brought together little by little, with all that follows', () => {
  const [db, store] = reopened(folder());
  const random = new Random(9);
  const model = new Map<string, Row>();
  const commit = (count: number, isBulk: boolean) => {
    const rows = Array.from({ length: count }, () => ({ ...randomRow(random, 1e9), value: rowValue(random, 40_000) }));
    for (const row of rows) model.set(addressText(row), row);
    store.commit({ runs: [], sealed: [sealedOf(runOf(rows))], isBulk }, MARK);
    return levelsFrom(db.query<{ levels: string }, []>('SELECT levels FROM rows_state').get()!.levels);
  };
  for (let n = 0; n < 10; n++) expect(commit(100, true).base).toBe(0);
  const { base, tails } = commit(1, false);
  // Of forty million bytes sixteen, about.
  expect(base).toBeGreaterThan(10e6);
  expect(base).toBeLessThan(20e6);
  expect(tails.length).toBeGreaterThan(6);
  expect(plain(store.scan())).toEqual(plain(sorted(model)));
  for (let n = 0; !store.isSettled(); n++) {
    expect(n).toBeLessThan(12);
    commit(0, false);
  }
  expect(plain(store.scan())).toEqual(plain(sorted(model)));
});

test.each([6, 7])('a database of version %p, whose packs are frames of zstd, is read, and written to', version => {
  const path = folder();
  const [first, writer] = reopened(path);
  const random = new Random(version);
  const row = { ...randomRow(random, 1), value: rowValue(random, 200) };
  writer.commit([row], MARK);
  for (const { id, bytes } of first
    .query<{ id: number; bytes: Uint8Array<ArrayBuffer> }, []>('SELECT id, bytes FROM packs')
    .all()) {
    const frame = Bun.zstdCompressSync(unsealPack(bytes, concatenating));
    first.run('UPDATE packs SET crc = ?, bytes = ? WHERE id = ?', [crc32(frame), frame, id]);
  }
  first.run('UPDATE rows_state SET version = ?', [version]);
  const reader = sqliteRows(new Database(path, { readonly: true }), concatenating);
  expect([...reader.scan()]).toEqual([row]);
  const [db, store] = reopened(path);
  expect(db.query('SELECT version FROM rows_state').get()).toEqual({ version: 8 });
  store.commit({ runs: [], sealed: [sealedOf(runOf([addendOf(row)]))], isBulk: false }, MARK);
  for (const each of [reader, store]) expect([...each.scan()]).toEqual([addTo(row, addendOf(row))]);
});

/** Written by the program before packs were compressed (version 5): 3,000 rows, of which some replace others. */
const VERSION_5 = join(import.meta.dir, 'version5.db.gz');

test('a database whose packs are not compressed is read, and written to', () => {
  const path = join(folder(), '..', `version5-${process.pid}.db`);
  writeFileSync(path, Bun.gunzipSync(readFileSync(VERSION_5)));
  const model = new Map<string, Row>();
  for (let i = 0; i < 3000; i++) {
    const levelMs = i % 3 === 0 ? 0 : 60_000;
    const address = { entity: 1 + (i % 2), key: Buffer.from(`key ${(i * 7919) % 500}`), levelMs };
    const row = { ...address, tileStartMs: levelMs * (i % 11), value: Buffer.from(`value ${i}`) };
    model.set(addressText(row), row);
  }
  const reader = sqliteRows(new Database(path, { readonly: true }), concatenating);
  expect(plain(reader.scan())).toEqual(plain(sorted(model)));
  const [db, store] = reopened(path);
  expect(store.mark()).toMatchObject({ position: 3000, clocks: new Map([['view', { at: 5n, since: 1n, jumps: [] }]]) });
  expect(plain(store.scan())).toEqual(plain(sorted(model)));
  const random = new Random(5);
  for (let round = 0; round < 12; round++) {
    const rows = Array.from({ length: 400 }, () => randomRow(random, 500));
    for (const row of rows) model.set(addressText(row), row);
    store.commit(rows, { ...MARK, position: 3001 });
    expect(plain(reader.scan())).toEqual(plain(sorted(model)));
  }
  store.close();
  db.close();
  expect(plain(reopened(path)[1].scan())).toEqual(plain(sorted(model)));
});
