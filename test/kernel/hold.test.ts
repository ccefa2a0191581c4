/** Stretches of tiles that memory knows all of, below what it has of a level: rows leave them, and only those are looked for again. */
import { expect, test } from 'bun:test';
import { Fold } from '../../src/kernel/fold.ts';
import { holdRows } from '../../src/kernel/hold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { oneByOne } from './back.ts';
import { bytesOf } from './columns.ts';
import { changeBatch, count, row } from './rows.ts';

const LEVEL_MS = 1;
const ENTITY = 1;
const KEY = 'k';
const ONE = row([1, count(1n)]);

const changeAt = (...tiles: number[]) =>
  changeBatch(
    ...tiles.map((tile): Parameters<typeof changeBatch>[0] => [
      { entity: ENTITY, key: KEY, level: BigInt(LEVEL_MS), tileStart: BigInt(tile) },
      ONE,
    ]),
  );

/** A fold that knows of one key rows 10, 20 and 30, and that there are no others in [0, 40). */
async function holding() {
  const kernel = await loadKernel();
  const fold = new Fold(
    kernel,
    oneByOne(() => null),
  );
  fold.share();
  const bytes = bytesOf(KEY);
  const ranges = [{ levelMs: LEVEL_MS, fromMs: 0, toMs: 40 }];
  holdRows(kernel, ENTITY, { bytes, start: kernel.put(bytes) }, ranges, take => {
    for (const tile of [10, 20, 30]) take(LEVEL_MS, tile, ONE, 0, ONE.length);
  });
  return { fold, isMissing: (tile: number) => fold.missing(changeAt(tile)).length > 0 };
}

test('what is known costs no read, whether there is a row or not, and what is not known does', async () => {
  const { isMissing } = await holding();
  expect([0, 10, 15, 20, 30, 39].filter(isMissing)).toEqual([]);
  expect([-1, 40, 41].filter(isMissing)).toEqual([-1, 40, 41]);
});

test('a row that leaves the middle of a stretch is looked for, and none beside it', async () => {
  const { fold, isMissing } = await holding();
  leaveOldest(fold, 10, 30);
  expect([0, 10, 19, 20, 21, 30, 39].filter(isMissing)).toEqual([20]);
});

test('of a key whose first row leaves that one is looked for, and none before it or behind it', async () => {
  const fold = new Fold(
    await loadKernel(),
    oneByOne(() => null),
  );
  fold.apply(changeAt(10, 20, 30));
  leaveOldest(fold, 20, 30);
  const isMissing = (tile: number) => fold.missing(changeAt(tile)).length > 0;
  expect([-5, 9, 10, 11, 20, 30, 40].filter(isMissing)).toEqual([10]);
});

/** Lets the one row go that is not used again. */
function leaveOldest(fold: Fold, ...used: number[]): void {
  for (let era = 0; era < 3; era++) {
    fold.apply(changeAt(...used));
    for (const _ of fold.dirtyRows());
    fold.settle();
    fold.evict(Number.POSITIVE_INFINITY);
  }
  fold.evict(fold.stateBytes - 1);
  expect(fold.evicted).toBe(1);
}
