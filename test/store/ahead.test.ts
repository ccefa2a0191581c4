/** Rows that are put away on their way to the database: whoever reads finds them, before, while and after a commit brings them. */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { runOf } from '../../src/store/batch.ts';
import { byAddress, sqliteRows, sqliteStore } from '../../src/store/sqlite.ts';
import type { Row, RowReader } from '../../src/store/store.ts';
import { rowsAt } from '../contract/wanted.ts';
import { Random } from '../sim/random.ts';
import { folders } from '../source/folder.ts';
import { addendOf, addTo, concatenating, packsOf, rowValue, sealedOf } from './addends.ts';

/** In the long run, seeds go on where the short one ends. */
const SEEDS = process.env.TILEFOLD_LONG ? Array.from({ length: 40 }, (_, i) => i + 1) : [1, 2, 3];

const folder = folders();
const bytes = (text: string) => new TextEncoder().encode(text);
const markAt = (position: number) => ({ position, clocks: new Map(), highest: [] });

/** Short ones and ones that do not compress, so that some packs lie as they are. */
function randomRow(random: Random): Row {
  const levelMs = random.pick([0, 60_000]);
  const size = random.pick([0, 3, 40, 900]);
  return {
    entity: random.pick([1, 2]),
    key: bytes(`key ${random.below(60)}`),
    levelMs,
    tileStartMs: levelMs * random.below(6),
    value: rowValue(random, size, random.pick([2, 256])),
  };
}

const nameOf = ({ entity, key, levelMs, tileStartMs }: Omit<Row, 'value'>) =>
  [entity, Buffer.from(key).toString('hex'), levelMs, tileStartMs].join();

type Model = Map<string, Row>;

const lastOf = (rows: Row[]): Row[] => [...new Map(rows.map(row => [nameOf(row), row])).values()];

function addAll(model: Model, rows: Row[]): void {
  for (const row of rows) model.set(nameOf(row), addTo(model.get(nameOf(row)), row));
}

/** Read in every way, it has what the model has. */
function expectRows(reader: RowReader, model: Model, random: Random): void {
  const sorted = [...model.values()].sort(byAddress);
  expect([...reader.scan()]).toEqual(sorted);
  const wanted = Array.from({ length: 80 }, () => randomRow(random));
  expect(rowsAt(reader, wanted)).toEqual(wanted.map(one => model.get(nameOf(one))?.value ?? null));
  const { entity, key } = random.pick(wanted);
  const read: Row[] = [];
  const ranges = [0, 60_000].map(levelMs => ({ levelMs, fromMs: 0, toMs: Number.POSITIVE_INFINITY }));
  reader.readKey(entity, key, ranges, (levelMs, tileStartMs, from, start, end) =>
    read.push({ entity, key, levelMs, tileStartMs, value: from.slice(start, end) }),
  );
  const isIts = (row: Row) => row.entity === entity && Buffer.compare(row.key, key) === 0;
  expect(read).toEqual(sorted.filter(isIts));
}

test.each(SEEDS)('who reads finds the newest of a row, wherever it is, seed %p', seed => {
  const random = new Random(seed);
  const path = folder();
  const db = new Database(path);
  const store = sqliteStore(db, concatenating);
  const other = new Database(path, { readonly: true });
  const beside = sqliteRows(other, concatenating);
  const { ahead } = store;
  /** What the one that puts away sees, and what the database has. */
  const [seen, committed]: [Model, Model] = [new Map(), new Map()];
  let later: Row[] = [];
  const putAway = () => {
    const made = lastOf(Array.from({ length: random.pick([1, 5, 80]) }, () => randomRow(random)));
    const rows = made.map(row => (random.chance(0.5) ? addendOf(row) : row));
    const before = ahead.pendingRows;
    ahead.putAway(packsOf(runOf(rows)), rows.length);
    expect(ahead.pendingRows).toBe(before + rows.length);
    later.push(...rows);
    addAll(seen, rows);
    expectRows(store, seen, random);
  };
  for (let position = 1; position <= 12; position++) {
    for (let n = random.below(4); n >= 0; n--) putAway();
    const leaving = ahead.takeOff();
    expect(ahead.pendingRows).toBe(0);
    // They change in memory meanwhile, which commits those changes behind them, as runs or compressed.
    const dirty = lastOf(Array.from({ length: random.below(30) }, () => randomRow(random)));
    const now = new Map(seen);
    addAll(now, dirty);
    later = [];
    if (random.chance(0.5)) putAway();
    const isRun = random.chance(0.5);
    const rows = {
      runs: isRun ? [runOf(dirty)] : [],
      sealed: isRun ? leaving : [...leaving, sealedOf(runOf(dirty))],
    };
    store.commit({ ...rows, isBulk: random.chance(0.5) }, markAt(position));
    // Rows beside it know of no others than the database has.
    for (const [name, row] of now) committed.set(name, row);
    expectRows(beside, committed, random);
    seen.clear();
    for (const [name, row] of committed) seen.set(name, row);
    addAll(seen, later);
    // What is in the database now is not added to it once more.
    expectRows(store, seen, random);
    ahead.settle();
    expectRows(store, seen, random);
  }
  expect(seen.size).toBeGreaterThan(100);
  for (const one of [store, beside, other, db]) one.close();
});

test('what comes behind all that was put away last is one run with it, and what is taken off is left alone', () => {
  const db = new Database(':memory:');
  const { ahead, ...store } = sqliteStore(db, concatenating);
  const row = (key: string, value = 'x'): Row => ({
    entity: 1,
    key: bytes(key),
    levelMs: 0,
    tileStartMs: 0,
    value: bytes(value),
  });
  const put = (...keys: string[]) => ahead.putAway(packsOf(runOf(keys.map(key => row(key)))), keys.length);
  put();
  expect([ahead.takeOff().length, ahead.pendingRows]).toEqual([0, 0]);
  put('a', 'c');
  put('d', 'k');
  put('k', 'l');
  put('m');
  put('b');
  const [first, second, third, ...more] = ahead.takeOff();
  expect(more).toEqual([]);
  expect([first, second, third].map(run => run!.ends.length)).toEqual([2, 2, 1]);
  // That commit has failed.
  expect(ahead.takeOff().map(run => run.firsts)).toEqual([first, second, third].map(run => run!.firsts));
  // 'z' is behind all of them, which are on their way.
  put('z');
  expect([...store.scan()].map(({ key }) => String.fromCharCode(...key))).toEqual([...'abcdklmz']);
  ahead.settle();
  expect([...store.scan()].map(({ key }) => String.fromCharCode(...key))).toEqual(['z']);
  expect(ahead.takeOff().length).toBe(1);
  db.close();
});

test('what a commit has brought, of which nobody has heard, is not brought once more', () => {
  const db = new Database(':memory:');
  const { ahead, ...store } = sqliteStore(db, concatenating);
  const row: Row = { entity: 1, key: bytes('k'), levelMs: 0, tileStartMs: 0, value: bytes('a') };
  const put = (value: string) => ahead.putAway(packsOf(runOf([addendOf({ ...row, value: bytes(value) })])), 1);
  const valuesNow = () => [...store.scan()].map(({ value }) => String.fromCharCode(...value));
  put('a');
  store.commit({ runs: [], sealed: ahead.takeOff(), isBulk: false }, markAt(1));
  put('b');
  expect(valuesNow()).toEqual(['ab']);
  const leaving = ahead.takeOff();
  expect(leaving.length).toBe(1);
  expect(valuesNow()).toEqual(['ab']);
  store.commit({ runs: [], sealed: leaving, isBulk: false }, markAt(2));
  ahead.settle();
  expect([valuesNow(), ahead.isEmpty]).toEqual([['ab'], true]);
  db.close();
});
