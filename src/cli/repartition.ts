import { type Command, InvalidArgumentError } from 'commander';
import { Fault } from '../base/fault.ts';
import { EPOCH_MAX } from '../store/stamp.ts';
import type { Course } from '../work/course.ts';
import { nextEpoch } from '../work/succession.ts';
import { asking, type Asking } from './cluster/asking.ts';
import { isClustered, makeComing } from './cluster/cluster.ts';
import { CHANGELOG_PARTITIONS_MAX, type KafkaConfig, loadConfig } from './config.ts';

interface Options {
  config: string;
  detach?: true;
  json?: true;
}

/** How often it looks how far that is. */
const LOOK_EVERY_MS = 500;

/** How far changes go through the next changelog. */
interface Standing {
  epoch: number;
  partitions: number;
  /** Partitions of events that send to the next one, and partitions of the one before it that are drained; null where nothing goes on. */
  takenUp: { partitions: number; of: number } | null;
  drained: { partitions: number; of: number } | null;
}

/** `tilefold repartition`: as many partitions of changes as processes are to share. */
export function addRepartition(program: Command) {
  program
    .command('repartition')
    .description('give the changelog of a cluster another number of partitions, while events come')
    .argument('<partitions>', 'as many processes can share its folding', partitionsOf)
    .option('--detach', 'do not wait until it is done: processes that work go on alone')
    .option('--json', 'how it stands in the end, as one JSON object')
    .action(async (partitions: number, _options, command: Command) => {
      const { config: path, detach = false, json } = command.optsWithGlobals<Options>();
      const config = await loadConfig(path);
      if (!isClustered(config))
        throw new Fault('config', `${path} has no sections kafka and scylla, as a cluster has them`);
      const standing = await asking(config, path, one => repartition(one, config.kafka!, partitions, detach));
      console.log(json ? JSON.stringify(standingJson(standing)) : standingText(standing));
    });
}

function partitionsOf(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= Number(CHANGELOG_PARTITIONS_MAX)) return count;
  throw new InvalidArgumentError(`wanted 1 to ${CHANGELOG_PARTITIONS_MAX} partitions`);
}

/** Asked for again it goes on waiting for the same. */
async function repartition(
  { remote, broker, courses }: Asking,
  kafka: KafkaConfig,
  partitions: number,
  isDetached: boolean,
): Promise<Standing> {
  const reader = await courses();
  const { agreement } = remote;
  let told = '';
  for (;;) {
    const course = await reader.look();
    const { epoch, comingEpoch } = course;
    if (!comingEpoch && epoch.partitions !== partitions) await agreement.decide(course.turn, begin(course, partitions));
    else if (comingEpoch && comingEpoch.partitions !== partitions)
      throw new Fault(
        'conflict',
        `the changelog is getting ${comingEpoch.partitions} partitions already: when that is done it can get others`,
      );
    else if (!comingEpoch) return { epoch: epoch.number, partitions, takenUp: null, drained: null };
    else {
      await makeComing(remote, broker, kafka, comingEpoch);
      const takenUp = (await agreement.reached('epoch', comingEpoch.number)).size;
      const drained = (await agreement.reached('drained', epoch.number)).size;
      const standing: Standing = {
        ...{ epoch: comingEpoch.number, partitions },
        takenUp: { partitions: takenUp, of: (await broker.partitionsOf(kafka.events)) ?? 0 },
        drained: { partitions: drained, of: epoch.partitions },
      };
      if (isDetached) return standing;
      if (standingText(standing) !== told) console.error(standingText(standing));
      told = standingText(standing);
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }
}

function begin(course: Course, partitions: number) {
  if (course.coming)
    throw new Fault(
      'conflict',
      'other definitions are being taken up: when they are in force the changelog can be repartitioned',
    );
  if (course.epoch.number === EPOCH_MAX)
    throw new Fault(
      'too_large',
      `${EPOCH_MAX} changelogs have followed on each other, and positions have no room for more`,
    );
  return nextEpoch(course, partitions);
}

function standingText({ epoch, partitions, takenUp, drained }: Standing): string {
  if (!takenUp || !drained) return `changelog ${epoch} has ${partitions} partitions, and is folded`;
  const sent = `${takenUp.partitions} of ${takenUp.of} partitions of events send to it`;
  return `changelog ${epoch} is to have ${partitions} partitions: ${sent}, ${drained.partitions} of ${drained.of} of the one before are drained`;
}

function standingJson({ epoch, partitions, takenUp, drained }: Standing) {
  return { epoch, partitions, taken_up: takenUp, drained };
}
