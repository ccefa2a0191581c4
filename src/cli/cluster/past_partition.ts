/** One partition of earlier events, for whoever makes something of them: from where on, and up to where. */
import { Fault } from '../../base/fault.ts';
import { loadKernel } from '../../kernel/instance.ts';
import { passOver } from '../../kernel/late.ts';
import type { Ids } from '../../kernel/layout.ts';
import { layPlan } from '../../kernel/load.ts';
import type { Plan } from '../../plan/plan.ts';
import { leftBehind } from '../../source/group.ts';
import { type Given, Lost, type Outbox } from '../../source/partition.ts';
import { AHEAD_MAX_MS } from '../../source/source.ts';
import type { Agreement } from '../../store/agreed.ts';
import { Backfiller } from '../../work/backfiller.ts';
import type { CourseEpoch } from '../../work/course.ts';
import type { Pace } from '../../work/pace.ts';
import { beginningNote } from '../../work/past.ts';
import { readTakenUp } from '../../work/succession.ts';
import { Tiler, type TilerParts } from '../../work/tiler.ts';
import type { TilingParts } from './tiling.ts';

export interface PastParts extends Pick<TilingParts, 'clock' | 'broker' | 'patience'> {
  agreement: Agreement;
  /** What is begun of the plan that is to come, and that one's number. */
  plan: Plan;
  number: number;
  ids: Ids;
  epoch: CourseEpoch;
  /** The group that shares these partitions, and the topic of events. */
  source: { group: string; topic: string };
  topics: TilerParts['topics'];
  watcher: TilerParts['watcher'];
  pace: Pace;
  /** Shuts out whoever sent for the partition before. */
  outboxOf(partition: number): Promise<Outbox>;
}

export interface OwnedPast {
  backfiller: Backfiller;
  outbox: Outbox;
}

/**
 * @throws Lost where the partition has not taken the plan up yet
 * @throws Fault `expired` where events are gone that are still to be tiled, or the broker has forgotten how far that was
 */
export async function ownPast(parts: PastParts, { partition, low, committed }: Given): Promise<OwnedPast> {
  const { agreement, patience, number, source, clock, plan, ids, epoch, topics, watcher, pace } = parts;
  const [takenUp, beginnings] = await patience(() =>
    Promise.all([agreement.reached('plan', number), agreement.reached('backfilling', number)]),
  );
  const note = takenUp.get(partition);
  // One that was added a moment ago.
  if (note === undefined) throw new Lost(`partition ${partition} has not taken up plan ${number} yet`);
  const { offset: until, clocks } = readTakenUp(note);
  const outbox = await parts.outboxOf(partition);
  const progress = await committed();
  if (!progress && beginnings.has(partition)) throw forgotten(source.group, partition);
  if (progress && progress.next < until && low > progress.next)
    throw leftBehind(source.topic, partition, progress.next);
  const settings = { clock, aheadMaxMs: AHEAD_MAX_MS, shards: epoch.partitions, isUnasked: true };
  const layout = layPlan(await loadKernel(), plan, ids, settings);
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
  return { backfiller: new Backfiller(tiler, until), outbox };
}

/** Beginning again would count again. */
function forgotten(group: string, partition: number): Fault {
  const what = `the group ${group} has begun with partition ${partition}, and the broker has forgotten how far it is`;
  return new Fault('expired', `${what}: offsets.retention.minutes has to be longer than its work stands still`);
}
