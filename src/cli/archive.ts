import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { Fault } from '../base/fault.ts';
import type { Log, LogLevel } from '../base/log.ts';
import { loadKernel } from '../kernel/instance.ts';
import { type Archive, bucketArchive, folderArchive } from '../source/archive.ts';
import { leftBehind, type Member } from '../source/group.ts';
import { Archiver } from '../work/archiver.ts';
import { codingOf, openBroker, sourcesOf } from './cluster/cluster.ts';
import { type Config, loadConfig, parseSize } from './config.ts';
import { graceOf, graceOption, leave, logLevelOption } from './daemon.ts';
import { endWith } from './exit.ts';
import { WALL_PAUSES } from './pauses.ts';
import { archiveBucket, isS3 } from './s3_place.ts';
import { stopSignal } from './signal.ts';

interface Options {
  config: string;
  segmentBytes: number;
  segmentAge: number;
  logLevel: LogLevel;
  grace: number;
}

/** A segment is gathered in memory, of each partition one. */
const SEGMENT_MIN_BYTES = 4 << 10;
const SEGMENT_MAX_BYTES = 256 << 20;
const SEGMENT_DEFAULT_BYTES = 16 << 20;
const SEGMENT_DEFAULT_MS = 300_000;
/** Between two looks at how old segments are that are gathered. */
const TICK_MS = 250;

/** `tilefold archive`: a process of a cluster that keeps events as they are; as many as there are share the partitions. */
export function addArchive(program: Command) {
  program
    .command('archive')
    .description(
      'keep the events of Kafka in a folder or a bucket, as event logs, sharing the partitions with all who do',
    )
    .argument('<place>', 'where they are kept: a folder that all who share the work have, or s3://BUCKET/PREFIX')
    .option('--segment-bytes <size>', 'a segment of this size is made', segmentBytesOf, SEGMENT_DEFAULT_BYTES)
    .option(
      '--segment-age <duration>',
      'so is one whose first event was read this long ago',
      graceOf,
      SEGMENT_DEFAULT_MS,
    )
    .addOption(graceOption('make segments of what is read'))
    .addOption(logLevelOption())
    .action(async (place: string, _options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const { openLog } = await import('./logger.ts');
      const around = { log: openLog(options.logLevel), onFailure: endWith };
      const archive = await openArchive(await loadConfig(options.config), place, options, around);
      const stopped = stopSignal();
      console.log(`tilefold archives ${archive.what}`);
      console.log(`${await stopped}: making segments of what is read, then good-bye`);
      await leave(() => archive.close(), options.grace);
    });
}

function segmentBytesOf(text: string): number {
  const bytes = parseSize(text);
  if (bytes === null || bytes < SEGMENT_MIN_BYTES || bytes > SEGMENT_MAX_BYTES)
    throw new InvalidArgumentError('wanted a size of 4KiB to 256MiB, like 16MiB');
  return bytes;
}

/** @throws Fault `config` where a bucket cannot have one */
async function archiveAt(place: string, config: Config): Promise<Archive> {
  return isS3(place) ? await bucketArchive(archiveBucket(place, config), WALL_PAUSES) : folderArchive(resolve(place));
}

async function openArchive(
  config: Config,
  place: string,
  { config: path, segmentBytes, segmentAge: segmentAgeMs }: Options,
  around: { log: Log; onFailure: (error: unknown) => void },
): Promise<{ what: string; close(): Promise<void> }> {
  const { kafka, log } = config;
  if (!kafka) throw new Fault('config', `${path} has no section kafka, which says where events come from`);
  const archive = await archiveAt(place, config);
  const broker = await openBroker(kafka);
  const { events } = kafka;
  const group = `${kafka.group}.archive`;
  await sourcesOf(broker, kafka);
  const door = await loadKernel();
  const archivers = new Map<number, Archiver>();
  const member: Member = await broker.join({
    ...{ group, topic: events, coding: await codingOf(kafka), ...around, onLost: () => {} },
    dealt(now) {
      for (const partition of archivers.keys()) if (!now.includes(partition)) archivers.delete(partition);
    },
    async own({ partition, low, committed }) {
      const progress = await committed();
      if (progress && low > progress.next) throw leftBehind(events, partition, progress.next);
      if (!progress && low > 0n && (await archive.records(partition, 0)) !== null)
        throw placeLost({ group, events }, partition, archive.name);
      const commit: Member['commit'] = (...of) => member.commit(...of);
      const parts = {
        door,
        archive,
        partition,
        clock: log.clock,
        segmentBytes,
        segmentAgeMs,
        nowMs: () => performance.now(),
      };
      const archiver = new Archiver({ ...parts, commit: one => commit(partition, one) }, progress, low);
      archivers.set(partition, archiver);
      return archiver;
    },
  });
  let ticking: Promise<unknown> | null = null;
  const timer = setInterval(() => {
    ticking ??= Promise.all([...archivers.values()].map(archiver => archiver.tick()))
      .catch(around.onFailure)
      .finally(() => {
        ticking = null;
      });
  }, TICK_MS);
  return {
    what: `${events} at ${kafka.brokers.join(', ')} in ${archive.name}`,
    async close() {
      clearInterval(timer);
      await ticking;
      await Promise.all([...archivers.values()].map(archiver => archiver.flush()));
      await member.stop();
      await broker.close();
    },
  };
}

/** Positions are counted from the first message on: where that is gone, so is what comes next. */
function placeLost({ group, events }: { group: string; events: string }, partition: number, place: string): Fault {
  return new Fault(
    'expired',
    `partition ${partition} of ${events} is in ${place} already, group ${group} has no offset of it any more, and the topic has lost its beginning: another place keeps what there still is`,
  );
}
