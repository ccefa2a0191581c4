/** Rows of integers are kept as their numbers: they take little memory, and are the same bytes whenever somebody asks. */
import { expect, test } from 'bun:test';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { Random } from '../sim/random.ts';
import { mergeNaive } from './naive_row.ts';
import { changeBatch, count, extreme, integer, mean, onlyRow, row, type State, sum } from './rows.ts';

const LEVEL = 60_000n;
const TILES = 1000;

async function freshFold(): Promise<Fold> {
  return new Fold(await loadKernel(), () => null);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** What memory holds of each of a thousand tiles of one key that have this row. */
async function bytesEach(features: Uint8Array): Promise<number> {
  const fold = await freshFold();
  fold.apply(changeBatch([{}, features]));
  const before = fold.stateBytes;
  const tiles = Array.from({ length: TILES }, (_, i): Parameters<typeof changeBatch>[0] => [
    { level: LEVEL, tileStart: BigInt(i) * LEVEL },
    features,
  ]);
  fold.apply(changeBatch(...tiles));
  return (fold.stateBytes - before) / TILES;
}

test('up to eight bytes of numbers stand in the index of rows, and others take a block of their size', async () => {
  // An index has places for up to twice as many rows: here for 1024.
  const index = (24 * 1024) / TILES;
  const around = (bytes: number) => [bytes, bytes + 1];
  const within = async (bytes: number, features: Uint8Array) => {
    const [least, most] = around(bytes + index);
    const each = await bytesEach(features);
    expect(each).toBeGreaterThanOrEqual(least!);
    expect(each).toBeLessThan(most!);
  };
  await within(0, row([1, count(1n)], [2, sum(4000n)], [3, extreme('max', 90_000n)], [4, count(0n)]));
  await within(0, row([1, mean(4000n, 1n)], [2, extreme('min', -1n)], [300, count(1n)]));
  await within(16, row([1, sum(2n ** 54n)], [2, count(64n)]));
  await within(16, row(...Array.from({ length: 16 }, (_, i): [number, State] => [i + 1, count(1n)])));
  // A sum of nine bytes has no outline.
  await within(32, row([1, sum(2n ** 55n)]));
  await within(48, row([1, sum(2n ** 55n)], [2, count(1n)], [3, count(1n)], [4, count(1n)]));
});

/** Numbers at both sides of where one takes a byte more, the ninth among them. */
function edge(rng: Random): bigint {
  if (rng.chance(0.4)) return integer(rng, 60);
  const size = BigInt(7 * (1 + rng.below(8)) - 1);
  const value = 2n ** size - BigInt(rng.below(3));
  return rng.chance(0.5) ? value : -value;
}

function stateFor(id: number, rng: Random): State {
  const cases = [
    () => count(edge(rng)),
    () => sum(edge(rng)),
    () => mean(edge(rng), edge(rng)),
    () => extreme('min', rng.chance(0.1) ? null : edge(rng)),
    () => extreme('max', edge(rng)),
  ];
  return cases[id % cases.length]!();
}

test.each([1, 2, 3])('sets that share rows merge as protobuf messages do, whatever each has, seed %p', async seed => {
  const rng = new Random(seed);
  const fold = await freshFold();
  for (let round = 0; round < 400; round++) {
    const ids = [...new Set(Array.from({ length: 1 + rng.below(8) }, () => pickId(rng)))].sort((a, b) => a - b);
    let wanted: Uint8Array | null = null;
    for (let i = 0; i < 1 + rng.below(6); i++) {
      const part = row(...ids.filter(() => rng.chance(0.6)).map((id): [number, State] => [id, stateFor(id, rng)]));
      if (part.length === 0) continue;
      fold.apply(changeBatch([{}, part]));
      wanted = wanted ? mergeNaive(wanted, part) : part;
      expect(hex(onlyRow(fold))).toBe(hex(wanted));
    }
    fold.settle();
    fold.evict(0);
  }
});

/** Ids of one byte, of two and of three: a row with one of these is kept as it is. */
function pickId(rng: Random): number {
  const greatest = rng.chance(0.05) ? 20_000 : rng.chance(0.3) ? 16_383 : 40;
  return 1 + rng.below(greatest);
}

test('a row of more than 64 numbers is kept as it is', async () => {
  const entries = (size: number) => Array.from({ length: size }, (_, i): [number, State] => [i + 1, count(1n)]);
  const means = (size: number) => Array.from({ length: size }, (_, i): [number, State] => [i + 1, mean(1n, 1n)]);
  for (const [numbers, part] of [
    [63, row(...entries(63))],
    [64, row(...entries(64))],
    [65, row(...entries(65))],
    [64, row(...means(32))],
    [66, row(...means(33))],
    [65, row(...means(32), [100, count(1n)])],
  ] as const) {
    expect((await bytesEach(part)) < 24 * 1.024 + 65).toBe(numbers <= 64);
    const fold = await freshFold();
    fold.apply(changeBatch([{}, part], [{}, part]));
    expect(hex(onlyRow(fold))).toBe(hex(mergeNaive(part, part)));
  }
});

test('beyond 1,024 outlines rows are kept as they are', async () => {
  const fold = await freshFold();
  const bytes: number[] = [];
  for (let id = 1; id <= 1100; id++) {
    const part = row([id, sum(BigInt(id))], [id + 1, count(1n)]);
    fold.apply(changeBatch([{}, part]));
    bytes.push(fold.stateBytes);
    fold.apply(changeBatch([{}, part]));
    expect(hex(onlyRow(fold))).toBe(hex(mergeNaive(part, part)));
    fold.settle();
    fold.evict(0);
  }
  expect(bytes[1023]).toBeLessThan(bytes[1024]!);
  // Those that are known stay known.
  fold.apply(changeBatch([{}, row([7, sum(7n)], [8, count(1n)])]));
  expect(fold.stateBytes).toBe(bytes[6]!);
});
