import { describe, expect, test } from 'bun:test';
import type { TileRange } from '../../src/plan/window.ts';
import { runOf } from '../../src/store/batch.ts';
import type { Mark, Row, RowRuns, Store } from '../../src/store/store.ts';
import { Random } from '../sim/random.ts';
import { sealedOf } from '../store/addends.ts';
import { rowAt, rowsAt } from './wanted.ts';

export interface StoreBackend {
  name: string;
  /** An empty store, and the same one opened again after `close`. */
  make(): { store: Store; reopen(): Store };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const row = (key: string, levelMs: number, tileStartMs: number, value: string, entity = 1): Row => ({
  entity,
  key: bytes(key),
  levelMs,
  tileStartMs,
  value: bytes(value),
});

/** A mark with a clock that needs all of an int64's digits. */
const at = (position: number): Mark => ({
  position,
  clocks: new Map([
    ['view', { at: 9_007_199_254_740_993n, since: -9_007_199_254_740_993n, jumps: [9_007_199_254_740_995n] }],
    ['buy', { at: 1n, since: 0n, jumps: [] }],
  ]),
  highest: [{ entity: 1, levelMs: 60_000, tileStartMs: -60_000 }],
});

/** What every store does, whatever is behind it. */
export function storeSuite({ name, make }: StoreBackend): void {
  describe(`store: ${name}`, () => {
    test('an empty store has nothing, at position 0', () => {
      const { store } = make();
      expect(store.mark()).toEqual({ position: 0, clocks: new Map(), highest: [] });
      expect([...store.scan()]).toEqual([]);
      expect(rowAt(store, 1, bytes('a'), 0, 0)).toBeNull();
      expect(store.readRange(1, bytes('a'), 60_000, 0, Number.POSITIVE_INFINITY)).toEqual([]);
    });

    test('a row is read back, and replaced under its address', () => {
      const { store } = make();
      store.commit([row('a', 0, 0, 'one')], at(3));
      expect(rowAt(store, 1, bytes('a'), 0, 0)).toEqual(bytes('one'));
      store.commit([row('a', 0, 0, 'two'), row('b', 0, 0, 'x'), row('a', 0, 0, 'three')], at(5));
      expect(rowAt(store, 1, bytes('a'), 0, 0)).toEqual(bytes('three'));
      expect(store.mark().position).toBe(5);
    });

    test('entities, keys and levels are apart', () => {
      const { store } = make();
      const rows = [row('a', 0, 0, '1'), row('a', 0, 0, '2', 2), row('a', 60_000, 0, '3'), row('ab', 0, 0, '4')];
      store.commit(rows, at(1));
      for (const { entity, key, levelMs, tileStartMs, value } of rows)
        expect(rowAt(store, entity, key, levelMs, tileStartMs)).toEqual(value);
    });

    test('a scan goes on behind an address, whether there is a row or not', () => {
      const { store } = make();
      const long = 'x'.repeat(500);
      const rows = Array.from({ length: 60 }, (_, i) => row(`k${String(i).padStart(2, '0')}`, 60_000, 0, long));
      store.commit(rows, at(1));
      for (const i of [0, 1, 17, 58, 59]) expect([...store.scan(rows[i])]).toEqual(rows.slice(i + 1));
      expect([...store.scan(row('k17', 60_000, 1, ''))]).toEqual(rows.slice(18));
      expect([...store.scan(row('', 0, 0, ''))]).toEqual(rows);
    });

    test('a range has its start, not its end, and ascends', () => {
      const { store } = make();
      const starts = [120_000, -60_000, 0, 60_000, 240_000];
      store.commit(
        starts.map(start => row('a', 60_000, start, String(start))),
        at(1),
      );
      const read = (fromMs: number, toMs: number) =>
        store.readRange(1, bytes('a'), 60_000, fromMs, toMs).map(found => found.tileStartMs);
      expect(read(0, 120_000)).toEqual([0, 60_000]);
      expect(read(-120_000, 1)).toEqual([-60_000, 0]);
      expect(read(60_000, Number.POSITIVE_INFINITY)).toEqual([60_000, 120_000, 240_000]);
      expect(read(120_000, 120_000)).toEqual([]);
      expect(store.readRange(1, bytes('a'), 60_000, 0, 1)).toEqual([row('a', 60_000, 0, '0')]);
    });

    test('any bytes are a key, none included; tile starts reach as far as times', () => {
      const { store } = make();
      const far = 253_402_300_799_000;
      const keys = [[], [0], [0, 0], [255], [0x61, 0], [0x27, 0x22, 0x3b]].map(key => Uint8Array.from(key));
      for (const [n, key] of keys.entries())
        store.commit([{ entity: 7, key, levelMs: 1, tileStartMs: far, value: Uint8Array.of(2, ...key) }], at(n));
      for (const key of keys) expect(rowAt(store, 7, key, 1, far)).toEqual(Uint8Array.of(2, ...key));
      const before = -62_167_219_200_000;
      store.commit([{ entity: 7, key: bytes('a'), levelMs: 1, tileStartMs: before, value: bytes('x') }], at(9));
      expect(store.readRange(7, bytes('a'), 1, before, before + 1)[0]!.tileStartMs).toBe(before);
    });

    test('a commit whose companion fails leaves nothing behind', () => {
      const { store } = make();
      store.commit([row('a', 0, 0, 'old')], at(1));
      const failing = () => {
        throw new Error('no');
      };
      expect(() => store.commit([row('a', 0, 0, 'new'), row('b', 0, 0, 'new')], at(2), failing)).toThrow('no');
      expect([...store.scan()]).toEqual([row('a', 0, 0, 'old')]);
      expect(store.mark().position).toBe(1);
      store.commit([], at(2));
      expect(store.mark().position).toBe(2);
    });

    test('a position does not go back', () => {
      const { store } = make();
      store.commit([], at(5));
      expect(() => store.commit([row('a', 0, 0, 'x')], at(4))).toThrow('rows up to 4 after rows up to 5');
      expect([...store.scan()]).toEqual([]);
    });

    test('rows and position outlive the store', () => {
      const { store, reopen } = make();
      store.commit([row('a', 0, 0, 'x')], at(1));
      store.close();
      const again = reopen();
      expect(again.mark()).toEqual(at(1));
      expect([...again.scan()]).toEqual([row('a', 0, 0, 'x')]);
    });

    test('clear forgets everything', () => {
      const { store } = make();
      store.commit([row('a', 0, 0, 'x')], at(1));
      store.clear();
      expect(store.mark()).toEqual({ position: 0, clocks: new Map(), highest: [] });
      expect([...store.scan()]).toEqual([]);
      store.commit([row('a', 0, 0, 'y')], at(1));
      expect(rowAt(store, 1, bytes('a'), 0, 0)).toEqual(bytes('y'));
    });

    test('clear takes a companion along, and is undone with it', () => {
      const { store } = make();
      store.commit([row('a', 0, 0, 'x')], at(1));
      const failing = () => {
        throw new Error('no');
      };
      expect(() => store.clear(failing)).toThrow('no');
      expect([store.mark().position, [...store.scan()].length]).toEqual([1, 1]);
    });

    test('a rewrite changes values and takes rows away, stretch by stretch, over restarts', () => {
      const { store, reopen } = make();
      const random = new Random(9);
      const values = ['stays', 'changes', 'goes'];
      const rows = Array.from({ length: 30_000 }, (_, i) => row(`key ${i}`, 0, 0, random.pick(values)));
      store.commit(rows, at(1));
      const change = (value: Uint8Array) => {
        const text = new TextDecoder().decode(value);
        return text === 'changes'
          ? bytes(`changed to ${'x'.repeat(random.below(60))}`)
          : text === 'goes'
            ? null
            : value;
      };
      let [place, current, calls] = [store.rewrite(null, change), store, 1];
      for (; place; calls++) {
        if (calls === 1) {
          store.close();
          current = reopen();
        }
        place = current.rewrite(place, change);
      }
      expect(calls).toBeGreaterThan(1);
      const left = new Map([...current.scan()].map(({ key, value }) => [String(key), new TextDecoder().decode(value)]));
      expect(left.size).toBe(rows.filter(({ value }) => new TextDecoder().decode(value) !== 'goes').length);
      for (const { key, value } of rows) {
        const was = new TextDecoder().decode(value);
        expect(left.get(String(key))?.slice(0, 7)).toBe(
          was === 'changes' ? 'changed' : was === 'goes' ? undefined : 'stays',
        );
        expect(rowAt(current, 1, key, 0, 0) === null).toBe(was === 'goes');
      }
      expect(current.mark().position).toBe(1);
    });

    test('a sweep deletes what lies before its horizon, key by key, round and round, over restarts', () => {
      const { store, reopen } = make();
      const rows = [1, 2, 3].flatMap(entity =>
        ['', 'a', 'ab', 'b'].flatMap(key =>
          [0, 60_000].flatMap(level => [-60_000, 0, 60_000].map(start => row(key, level, start, 'x', entity))),
        ),
      );
      store.commit(rows, at(1));
      const horizons = [
        { entity: 1, levelMs: 60_000, beforeMs: 60_000 },
        { entity: 3, levelMs: 60_000, beforeMs: 0 },
      ];
      expect(store.sweep([], 10)).toBe(0);
      expect(store.sweep(horizons, 3)).toBe(6);
      store.close();
      const again = reopen();
      expect(again.sweep(horizons, 2)).toBe(2);
      expect([0, 1, 2, 3, 4].map(() => again.sweep(horizons, 1))).toEqual([1, 1, 1, 1, 0]);
      const isOver = ({ entity, levelMs, tileStartMs }: Row) =>
        horizons.some(h => h.entity === entity && h.levelMs === levelMs && tileStartMs < h.beforeMs);
      expect([...again.scan()]).toEqual(rows.filter(each => !isOver(each)));
      again.commit([row('a', 60_000, -120_000, 'x')], at(2), () => expect(again.sweep(horizons, 10)).toBe(1));
    });

    test('the rows of a key come in one go, range by range, and no others', () => {
      const { store } = make();
      const starts = [-60_000, 0, 60_000, 120_000];
      const rows = ['', 'a', 'ab', 'b'].flatMap(key =>
        [0, 1_000, 60_000].flatMap(level => starts.map(start => row(key, level, start, `${key} ${level} ${start}`))),
      );
      store.commit(rows, at(1));
      const ranges = [
        { levelMs: 0, fromMs: 0, toMs: 1 },
        { levelMs: 1_000, fromMs: 60_001, toMs: Number.POSITIVE_INFINITY },
        { levelMs: 30_000, fromMs: 0, toMs: 60_000 },
        { levelMs: 60_000, fromMs: -60_000, toMs: 0 },
        { levelMs: 60_000, fromMs: 60_000, toMs: 120_000 },
      ];
      for (const key of ['', 'a', 'ab', 'b'])
        expect(texts(store, bytes(key), ranges)).toEqual([
          [0, 0, `${key} 0 0`],
          [1_000, 120_000, `${key} 1000 120000`],
          [60_000, -60_000, `${key} 60000 -60000`],
          [60_000, 60_000, `${key} 60000 60000`],
        ]);
      expect(texts(store, bytes('c'), ranges)).toEqual([]);
      expect(texts(store, bytes('a'), [])).toEqual([]);
    });

    test.each([1, 2, 3])(
      'random commits and sweeps leave what a map of them holds, read in every way: seed %d',
      seed => {
        const { store, reopen } = make();
        const random = new Random(seed);
        // Some values are longer than anything that a store may keep together.
        const valueMax = random.pick([20, 200, 9_000]);
        const model = new Map<string, Row>();
        const now = () => [...model.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, written]) => written);
        for (let position = 1; position <= 30; position++) {
          const rows = Array.from({ length: random.below(200) }, () => randomRow(random, valueMax));
          for (const written of rows) model.set(sortable(written), written);
          store.commit(random.chance(0.3) ? rows : dividedOf(random, rows), at(position));
          if (!random.chance(0.3)) continue;
          const horizon = { entity: 2, levelMs: 60_000, beforeMs: (random.below(40) - 20) * 60_000 };
          let deleted = 0;
          for (const [name, { entity, levelMs, tileStartMs }] of model)
            if (entity === 2 && levelMs === 60_000 && tileStartMs < horizon.beforeMs && model.delete(name)) deleted++;
          expect(store.sweep([horizon], 1_000) + store.sweep([horizon], 1_000)).toBe(deleted);
        }
        expect(model.size).toBeGreaterThan(1_000);
        store.close();
        const again = reopen();
        expect([...again.scan()]).toEqual(now());
        for (const count of [1, 30, 1_000]) {
          const addresses = Array.from({ length: count }, () => randomRow(random, 0));
          const found = rowsAt(again, addresses);
          const values = addresses.map(one => model.get(sortable({ ...one, value: one.key }))?.value ?? null);
          expect(found).toEqual(values);
        }
        for (let n = 0; n < 200; n++) {
          const { entity, key, levelMs, tileStartMs } = randomRow(random, 0);
          const name = sortable({ entity, key, levelMs, tileStartMs, value: key });
          expect(rowAt(again, entity, key, levelMs, tileStartMs)).toEqual(model.get(name)?.value ?? null);
          const toMs = random.chance(0.2) ? Number.POSITIVE_INFINITY : tileStartMs + random.below(20) * 60_000;
          const isIn = (found: Row) =>
            found.entity === entity && Buffer.compare(found.key, key) === 0 && found.tileStartMs >= tileStartMs;
          const wanted = now().filter(found => isIn(found) && found.tileStartMs < toMs);
          const ofLevel = wanted.filter(found => found.levelMs === levelMs);
          expect(again.readRange(entity, key, levelMs, tileStartMs, toMs)).toEqual(ofLevel);
          const ranges = [0, 1_000, 60_000].map(each => ({ levelMs: each, fromMs: tileStartMs, toMs }));
          const read: Omit<Row, 'entity' | 'key'>[] = [];
          again.readKey(entity, key, ranges, (each, start, held, from, to) =>
            read.push({ levelMs: each, tileStartMs: start, value: held.slice(from, to) }),
          );
          expect(read).toEqual(
            wanted.map(found => ({ levelMs: found.levelMs, tileStartMs: found.tileStartMs, value: found.value })),
          );
        }
      },
    );
  });
}

/** As runs, of which some are compressed. */
function dividedOf(random: Random, rows: Row[]): RowRuns {
  const [runs, sealedCount] = [runsOf(random, rows), random.below(3)];
  const sealed = runs.slice(0, sealedCount).map(run => sealedOf(run));
  return { runs: runs.slice(sealedCount), sealed, isBulk: random.chance(0.3) };
}

/** The last row of each address, as runs of some of the addresses each, in parts of any size. */
function runsOf(random: Random, rows: Row[]): Uint8Array<ArrayBuffer>[][] {
  const last = [...new Map(rows.map(each => [sortable(each), each])).values()];
  const runs: Row[][] = Array.from({ length: 1 + random.below(4) }, () => []);
  for (const each of last) random.pick(runs).push(each);
  return runs.map(run => {
    const sorted = run.sort((a, b) => (sortable(a) < sortable(b) ? -1 : 1));
    const parts: Uint8Array<ArrayBuffer>[] = [];
    while (sorted.length > 0) parts.push(...runOf(sorted.splice(0, 1 + random.below(random.pick([2, 300])))));
    return parts;
  });
}

function texts(store: Store, key: Uint8Array, ranges: TileRange[]): [number, number, string][] {
  const found: [number, number, string][] = [];
  store.readKey(1, key, ranges, (levelMs, tileStartMs, held, start, end) =>
    found.push([levelMs, tileStartMs, new TextDecoder().decode(held.subarray(start, end))]),
  );
  return found;
}

function randomRow(random: Random, valueMax: number): Row {
  const key = Uint8Array.from({ length: random.below(3) }, () => random.pick([0, 1, 0x7f, 0x80, 0xff]));
  return {
    entity: 1 + random.below(3),
    key,
    levelMs: random.pick([0, 1_000, 60_000]),
    tileStartMs: (random.below(40) - 20) * 60_000,
    value: new Uint8Array(random.below(valueMax)).fill(2 + random.below(254)),
  };
}

/** An address as text that sorts as addresses do. */
function sortable({ entity, key, levelMs, tileStartMs }: Row): string {
  const number = (n: number) => String(n + 1e9).padStart(12, '0');
  // A separator below every hex digit, so that a key sorts before those that it begins.
  return [number(entity), Buffer.from(key).toString('hex'), number(levelMs), number(tileStartMs)].join('!');
}
