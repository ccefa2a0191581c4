/** A process's part in making what a plan has begun out of the events before it, while that one is to come into force. */
import { Fault } from '../base/fault.ts';
import { loadKernel } from '../kernel/instance.ts';
import { passOver } from '../kernel/late.ts';
import type { Ids } from '../kernel/layout.ts';
import { layPlan } from '../kernel/load.ts';
import type { Plan } from '../plan/plan.ts';
import { leftBehind } from '../source/group.ts';
import { isOfKafka } from '../source/broker_error.ts';
import { type Given, Lost, type Outbox, type Outgoing, Unsure } from '../source/partition.ts';
import { AHEAD_MAX_MS } from '../source/source.ts';
import { Backfiller } from '../work/backfiller.ts';
import type { Course } from '../work/course.ts';
import { noteOf } from '../work/note.ts';
import { Pace } from '../work/pace.ts';
import { beginningNote, begunBy } from '../work/past.ts';
import { givenUp, readTakenUp, takenUpNote } from '../work/succession.ts';
import { Tiler } from '../work/tiler.ts';
import { backfillGroup, changelogName, codingOf, errorsName, foldGroup, type WorkSurroundings } from './cluster.ts';
import { agreedIds } from './course.ts';
import type { TilingParts } from './tiling.ts';

export interface Backfilling {
  /** Takes a share of what is to be made of earlier events, where something is and all partitions have taken its plan up. */
  follow(course: Course, isTakenUp: () => Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}

export function openBackfilling(parts: TilingParts, around: WorkSurroundings): Backfilling {
  let going: Share | null = null;
  const end = async () => {
    await going?.close();
    going = null;
  };
  return {
    async follow(course, isTakenUp) {
      const begun = begunBy(course);
      const coming = begun && course.coming!;
      if (going && going.plan !== coming?.number) await end();
      if (begun && !going && (await isTakenUp())) going = await openShare(parts, around, course, begun.plan);
      await going?.follow();
    },
    close: end,
  };
}

interface Share {
  /** Its number. */
  plan: number;
  /** Looks after partitions that no events come of. */
  follow(): Promise<void>;
  close(): Promise<void>;
}

/** @param plan what is begun of the one that is coming */
async function openShare(
  { kafka, clock, broker, remote, reader, patience }: TilingParts,
  around: WorkSurroundings,
  course: Course,
  plan: Plan,
): Promise<Share> {
  const { agreement } = remote;
  const coming = course.coming!;
  const { number } = coming;
  const { epoch } = course;
  const { aheadBytes } = kafka.backfill;
  const source = { group: backfillGroup(kafka, number), topic: kafka.events };
  const topics = { changelog: changelogName(kafka, epoch.number), errors: errorsName(kafka) };
  const coding = await codingOf(kafka);
  const ids = await agreedIds(remote, coming.inForce);
  const watcher = { tiled: (events: number) => around.watcher.backfilled(events), bad() {} };
  const outboxes = new Map<number, Outbox>();
  const owned = new Map<number, { backfiller: Backfiller; outbox: Outbox }>();
  /** Partitions whose end is being told, or has been. */
  const told = new Map<number, Promise<void>>();
  const pace = new Pace({
    aheadBytes,
    folded: () => foldedOf(foldGroup(kafka, epoch.number), topics.changelog, broker),
    pause: Bun.sleep,
    nowMs: () => performance.now(),
  });

  async function own({ partition, low, committed }: Given): Promise<Backfiller> {
    const [takenUp, beginnings] = await patience(() =>
      Promise.all([agreement.reached('plan', number), agreement.reached('backfilling', number)]),
    );
    const note = takenUp.get(partition);
    // One that was added a moment ago.
    if (note === undefined) throw new Lost(`partition ${partition} has not taken up plan ${number} yet`);
    const { offset: until, clocks } = readTakenUp(note);
    await outboxes.get(partition)?.close();
    // As tiling does it: first, so that what is committed then is all that ever will be by those before.
    const outbox = await broker.outbox(`${source.group}.${kafka.events}.${partition}`, { ...source, partition });
    outboxes.set(partition, outbox);
    const progress = await committed();
    if (!progress && beginnings.has(partition)) throw forgotten(source.group, partition);
    if (progress && progress.next < until && low > progress.next)
      throw leftBehind(kafka.events, partition, progress.next);
    const layout = await layBegun(plan, ids, { clock, shards: epoch.partitions });
    passOver(layout, clocks);
    const mark = { plan: number, epoch: epoch.number };
    const tiler = new Tiler(
      {
        ...{ lanes: [layout], mark, partition, shards: epoch.partitions, topics, watcher },
        ...{ outbox: pace.over(outbox), isPast: true },
      },
      progress,
      low < until ? low : until,
    );
    // Commits where it begins: from there on nobody begins again.
    await tiler.takeUp();
    if (!beginnings.has(partition))
      await patience(() => agreement.reach('backfilling', number, partition, beginningNote(tiler.next)));
    const backfiller = new Backfiller(tiler, until);
    owned.set(partition, { backfiller, outbox });
    return backfiller;
  }

  /** When rows have all that was made of a partition: a message with nothing in it comes behind that, to each partition of changes. */
  async function tell(partition: number, { known, next }: Tiler, outbox: Outbox): Promise<void> {
    const nothing = Array.from({ length: epoch.partitions }, (_, i) => i).map(
      (to): Outgoing => ({ topic: topics.changelog, partition: to, value: new Uint8Array(0) }),
    );
    const placed = await outbox.send(nothing, { next, note: noteOf(known) });
    if (!(await pace.areFolded(placed))) return;
    const note = takenUpNote({ offset: next, nowMicros: 0n, ...known });
    await patience(() => agreement.reach('backfilled', number, partition, note));
  }

  function tellDone(): void {
    for (const [partition, { backfiller, outbox }] of owned) {
      if (!backfiller.isDone || told.has(partition)) continue;
      const telling = tell(partition, backfiller.tiler, outbox).catch(error => {
        told.delete(partition);
        // Whoever owns it then tells it, or this one when it does so again.
        if (error instanceof Lost || error instanceof Unsure || isOfKafka(error)) owned.delete(partition);
        else onFailure(error);
      });
      told.set(partition, telling);
    }
  }

  /** What no retry helps against is no reason for a process to end that tiles and folds: what is to come is given up. */
  const onFailure = (error: unknown) => {
    if (error instanceof Fault && error.code === 'expired') void giveUp(error).catch(around.onFailure);
    else around.onFailure(error);
  };

  let isGivenUp = false;
  async function giveUp({ message }: Fault): Promise<void> {
    if (isGivenUp) return;
    isGivenUp = true;
    around.log.error(
      { plan: number, error: message },
      'definitions that were to come into force are given up: events are gone that they are to be made of',
    );
    for (;;) {
      const course = await patience(() => reader.look());
      if (course.coming?.number !== number) return;
      if (await patience(() => agreement.decide(course.turn, givenUp(course)!))) return;
    }
  }

  const member = await broker.join({
    ...{ ...source, ...around, coding, own, onFailure, onLost: () => {} },
    dealt: () => owned.clear(),
    fetchBytes: aheadBytes / PARTS_AHEAD,
  });
  return {
    plan: number,
    async follow() {
      tellDone();
      const others = member.partitions().filter(partition => !owned.has(partition));
      await member.renew(others).catch(error => {
        if (!(error instanceof Fault)) throw error;
        onFailure(error);
      });
    },
    async close() {
      pace.end();
      await Promise.all(told.values());
      await member.stop();
      for (const outbox of outboxes.values()) await outbox.close();
    },
  };
}

/** A broker that is away is asked again: what waits has been tiled, and must not be tiled once more. */
async function foldedOf(group: string, topic: string, broker: TilingParts['broker']): Promise<Map<number, bigint>> {
  try {
    const committed = await broker.committed(group, topic);
    return new Map([...committed].map(([partition, { next }]) => [partition, next]));
  } catch (error) {
    if (isOfKafka(error)) return new Map();
    throw error;
  }
}

/** What is fetched at once is a part of what may be under way: several partitions are at it. */
const PARTS_AHEAD = 4;

async function layBegun(plan: Plan, ids: Ids, { clock, shards }: Pick<TilingParts, 'clock'> & { shards: number }) {
  return layPlan(await loadKernel(), plan, ids, { clock, aheadMaxMs: AHEAD_MAX_MS, shards, isUnasked: true });
}

/** Beginning again would count again. */
function forgotten(group: string, partition: number): Fault {
  const what = `the group ${group} has begun with partition ${partition}, and the broker has forgotten how far it is`;
  return new Fault('expired', `${what}: offsets.retention.minutes has to be longer than its work stands still`);
}
