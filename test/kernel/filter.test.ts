/** Which rows are read back that are not there: few, however many new keys there are; and none that is there is forgotten. */
import { expect, test } from 'bun:test';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { Random } from '../sim/random.ts';
import { oneByOne } from './back.ts';
import { changeBatch, count, row, statesOf } from './rows.ts';

const TARGET_BYTES = 256 << 10;
const LEVELS = [0n, 60_000n, 7_200_000n, 86_400_000n];

/** A fold before a store of counts, both by address. */
class Stored {
  readonly stored = new Map<string, bigint>();
  readonly folded = new Map<string, bigint>();
  /** Rows that were asked for and are not there. */
  missed = 0;
  fold!: Fold;

  async open(): Promise<this> {
    const readBack = oneByOne((_, key, levelMs, tileStartMs) => {
      const known = this.stored.get(nameOf(new TextDecoder().decode(key), levelMs, tileStartMs));
      if (known === undefined) this.missed++;
      return known === undefined ? null : row([1, count(known)]);
    });
    this.fold = new Fold(await loadKernel(), readBack);
    return this;
  }

  apply(rows: { key: string; level: bigint; tileStart: bigint }[]): void {
    this.fold.apply(changeBatch(...rows.map((at): Parameters<typeof changeBatch>[0] => [at, row([1, count(1n)])])));
    for (const { key, level, tileStart } of rows) {
      const name = nameOf(key, Number(level), Number(tileStart));
      this.folded.set(name, (this.folded.get(name) ?? 0n) + 1n);
    }
  }

  /** Writes what is dirty; with a target rows leave memory. */
  write(targetBytes = Number.POSITIVE_INFINITY): void {
    for (const { key, levelMs, tileStartMs, value } of this.fold.dirtyRows()) {
      const name = nameOf(new TextDecoder().decode(key), levelMs, tileStartMs);
      this.stored.set(name, BigInt((statesOf(value)[0]![1] as { count: bigint }).count));
    }
    this.fold.settle();
    this.fold.evict(targetBytes);
  }
}

function nameOf(key: string, levelMs: number, tileStartMs: number): string {
  return `${key} ${levelMs} ${tileStartMs}`;
}

test('rows of new keys cost no read once rows have left', async () => {
  const of = await new Stored().open();
  const day = 86_400_000n;
  const rowsOf = (key: string, tileStart: bigint) => [
    { key, level: 0n, tileStart: 0n },
    { key, level: day, tileStart },
  ];
  const keys = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `k${from + i}`);
  for (const key of keys(0, 3000)) of.apply(rowsOf(key, 0n));
  of.write(TARGET_BYTES);
  expect(of.fold.evicted).toBeGreaterThan(2000);
  for (const key of keys(3000, 6000)) of.apply(rowsOf(key, 0n));
  // Some are taken for rows that may be there.
  expect(of.missed).toBeLessThan(600);
  of.write(TARGET_BYTES);
  // Of a new day nobody has a row, and of the day before nobody knows any more.
  const before = of.missed;
  for (const key of keys(0, 3000)) of.apply(rowsOf(key, day));
  expect(of.missed - before).toBeLessThan(100);
  of.write(TARGET_BYTES);
  for (const key of keys(6000, 6100)) of.apply(rowsOf(key, 0n));
  expect(of.missed - before).toBeGreaterThanOrEqual(100);
  of.write();
  expect(of.stored).toEqual(of.folded);
});

test.each([1, 2, 3])(
  'rows that leave at any time, tiles in any order, restarts: no row begins anew, seed %p',
  async seed => {
    const random = new Random(seed);
    const of = await new Stored().open();
    for (let round = 0; round < 120; round++) {
      const rows = Array.from({ length: 1 + random.below(200) }, () => {
        const level = random.pick(LEVELS);
        const tile = Math.floor(round / 20) + (random.chance(0.2) ? random.below(5) - 3 : 0);
        return { key: `k${random.below(40 * (round + 1))}`, level, tileStart: level * BigInt(tile) };
      });
      of.apply(rows);
      if (random.chance(0.3)) of.write(random.chance(0.2) ? 0 : 1 << (12 + random.below(6)));
      if (!random.chance(0.03)) continue;
      of.write();
      const highest = of.fold.highest();
      await of.open();
      of.fold.resume(highest);
    }
    of.write();
    expect(of.fold.evicted).toBeGreaterThan(0);
    expect(of.stored).toEqual(of.folded);
  },
);
