/** Rows in one buffer, and what becomes of rows while they are written. */
import { expect, test } from 'bun:test';
import type { FoldedRow } from '../../src/kernel/folded_row.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { packRows, unpackRows } from '../../src/kernel/packed.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { Random } from '../sim/random.ts';
import { seeds } from '../seeds.ts';
import { oneByOne } from './back.ts';
import { bytesOf, layout } from './columns.ts';
import { runOf } from '../../src/store/batch.ts';
import { byAddress } from '../../src/store/sqlite.ts';
import { damage } from './json_text.ts';
import { type Address, changeBatch, count, row, runRows, statesOf, sum } from './rows.ts';

function told({ entity, key, levelMs, tileStartMs, value }: FoldedRow): string {
  return [entity, Buffer.from(key).toString('hex'), levelMs, tileStartMs, Buffer.from(value).toString('hex')].join();
}

const toldAll = (rows: Iterable<FoldedRow>) => Array.from(rows, told);

function randomRows(rng: Random, length: number): FoldedRow[] {
  const bytes = () => Uint8Array.from({ length: rng.below(60) }, () => rng.below(256));
  return Array.from({ length }, () => ({
    entity: 1 + rng.below(2 ** 31 - 1),
    key: bytes(),
    levelMs: rng.pick([0, 60_000, 2 ** 40]),
    tileStartMs: rng.pick([0, -60_000, 983_664_000_000, -(2 ** 45)]),
    value: bytes(),
  }));
}

test.each([1, 2, 3])('rows come out of a buffer as they went in, wherever it stands, seed %p', seed => {
  const rng = new Random(seed);
  for (const length of [0, 1, 2, 200]) {
    const rows = randomRows(rng, length);
    const packed = packRows(rows);
    expect(toldAll(unpackRows(packed))).toEqual(rows.map(told));
    const moved = new Uint8Array([1, 2, 3, ...packed, 4]).subarray(3, 3 + packed.length);
    expect(toldAll(unpackRows(moved))).toEqual(rows.map(told));
  }
});

test('a snapshot has the rows that are dirty, in order, as packs spell them', async () => {
  const fold = new Fold(await loadKernel(), () => null);
  expect(fold.snapshot().length).toBe(0);
  fold.settle();
  const rng = new Random(4);
  for (let i = 0; i < 300; i++) fold.apply(changeBatch([randomAddress(rng), row([i + 1, sum(5n)])]));
  const rows = fold.dirtyRows().map(each => ({ ...each, value: each.value.slice() }));
  const run = fold.snapshot();
  expect(toldAll(runRows(run))).toEqual(rows.toSorted(byAddress).map(told));
  expect(Buffer.concat(run)).toEqual(Buffer.concat([...runOf(rows)]));
  expect(fold.dirtyCount).toBe(0);
  // It is a copy: what is folded next does not show in it.
  fold.apply(changeBatch([{ key: 'k' }, row([1, sum(7n)])]));
  expect(toldAll(runRows(run))).toEqual(rows.map(told));
});

/** Keys that begin alike, and bytes that addresses spell in another way. */
function randomAddress(rng: Random): Address {
  const key = rng.pick(['k'.repeat(rng.below(40)), 'key '.padEnd(4 + rng.below(9), '\0'), `key ${rng.below(99)}`]);
  const level = rng.pick([0n, 1n, 60_000n, 86_400_000n, 2n ** 47n]);
  const tileStart = rng.pick([0n, 1n, -1n, 256n, 2n ** 40n, -(2n ** 45n), BigInt(rng.below(99_999))]);
  return { entity: rng.pick([1, 2, 70_000]), key, level, tileStart };
}

test('more rows than a part has room for come in several, each once, and none is larger than it has to be', async () => {
  const fold = new Fold(await loadKernel(), () => null);
  const names = Array.from({ length: 300 }, (_, i) => `${i} `.padEnd(40_000, '.'));
  // One row alone may be larger than a part.
  names.push('largest '.padEnd(5 << 20, '.'));
  for (const key of names) fold.apply(changeBatch([{ key }, row([1, sum(5n)])]));
  const parts = fold.snapshot();
  expect(parts.length).toBe(12);
  const largest = parts.filter(part => part.length > (1 << 20) + 50_000);
  expect(largest.length).toBe(1);
  const found = runRows(parts).map(({ key }) => new TextDecoder().decode(key));
  expect(found).toEqual(names.toSorted());
  expect(fold.dirtyCount).toBe(0);
});

test('two snapshots at a time are a mistake of ours', async () => {
  const fold = new Fold(await loadKernel(), () => null);
  fold.snapshot();
  expect(() => fold.snapshot()).toThrow('kernel');
});

test('packed rows that do not end where they say are malformed', async () => {
  const { kernel, lookups } = await layout(flightsPlan());
  const { exports } = kernel;
  const answer = lookups.get('origin')!.index;
  const packed = packRows(
    ['ATL', 'ORD'].map(key => ({
      entity: 1,
      key: bytesOf(key),
      levelMs: 0,
      tileStartMs: 0,
      value: row([1, count(1n)]),
    })),
  );
  const block = kernel.put(new Uint8Array([...packed, ...packed]));
  exports.coverAt(answer, 983_750_400_000_000n, 0);
  exports.startKey(answer, block, 0);
  for (let length = 0; length <= packed.length; length++) {
    const isWhole = length % (packed.length / 2) === 0;
    expect([length, exports.addPackedRows(answer, block, length)]).toEqual([
      length,
      isWhole ? exports.READ_OK.value : exports.READ_MALFORMED.value,
    ]);
  }
  for (const at of [4, 8]) {
    kernel.bytes(block + at, 4).fill(0xff);
    expect(exports.addPackedRows(answer, block, packed.length)).toBe(exports.READ_MALFORMED.value);
  }
});

/** In the long run, seeds go on where the short one ends. */
const SEEDS = seeds(3, 300);

/** Rows by what their heads say; null where one does not end within the bytes. */
function readNaive(packed: Uint8Array): string[] | null {
  const rows: string[] = [];
  let rest = Buffer.from(packed);
  while (rest.length > 0) {
    if (rest.length < 32) return null;
    const [keyLength, length] = [rest.readUInt32LE(4), rest.readUInt32LE(8)];
    if (rest.length < 32 + keyLength + length) return null;
    const key = rest.subarray(32, 32 + keyLength);
    const value = rest.subarray(32 + keyLength, 32 + keyLength + length);
    rows.push(
      told({
        entity: rest.readUInt32LE(0),
        key,
        levelMs: rest.readDoubleLE(16),
        tileStartMs: rest.readDoubleLE(24),
        value,
      }),
    );
    rest = rest.subarray(32 + keyLength + length);
  }
  return rows;
}

test.each(SEEDS)('damaged packed rows: what their heads say, or a fault, in either reader, seed %p', async seed => {
  const rng = new Random(seed);
  const { kernel, lookups } = await layout(flightsPlan());
  const { exports } = kernel;
  const answer = lookups.get('origin')!.index;
  exports.coverAt(answer, 983_750_400_000_000n, 0);
  const outcomes = { read: 0, refused: 0 };
  const inUse: number[] = [];
  for (let round = 0; round < 1500; round++) {
    // Their values are no rows, so that no window takes anything in: it is the heads that are read here.
    const whole = packRows(randomRows(rng, 1 + rng.below(4)).map(one => ({ ...one, value: new Uint8Array(0) })));
    const packed = new Uint8Array(rng.chance(0.1) ? whole : damage(whole, rng));
    const wanted = readNaive(packed);
    outcomes[wanted ? 'read' : 'refused']++;
    if (wanted) expect(toldAll(unpackRows(packed))).toEqual(wanted);
    else expect(() => toldAll(unpackRows(packed))).toThrow('does not end within their');
    const block = kernel.put(packed);
    exports.startKey(answer, block, 0);
    const outcome = exports.addPackedRows(answer, block, packed.length);
    if (!wanted) expect(outcome).toBe(exports.READ_MALFORMED.value);
    else if (wanted.every(text => text.endsWith(','))) expect(outcome).toBe(exports.READ_OK.value);
    exports.release(block, packed.length);
    if (round % 500 === 499) inUse.push(exports.memoryInUse());
  }
  expect(outcomes.read).toBeGreaterThan(200);
  expect(outcomes.refused).toBeGreaterThan(300);
  expect(inUse.at(-1)).toBe(inUse[0]!);
});

/** What a fold ought to do, row by row: counts, and where each row is. */
interface Modelled {
  folded: bigint;
  stored: bigint;
  /** As written by the snapshot in flight. */
  written: bigint | null;
  isDirty: boolean;
  isInMemory: boolean;
}

test.each([5, 6, 7, 8])('folding goes on while rows are written, and rows leave at any time, seed %p', async seed => {
  const rng = new Random(seed);
  const model = new Map<string, Modelled>();
  const nameOf = (key: Uint8Array, levelMs: number, tileStartMs: number) =>
    `${new TextDecoder().decode(key)} ${levelMs} ${tileStartMs}`;
  const readBack = oneByOne((_entity, key, levelMs, tileStartMs) => {
    const known = model.get(nameOf(key, levelMs, tileStartMs));
    if (!known) return null;
    expect(known.isInMemory).toBe(false);
    return known.stored === 0n ? null : row([1, count(known.stored)]);
  });
  const fold = new Fold(await loadKernel(), readBack);
  let isInFlight = false;
  const step: Record<string, () => void> = {
    fold() {
      const changes = Array.from({ length: 1 + rng.below(30) }, (): [Address, Uint8Array] => {
        const [key, level] = [`key ${rng.below(6)}`, rng.pick([0n, 60_000n, 1_800_000n])];
        const tileStart = level === 0n ? 0n : level * BigInt(rng.below(8) - 3);
        const name = nameOf(bytesOf(key), Number(level), Number(tileStart));
        const known = model.get(name) ?? { folded: 0n, stored: 0n, written: null, isDirty: true, isInMemory: true };
        model.set(name, { ...known, folded: known.folded + 1n, isDirty: true, isInMemory: true });
        return [{ key, level, tileStart }, row([1, count(1n)])];
      });
      // The model says that rows come back before they are folded: so all that this batch needs come back first.
      const isBack = new Set(
        changes.map(([{ key, level, tileStart }]) => nameOf(bytesOf(key!), Number(level), Number(tileStart))),
      );
      for (const name of isBack) model.get(name)!.isInMemory = false;
      fold.apply(changeBatch(...changes));
      for (const name of isBack) model.get(name)!.isInMemory = true;
    },
    snapshot() {
      const rows = runRows(fold.snapshot());
      const dirty = [...model].filter(([, { isDirty }]) => isDirty);
      expect(
        new Map(
          rows.map(({ key, levelMs, tileStartMs, value }) => [nameOf(key, levelMs, tileStartMs), statesOf(value)]),
        ),
      ).toEqual(new Map(dirty.map(([name, { folded }]) => [name, [[1, { count: folded }]]])));
      for (const [, each] of dirty) Object.assign(each, { written: each.folded, isDirty: false });
      isInFlight = true;
    },
    settle() {
      fold.settle();
      for (const each of model.values())
        if (each.written !== null) Object.assign(each, { stored: each.written, written: null });
      isInFlight = false;
    },
    evict() {
      fold.evict(0);
      for (const each of model.values()) each.isInMemory &&= each.isDirty || each.written !== null;
      expect(fold.kernel.exports.foldRows()).toBe([...model.values()].filter(({ isInMemory }) => isInMemory).length);
    },
  };
  for (let i = 0; i < 400; i++) {
    const next = rng.pick(['fold', 'fold', 'evict', isInFlight ? 'settle' : 'snapshot']);
    step[next]!();
    expect(fold.dirtyCount).toBe([...model.values()].filter(({ isDirty }) => isDirty).length);
  }
  if (isInFlight) step.settle!();
  step.snapshot!();
  step.settle!();
  step.evict!();
  expect(fold.stateBytes).toBe(0);
  for (const [name, { folded, stored }] of model) expect([name, stored]).toEqual([name, folded]);
});
