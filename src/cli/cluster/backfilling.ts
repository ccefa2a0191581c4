/** A process's part in making what a plan has begun out of the events before it, while that one is to come into force. */
import { Fault } from '../../base/fault.ts';
import type { Plan } from '../../plan/plan.ts';
import { isOfKafka } from '../../source/broker_error.ts';
import { type Given, Lost, type Outbox, type Outgoing, Unsure } from '../../source/partition.ts';
import type { Backfiller } from '../../work/backfiller.ts';
import type { Course } from '../../work/course.ts';
import { noteOf } from '../../work/note.ts';
import { Pace } from '../../work/pace.ts';
import { begunBy } from '../../work/past.ts';
import { givenUp, takenUpNote } from '../../work/succession.ts';
import type { Tiler } from '../../work/tiler.ts';
import { backfillGroup, changelogName, codingOf, errorsName, foldGroup, type WorkSurroundings } from './cluster.ts';
import { agreedIds } from './course.ts';
import { type OwnedPast, ownPast, type PastParts } from './past_partition.ts';
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
  const watcher = { tiled: (events: number) => around.watcher.backfilled(events), bad() {} };
  const outboxes = new Map<number, Outbox>();
  const owned = new Map<number, OwnedPast>();
  /** Partitions whose end is being told, or has been. */
  const told = new Map<number, Promise<void>>();
  const pace = new Pace({
    aheadBytes,
    folded: () => foldedOf(foldGroup(kafka, epoch.number), topics.changelog, broker),
    pause: Bun.sleep,
    nowMs: () => performance.now(),
  });

  const past: PastParts = {
    ...{ clock, broker, agreement, patience, plan, number, epoch, source, topics, watcher, pace },
    ids: await agreedIds(remote, coming.inForce),
    async outboxOf(partition) {
      await outboxes.get(partition)?.close();
      // As tiling does it: first, so that what is committed then is all that ever will be by those before.
      const outbox = await broker.outbox(`${source.group}.${kafka.events}.${partition}`, { ...source, partition });
      outboxes.set(partition, outbox);
      return outbox;
    },
  };

  async function own(given: Given): Promise<Backfiller> {
    const one = await ownPast(past, given);
    owned.set(given.partition, one);
    return one.backfiller;
  }

  /** When rows have all that was made of a partition: a message with nothing in it comes behind that, to each partition of changes. */
  async function tell(partition: number, { known, next }: Tiler, outbox: Outbox): Promise<void> {
    const nothing = Array.from({ length: epoch.partitions }, (_, to): Outgoing => {
      return { topic: topics.changelog, partition: to, value: new Uint8Array(0) };
    });
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
