/** Puts together a process that works in a cluster, as compose.ts does what works on a folder. */
import { Fault } from '../../base/fault.ts';
import type { WorkState } from '../../base/work_metrics.ts';
import type { Member } from '../../source/group.ts';
import type { Broker } from '../../source/kafka.ts';
import { openCassandra } from '../../store/cassandra.ts';
import { patience, patient } from '../../work/patient.ts';
import { SOURCE_PARTITIONS_MAX } from '../../work/tiler.ts';
import { openBackfilling } from './backfilling.ts';
import {
  changelogName,
  errorsName,
  makeChangelog,
  makeComing,
  openBroker,
  scyllaOf,
  sourcesOf,
  type WorkSurroundings,
} from './cluster.ts';
import type { Config, KafkaConfig } from '../config.ts';
import { COURSE_EVERY_MS, CourseReader, noteOthers } from './course.ts';
import { openFolding } from './folding.ts';
import { planOf } from '../plan_cache.ts';
import { Settler } from './settler.ts';
import { isAnyBegun, openTiling } from './tiling.ts';

/** A process of a cluster that tiles and folds. */
export interface Work {
  /** For people: what it works on. */
  what: string;
  state(): Promise<WorkState>;
  /** Writes what is folded, commits, leaves, and lets go of everything. */
  close(): Promise<void>;
}

/** Whoever collects metrics waits for no longer. */
const STANDING_MAX_MS = 2_000;

/**
 * Takes a share of the partitions of events, and of those of the changelog, by what the cluster has agreed on: whatever the
 * folder of definitions says, where the cluster has begun already.
 *
 * @throws Fault where definitions that the cluster would begin with cannot be computed in one
 */
export async function openWork(config: Config, path: string, around: WorkSurroundings): Promise<Work> {
  const { kafka } = config;
  if (!kafka) throw new Fault('config', `${path} has no section kafka, which says where events come from`);
  const settings = scyllaOf(config, path);
  const undo: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const each of undo.splice(0)) await each();
  };
  try {
    const remote = await openCassandra(settings);
    undo.unshift(() => remote.close());
    const reader = await CourseReader.open(remote, async () => ({
      plan: (await planOf(config)).plan,
      partitions: kafka.changelog.partitions,
    }));
    await noteOthers(config, reader.course, around.log);
    const broker = await openBroker(kafka);
    undo.unshift(() => broker.close());
    const sources = () => tiledSources(broker, kafka);
    await sources();
    await makeErrors(broker, kafka);
    const { epoch } = reader.course;
    const { agreement } = remote;
    await makeChangelog(broker, kafka, epoch, await isAnyBegun(remote));
    const rows = patient(remote, around.log);
    const folding = await openFolding({ kafka, fold: config.fold, broker, rows, agreement }, epoch, around);
    undo.unshift(() => folding.close());
    const parts = { kafka, clock: config.log.clock, broker, remote, reader, patience: patience('tiling', around.log) };
    const tiling = await openTiling(parts, around);
    undo.unshift(() => tiling.close());
    const backfilling = openBackfilling(parts, around);
    undo.unshift(() => backfilling.close());
    const settler = new Settler({ ...parts, sources });
    undo.unshift(
      followNowAndThen(async () => {
        const course = await reader.look();
        if (course.comingEpoch) await makeComing(remote, broker, kafka, course.comingEpoch);
        await tiling.follow(course);
        await folding.follow(course, () => settler.isTakenUp('epoch', course.comingEpoch!.number));
        await backfilling.follow(course, () => settler.isTakenUp('plan', course.coming!.number));
        await settler.settle(course);
      }, around),
    );
    const standing = async (): Promise<WorkState['stages']> => [
      { stage: 'tile', ...(await standingOf(tiling.member)) },
      { stage: 'fold', ...(await standingOf(folding.member())) },
    ];
    const nothing = (): WorkState['stages'] => [];
    // Of a broker that is away nothing is known; the rest is told all the same.
    const state = async (): Promise<WorkState> => ({
      stages: await Promise.race([standing().catch(nothing), Bun.sleep(STANDING_MAX_MS).then(nothing)]),
      ...folding.sizes(),
    });
    return {
      what: `${kafka.events} and ${changelogName(kafka, epoch.number)} at ${kafka.brokers.join(', ')}`,
      state,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @returns what ends it, and waits for what is under way */
function followNowAndThen(follow: () => Promise<void>, { log, onFailure }: WorkSurroundings): () => Promise<void> {
  let isOver = false;
  const followed = async () => {
    try {
      await follow();
    } catch (error) {
      // A database or a broker that is away comes back; what it was to say is asked again.
      if (error instanceof Fault && error.code !== 'busy') onFailure(error);
      else
        log.warn(
          { error: (error as Error).message },
          'what the cluster agrees on could not be followed; it is tried again',
        );
    }
  };
  const going = (async () => {
    while (!isOver) {
      await followed();
      await Bun.sleep(COURSE_EVERY_MS);
    }
  })();
  return async () => {
    isOver = true;
    await going;
  };
}

async function standingOf(member: Member): Promise<{ partitions: number; lag: number }> {
  const lags = [...(await member.lags()).values()];
  return { partitions: lags.length, lag: lags.reduce((sum, lag) => sum + lag, 0) };
}

async function tiledSources(broker: Broker, kafka: KafkaConfig): Promise<number> {
  const found = await sourcesOf(broker, kafka);
  if (found <= SOURCE_PARTITIONS_MAX) return found;
  const { events } = kafka;
  throw new Fault('unsupported', `topic ${events} has ${found} partitions, wanted ${SOURCE_PARTITIONS_MAX} at most`);
}

async function makeErrors(broker: Broker, kafka: KafkaConfig): Promise<void> {
  const { replicas, retentionMs } = kafka.changelog;
  const name = errorsName(kafka);
  if ((await broker.partitionsOf(name)) !== null) return;
  // A broker refuses messages of a process whose clock is hours ahead: its own is asked instead.
  const time = { 'message.timestamp.type': 'LogAppendTime' };
  const settings = { 'cleanup.policy': 'delete', 'retention.ms': String(retentionMs), ...time };
  await broker.makeTopic({ name, partitions: 1, replicas, settings });
}
