/** What tile levels refuse, and how far events are behind, as the kernels count it: by batches and cut in any way. */
import { describe, expect, test } from 'bun:test';
import { mergeRefusals, REFUSALS_KEPT, type Refusals } from '../../src/base/refusal.ts';
import { advance } from '../../src/ingest/advance.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { behindBounds, behindCounts, takeRefused } from '../../src/kernel/late.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { AHEAD_MAX_MS } from '../../src/source/source.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { lateIn } from '../oracle/late.ts';
import { parseLog } from '../oracle/log.ts';
import { countedIds, EVENT_CLOCK } from '../sim/engine.ts';
import { body, smallWeek, wild } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';

const plan = flightsPlan();
const SEED = 20010312;
const week = await smallWeek(10, 7);

/** Folds lines that have passed the door in batches of any size, and takes what was refused after some of them. */
async function foldCut(lines: Uint8Array[], random: Random) {
  const kernel = await loadKernel();
  const layout = layPlan(kernel, plan, countedIds(plan), { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
  const decoder = new Decoder(kernel, layout.types);
  const pipeline = { layout, folds: [new Fold(kernel, null)] };
  const taken = new Map<string, Refusals>();
  const take = () => {
    for (const { group, level, ...refusals } of takeRefused(layout)) {
      const place = `${group} ${level}`;
      const before = taken.get(place);
      taken.set(place, before ? mergeRefusals(before, refusals) : refusals);
    }
  };
  for (let from = 0; from < lines.length; ) {
    const to = Math.min(lines.length, from + 1 + random.below(random.chance(0.3) ? 2000 : 9));
    decoder.fill(body(lines.slice(from, to)));
    for (let at = from; at < to; at += decoder.count) {
      decoder.next(at, null);
      advance(pipeline);
      if (random.chance(0.5)) take();
    }
    from = to;
  }
  take();
  expect(takeRefused(layout)).toEqual([]);
  return { layout, taken };
}

test(`every event is refused once at each level, however batches are cut; seed ${SEED}`, async () => {
  const random = new Random(SEED);
  const log = parseLog(body(wild(week, SEED)), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const lines = wild(week, SEED);
  const accepted = log.records.map(({ line }) => lines[line - 1]!);
  const wanted = lateIn(plan, log);
  expect(wanted.length).toBeGreaterThan(10);
  expect(wanted.some(({ count }) => count > 10 * REFUSALS_KEPT)).toBe(true);
  for (let run = 0; run < 3; run++) {
    const { layout, taken } = await foldCut(accepted, random);
    const names = new Map([...layout.ids.aggregates].map(([name, id]) => [id, name]));
    const text = ({ position, timeMicros, clockMicros }: Refusals['first']) =>
      `${position} ${timeMicros} ${clockMicros}`;
    const found = [...taken].flatMap(([place, { count, first, latest }]) => {
      const [group, level] = place.split(' ').map(Number) as [number, number];
      const { members, levels } = layout.groups[group]!.group;
      return members.map(({ id }) => ({
        ...{ aggregate: names.get(id)!, event: 'flight', levelMs: levels[level]!.levelMs, count },
        ...{ first: text(first), latest: latest.map(text) },
      }));
    });
    const byPlace = (a: (typeof found)[0], b: (typeof found)[0]) =>
      a.aggregate < b.aggregate ? -1 : a.aggregate > b.aggregate ? 1 : a.levelMs - b.levelMs;
    expect(found.sort(byPlace)).toEqual(wanted);
  }
});

test('good events are counted by how far they are behind the clock of their type', async () => {
  const lines = wild(week, SEED + 1);
  const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const accepted = log.records.map(({ line }) => lines[line - 1]!);
  const { layout } = await foldCut(accepted, new Random(SEED));
  const bounds = behindBounds(layout.kernel);
  expect(bounds).toEqual([0, 1e5, 1e6, 1e7, 6e7, 6e8, 36e8, 216e8, 864e8, 6048e8]);
  const counts = new Array<number>(bounds.length + 2).fill(0);
  for (const { type, bad, time, clock } of log.records) {
    if (type !== 'flight' || bad !== null) continue;
    const behind = Math.max(0, Number(clock! - time));
    const bucket = bounds.findIndex(bound => behind <= bound);
    counts[bucket < 0 ? bounds.length : bucket]!++;
    counts[bounds.length + 1]! += behind;
  }
  expect(counts.filter(count => count > 0).length).toBeGreaterThan(6);
  expect(behindCounts(layout)).toEqual(counts);
});

describe('lots that are put together', () => {
  test('are the same in any order', () => {
    const one = (position: number) => ({ position, timeMicros: BigInt(position), clockMicros: 9n });
    const random = new Random(SEED);
    for (let run = 0; run < 50; run++) {
      const positions = Array.from({ length: 1 + random.below(20) }, (_, i) => i * 3 + random.below(3));
      const lots = positions.map((position): Refusals => ({ count: 1, first: one(position), latest: [one(position)] }));
      while (lots.length > 1) {
        const [a] = lots.splice(random.below(lots.length), 1);
        const at = random.below(lots.length);
        lots[at] = random.chance(0.5) ? mergeRefusals(a!, lots[at]!) : mergeRefusals(lots[at]!, a!);
      }
      expect(lots[0]).toEqual({
        count: positions.length,
        first: one(positions[0]!),
        latest: positions.slice(-REFUSALS_KEPT).map(one),
      });
    }
  });
});
