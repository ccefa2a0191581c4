/** More events are gathered than memory has room for rows of: those are put away on the way, and everybody finds them. */
import type { Database } from 'bun:sqlite';
import { expect, spyOn, test } from 'bun:test';
import { Fold } from '../../src/kernel/fold.ts';
import { pickedBytes } from '../../src/kernel/gather.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import type { Value } from '../../src/plan/value.ts';
import { Reader } from '../../src/read/read.ts';
import { RunsAhead } from '../../src/store/ahead.ts';
import { PackWalk } from '../../src/store/pack.ts';
import { unsealPack } from '../../src/store/seal.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { parseLog } from '../oracle/log.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine, rowMap } from '../sim/engine.ts';
import { body, smallWeek, tame } from '../sim/flights.ts';
import { compareAnswer, everything, type Keys, keysOf } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';
import { folders } from '../source/folder.ts';
import { openBeside, openFolding } from './beside.ts';

const plan = flightsPlan();
const lines = tame(await smallWeek(40, 4));
/** Far less than the rows of these flights occupy. */
const LITTLE_BYTES = 200 << 10;

const folder = folders();

test.each([
  [1, LITTLE_BYTES],
  [2, LITTLE_BYTES],
  [3, 4 * LITTLE_BYTES],
])(
  'lookups and later events see what is put away, whether it is written yet or not, seed %p, %p bytes',
  async (seed, memoryBytes) => {
    const random = new Random(seed);
    const gathering = spyOn(Fold.prototype, 'beginGathering');
    const beside = openBeside(folder(), random);
    const { store, rows } = beside;
    const { engine, layout, fold } = await openFolding(plan, beside, memoryBytes);
    const position = () => engine.folded - 1;
    const reader = new Reader({ layout, fold, store: rows, position, nowMicros: () => engine.greatestClock()! });
    const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const keys = keysOf(log);
    const someOf = (all: Value[][]) => Array.from({ length: 20 }, () => random.pick(all));
    let [seen, addends] = [0, 0];
    for (let from = 0; from < lines.length; ) {
      const to = Math.min(lines.length, from + 1 + random.below(200));
      await engine.fold(body(lines.slice(from, to)), from, null, true);
      from = to;
      addends = Math.max(addends, addendsIn(beside.db));
      if (rows.ahead.isEmpty || pickedBytes(layout.kernel) > 0) continue;
      const asked: Keys = new Map([...keys].map(([entity, all]) => [entity, someOf(all)]));
      seen += compareAnswer(plan, log, asked, reader.lookup(everything(plan, asked)));
    }
    await engine.barrier();
    expect(seen).toBeGreaterThan(1_000);
    expect(rows.ahead.isEmpty).toBe(true);
    // Some were left unread, and what changed of them has waited in the database for the rows that it belongs to.
    expect(gathering.mock.calls.filter(([leavesUnread]) => leavesUnread).length).toBeGreaterThan(2);
    expect(addends).toBeGreaterThan(100);
    gathering.mockRestore();
    const slow = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
    await slow.ingest.post(body(lines), 'ndjson');
    slow.ingest.barrier();
    expect(rowMap(store)).toEqual(rowMap(slow.store));
    expect(store.mark()).toEqual(slow.store.mark());
    await engine.close();
    await slow.close();
  },
);

function addendsIn(db: Database): number {
  const kernel = packKernel();
  let count = 0;
  for (const { bytes } of db.query<{ bytes: Uint8Array<ArrayBuffer> }, []>('SELECT bytes FROM packs').all())
    for (const walk = new PackWalk().open(unsealPack(bytes, kernel)); walk.next(); ) if (walk.isAddend) count++;
  return count;
}

test('nothing is put away where there is room, nor where somebody waits for events', async () => {
  const putAway = spyOn(RunsAhead.prototype, 'putAway');
  for (const { foldMemoryBytes, inBulk } of [
    { foldMemoryBytes: 1 << 30, inBulk: true },
    { foldMemoryBytes: 1 << 30, inBulk: false },
    { foldMemoryBytes: LITTLE_BYTES, inBulk: true },
  ]) {
    putAway.mockClear();
    const { ingest, folds, close } = await openEngine(plan, {
      ...{ disk: new SimulatedDisk(1), db: memoryDatabase(), foldMemoryBytes },
    });
    let most = 0;
    const evict = spyOn(folds[0]!, 'evict').mockImplementation(target => {
      most = Math.max(most, folds[0]!.stateBytes);
      Fold.prototype.evict.call(folds[0]!, target);
    });
    if (inBulk) await ingest.inBulk(post => post(body(lines), 'ndjson'));
    else for (let i = 0; i < lines.length; i += 500) await ingest.post(body(lines.slice(i, i + 500)), 'ndjson');
    const isLittle = foldMemoryBytes === LITTLE_BYTES;
    expect(putAway.mock.calls.length > 3).toBe(isLittle);
    // Of what a gathering makes memory never has all at once.
    if (isLittle) expect(most).toBeLessThan(3 * LITTLE_BYTES);
    evict.mockRestore();
    await close();
  }
  putAway.mockRestore();
});
