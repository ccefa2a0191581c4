import { beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { makeComing } from '../../src/cli/cluster/cluster.ts';
import { DEFAULTS } from '../../src/cli/config.ts';
import { CourseReader } from '../../src/cli/cluster/course.ts';
import { checked, succeeding } from '../../src/cli/cluster/succeeding.ts';
import { compileFolder } from '../../src/compile/compile.ts';
import { planJson } from '../../src/plan/json.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { InForce, Start } from '../../src/plan/transition.ts';
import { keptLevels } from '../../src/plan/window.ts';
import type { Agreement, Decided, Decision } from '../../src/store/agreed.ts';
import { type Course, courseOf, epochDecision } from '../../src/work/course.ts';
import { beginningNote, begunBy, wholeSince } from '../../src/work/past.ts';
import {
  givenUp,
  lanesOf,
  momentOf,
  nextEpoch,
  proposed,
  readTakenUp,
  retired,
  settled,
  settledEpoch,
  takenUpNote,
} from '../../src/work/succession.ts';

const FEATURES = join(import.meta.dir, '../../examples/flights/features');
const DAY_MICROS = 86_400_000_000n;
const NOW = 1_000n * DAY_MICROS;
const AT = momentOf([partition(70, NOW), partition(30, NOW - DAY_MICROS)], NOW, 0);

const KAFKA = {
  ...{ brokers: [], tls: null, sasl: null, protobuf: null, events: 'events', group: 'tilefold' },
  changelog: { topic: 'changes', partitions: 4, replicas: 1, retentionMs: 1 },
  backfill: { aheadBytes: 1 },
};

let all: Plan;
beforeAll(async () => {
  all = await compileFolder(FEATURES, DEFAULTS);
});

function partition(count: number, at: bigint) {
  return { count, clocks: new Map([['flight', { at, since: at - DAY_MICROS, jumps: [] }]]) };
}

/** Of a set only what is called so, with windows up to a length alone. */
function parted(plan: Plan, keep: (feature: Plan['features'][number]) => boolean): Plan {
  const features = plan.features.filter(keep);
  const read = JSON.stringify(features, (_name, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  const aggregates = plan.aggregates.filter(({ name }) => read.includes(`"aggregate":"${name}"`));
  return { ...plan, features, aggregates };
}

const windowed = (plan: Plan) => parted(plan, ({ name }) => !name.endsWith('_lifetime'));
const withoutRoutes = (plan: Plan) => parted(plan, ({ set }) => set !== 'route_delays');

/** In memory, with the contract of the database's. */
function agreement(): Agreement & { decided: Decided } {
  const decided: Decided = { turn: 0, decisions: [] };
  const reached = new Map<string, Map<number, string>>();
  const of = (what: string, number: number) => reached.getOrInsertComputed(`${what} ${number}`, () => new Map());
  return {
    decided,
    turn: async () => decided.turn,
    read: async () => structuredClone(decided),
    async decide(turn, decisions) {
      if (turn !== decided.turn) return false;
      decide(decided, decisions);
      return true;
    },
    reached: async (what, number) => of(what, number),
    async reach(what, number, one, note) {
      if (!of(what, number).has(one)) of(what, number).set(one, note);
    },
  };
}

function decide(decided: Decided, decisions: Decision[]): void {
  decided.turn++;
  const isOther = (one: Decision) => !decisions.some(({ kind, number }) => kind === one.kind && number === one.number);
  decided.decisions = [...decided.decisions.filter(isOther), ...decisions];
}

/** A cluster that has begun, and the next plan of it, proposed. */
async function proposedTo(first: Plan, next: Plan, start: Start) {
  const shared = agreement();
  let last = 0;
  const remote = { agreement: shared, numbers: async (names: unknown[]) => names.map(() => ++last) };
  const { course } = await CourseReader.open(remote, async () => ({ plan: first, partitions: 4 }));
  const change = checked(course, next, AT, start);
  const added = [...change.members].flatMap(([name, { id }]) => (id === null ? [name] : []));
  const numbers = new Map(added.map((name, i) => [name, 100 + i]));
  decide(shared.decided, proposed(course, { plan: next, members: change.members }, numbers, start, NOW));
  const look = () => courseOf(shared.decided)!;
  return { shared, look, change, added, go: (decisions: Decision[] | null) => decide(shared.decided, decisions!) };
}

const idsOf = ({ members }: InForce) => [...members.values()].map(({ id }) => id).sort((a, b) => a - b);

describe('the course of a cluster', () => {
  test('begins once, whoever of many comes first', async () => {
    const shared = agreement();
    let last = 0;
    const remote = { agreement: shared, numbers: async (names: unknown[]) => names.map(() => ++last) };
    const plans = [all, withoutRoutes(all), windowed(all)];
    const readers = await Promise.all(
      plans.map((plan, i) => CourseReader.open(remote, async () => ({ plan, partitions: 4 + i }))),
    );
    expect(shared.decided.turn).toBe(1);
    expect(new Set(readers.map(({ course }) => course.plan.inForce.plan.features.length)).size).toBe(1);
    expect(new Set(readers.map(({ course }) => course.epoch.partitions)).size).toBe(1);
  });

  test('what a newer version has decided ends whoever cannot read it', async () => {
    const { shared } = await proposedTo(withoutRoutes(all), all, 'since-now');
    const [coming] = shared.decided.decisions.filter((one: Decision) => one.state === 'coming');
    coming!.body = coming!.body.replace('"format":1', '"format":2');
    expect(() => courseOf(shared.decided)).toThrow('plan 2 of this cluster was made by a newer version of tilefold');
  });
});

describe('a plan', () => {
  test('is that of one, of many who propose others at once; the same may be proposed by many', async () => {
    const shared = agreement();
    let last = 0;
    const numbered = async (names: unknown[]) => names.map(() => ++last);
    const remote = { agreement: shared, numbers: numbered, newNumbers: numbered, makeTables: async () => [] };
    const broker = { committed: async () => new Map(), partitionsOf: async () => 3 };
    const config = { kafka: KAFKA, log: DEFAULTS.log };
    const others = [all, windowed(withoutRoutes(all)), all, windowed(all)];
    const applied = await Promise.all(
      others.map(async next => {
        const courses = await CourseReader.open(remote, async () => ({ plan: withoutRoutes(all), partitions: 4 }));
        const one = succeeding({ config, remote, broker, courses });
        return one.apply(next, 'since-now').then(
          ({ number }) => number,
          (error: Error) => error.message,
        );
      }),
    );
    const [plans, refused] = [applied.filter(one => one === 2), applied.filter(one => one !== 2)];
    const won = courseOf(shared.decided)!.coming!.inForce.plan;
    expect(plans.length).toBe(others.filter(one => planJson(one) === planJson(won)).length);
    for (const reason of refused) expect(reason).toStartWith('other definitions are being taken up');
    // The course began with a decision, and went on with one.
    expect(shared.decided.turn).toBe(2);
    const courses = await CourseReader.open(remote, async () => ({ plan: all, partitions: 4 }));
    const one = succeeding({ config, remote, broker, courses });
    expect(await one.state()).toMatchObject({ position: 0, waiting: null, taken_up: { partitions: 0, of: 3 } });
    expect(await Promise.all([one.abort(), one.abort()])).toContainEqual({ aborted: true, position: 0 });
    expect([await one.abort(), await one.state()]).toMatchObject([{ aborted: false }, { waiting: null }]);
    expect(courseOf(shared.decided)!.coming).toBeNull();
  });

  test('is in force when all partitions have taken it up, and what is new knows events since then', async () => {
    const { look, go, added, change } = await proposedTo(withoutRoutes(all), all, 'since-now');
    expect([change.added.length, added.length]).toEqual([6, 6]);
    expect(settled(look(), null, NOW, null)).toBeNull();
    const lanes = lanesOf(look());
    expect(lanes.map(({ plan }) => plan.aggregates.length)).toEqual([18]);
    go(settled(look(), AT, NOW, null));
    const { plan, before, coming } = look();
    expect([plan.number, plan.position, before?.number, coming]).toEqual([2, 100, 1, null]);
    expect(plan.inForce.members.get('route_delays:flights')).toMatchObject({
      id: expect.any(Number),
      known: { position: 100, sinceMicros: NOW + 1n },
    });
    expect(plan.inForce.members.get('origin_delays:flights')!.known.sinceMicros).toBeNull();
    go(retired(look()));
    expect(look().before).toBeNull();
    expect(retired(look())).toBeNull();
  });

  test('that gives something up is counted with it as long as that may be asked for', async () => {
    const { look, go } = await proposedTo(all, withoutRoutes(all), 'warm');
    const before = look();
    expect(lanesOf(before).map(({ plan }) => plan.aggregates.length)).toEqual([12, 6]);
    go(settled(before, AT, NOW, null));
    expect(lanesOf(look()).map(idsOf)).toEqual(lanesOf(before).map(idsOf));
    go(retired(look()));
    expect(lanesOf(look()).map(({ plan }) => plan.aggregates.length)).toEqual([12]);
  });

  test('that is made of earlier events is in force when all of these are in rows, and knows what the topic still had', async () => {
    const { look, go, added } = await proposedTo(withoutRoutes(all), all, 'whole');
    expect(begunBy(look())!.plan.aggregates.map(({ name }) => name)).toEqual(added);
    expect(settled(look(), null, NOW, null)).toBeNull();
    go(settled(look(), AT, NOW, null));
    expect([look().plan.number, look().coming!.position]).toEqual([1, 100]);
    expect(settled(look(), AT, NOW, null)).toBeNull();
    const ends = [settled(look(), AT, NOW, new Map()), settled(look(), AT, NOW, new Map([['flight', NOW - 7n]]))];
    const known = ends.map(decisions => {
      return courseOf({ turn: 9, decisions: [...decisions!, epochDecision(look().epoch, 'in force')] })!.plan.inForce
        .members;
    });
    expect(known.map(members => added.map(name => members.get(name)!.known.sinceMicros))).toEqual([
      added.map(() => null),
      added.map(() => NOW - 7n),
    ]);
    for (const members of known) expect(members.get('origin_delays:flights')!.known.sinceMicros).toBeNull();
    go(ends[0]!);
    expect([look().plan.number, begunBy(look())]).toEqual([2, null]);
    expect(begunBy((await proposedTo(all, withoutRoutes(all), 'whole')).look())).toBeNull();
  });

  test('knows of earlier events what is behind the last gap of any partition', () => {
    const note = (offset: bigint, ...of: Parameters<typeof partition>) =>
      takenUpNote({ offset, nowMicros: NOW, ...partition(...of) });
    const nothing = takenUpNote({ offset: 9n, nowMicros: NOW, count: 0, clocks: new Map() });
    const takenUp = new Map([0, 1, 2].map(i => [i, note(9n, 7, NOW + BigInt(i))]));
    const ends = new Map(takenUp);
    const since = (...offsets: bigint[]) =>
      wholeSince({ takenUp, beginnings: new Map(offsets.map((offset, i) => [i, beginningNote(offset)])), ends });
    expect(since(0n, 0n, 0n)).toEqual(new Map());
    expect(since(5n, 0n, 0n)).toEqual(new Map([['flight', NOW - DAY_MICROS]]));
    expect(since(5n, 1n, 0n)).toEqual(new Map([['flight', NOW + 1n - DAY_MICROS]]));
    ends.set(2, nothing);
    expect(since(5n, 1n, 9n)).toEqual(new Map([['flight', NOW + 3n]]));
  });

  test('that needs fewer tiles of what goes on has those of before made until then', async () => {
    const short = parted(all, ({ name }) => /_2h$|_lifetime$/.test(name));
    const { look, go } = await proposedTo(all, short, 'warm');
    const [lane] = lanesOf(look());
    const levelsIn = (plan: Plan) => plan.aggregates.map(one => keptLevels(one, plan));
    expect(levelsIn(lane.plan)).toEqual(levelsIn(all));
    go(settled(look(), AT, NOW, null));
    go(retired(look()));
    expect(levelsIn(lanesOf(look())[0].plan)).toEqual(levelsIn(short));
  });

  test('that wants tiles for longer than rows last counts anew, beside what was there', async () => {
    const short = windowed(parted(all, ({ name }) => !name.endsWith('_5d') && !name.includes('late_rate_5d')));
    const longer = windowed(all);
    const course = (await proposedTo(short, short, 'warm')).look();
    expect(() => checked(course, longer, AT, 'warm')).toThrow(
      'wants tiles for longer than the database keeps those that it has, and so counts anew',
    );
    expect(() => checked(course, all, AT, 'when-warm')).toThrow('has a lifetime, which would count from now on only');
    const { look, go, added } = await proposedTo(short, longer, 'when-warm');
    expect(added.length).toBe(18);
    expect(lanesOf(look()).map(({ plan }) => plan.aggregates.length)).toEqual([18, 18]);
    go(settled(look(), AT, NOW, null));
    const { coming } = look();
    expect(coming!.position).toBe(100);
    // Days of tiles, and a day for the one that has begun.
    const untilMicros = coming!.untilMicros!;
    expect([untilMicros > NOW + 5n * DAY_MICROS, untilMicros < NOW + 7n * DAY_MICROS]).toEqual([true, true]);
    expect(settled(look(), AT, untilMicros - 1n, null)).toBeNull();
    go(settled(look(), AT, untilMicros, null));
    expect([look().plan.number, look().plan.untilMicros]).toEqual([2, null]);
  });

  test('that is given up leaves what was in force, and its number is not had again', async () => {
    const { look, go } = await proposedTo(withoutRoutes(all), all, 'since-now');
    go(givenUp(look()));
    const course: Course = look();
    expect([course.plan.number, course.coming, course.newestPlan]).toEqual([1, null, 2]);
    expect([givenUp(course), settled(course, AT, NOW, null)]).toEqual([null, null]);
  });

  test('is taken up at what a partition notes, to the last digit', () => {
    const one = { offset: 2n ** 60n + 1n, nowMicros: NOW + 1n, ...partition(7, NOW + 3n) };
    expect(readTakenUp(takenUpNote(one))).toEqual(one);
  });
});

test('a changelog is folded when all send to it and the one before is drained, with stamps behind all of that', async () => {
  const { look, go } = await proposedTo(all, all, 'warm');
  go(givenUp(look()));
  go(nextEpoch(look(), 7));
  const tile = (entity: number, levelMs: number, tileStartMs: number) => ({ entity, levelMs, tileStartMs });
  const left = [
    { stamp: 5n, highest: [tile(1, 60, 120), tile(1, 0, 0), tile(2, 60, 60)] },
    { stamp: 9n, highest: [] },
    { stamp: 0n, highest: [tile(1, 60, 180)] },
    { stamp: 7n, highest: [tile(1, 60, -60), tile(2, 60, 60)] },
  ];
  expect(settledEpoch(look(), { takenUp: 2, sources: 3 }, left)).toBeNull();
  expect(settledEpoch(look(), { takenUp: 3, sources: 3 }, left.slice(1))).toBeNull();
  const before = look();
  go(settledEpoch(before, { takenUp: 3, sources: 3 }, left));
  const highest = [tile(1, 60, 180), tile(1, 0, 0), tile(2, 60, 60)];
  expect([look().epoch, look().comingEpoch]).toEqual([{ number: 2, partitions: 7, stamp: 9n, highest }, null]);
  const unknown = settledEpoch(before, { takenUp: 3, sources: 3 }, [{ stamp: 5n, highest: null }, ...left.slice(1)]);
  expect(JSON.parse(unknown![0]!.body)).toMatchObject({ stamp: '9', highest: null });
});

test('a changelog that is to come is made once: when it is gone then it had changes', async () => {
  const topics = new Map<string, number>();
  const broker = {
    partitionsOf: async (topic: string) => topics.get(topic) ?? null,
    makeTopic: async ({ name, partitions }: { name: string; partitions: number }) => {
      topics.set(name, partitions);
    },
  };
  const remote = { agreement: agreement() };
  const epoch = { number: 2, partitions: 7 };
  for (let n = 0; n < 2; n++) await makeComing(remote, broker, KAFKA, epoch);
  expect([...topics]).toEqual([['changes.2', 7]]);
  topics.clear();
  await expect(makeComing(remote, broker, KAFKA, epoch)).rejects.toThrow('topic changes.2, which has changes of this');
  expect(topics.size).toBe(0);
});
