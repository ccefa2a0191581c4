/** A process's part in tiling: which partitions of events it has, and by which plans it counts them. */
import { Fault } from '../../base/fault.ts';
import { greatest, wallMicros } from '../../base/time.ts';
import { loadKernel } from '../../kernel/instance.ts';
import type { Ids, Layout } from '../../kernel/layout.ts';
import { layPlan } from '../../kernel/load.ts';
import type { Plan } from '../../plan/plan.ts';
import { leftBehind, type Member } from '../../source/group.ts';
import type { Broker } from '../../source/kafka.ts';
import type { Outbox, Progress } from '../../source/partition.ts';
import { AHEAD_MAX_MS, type Clock } from '../../source/source.ts';
import type { Cassandra } from '../../store/cassandra.ts';
import type { Course } from '../../work/course.ts';
import { FIRST_MARK, type Mark, readNote } from '../../work/note.ts';
import type { Patience } from '../../work/patient.ts';
import { begunBy } from '../../work/past.ts';
import { lanesOf, readTakenUp, takenUpNote } from '../../work/succession.ts';
import { Tiler } from '../../work/tiler.ts';
import { changelogName, codingOf, errorsName, tileGroup } from './cluster.ts';
import type { KafkaConfig } from '../config.ts';
import { agreedIds, type CourseReader } from './course.ts';
import type { WorkSurroundings } from './cluster.ts';

export interface TilingParts {
  kafka: KafkaConfig;
  clock: Clock;
  broker: Broker;
  remote: Pick<Cassandra, 'agreement' | 'numbers'>;
  reader: CourseReader;
  patience: Patience;
}

export interface Tiling {
  member: Member;
  /** Has partitions go by what is agreed now, and by all clocks that are known, where they do not. */
  follow(course: Course): Promise<void>;
  close(): Promise<void>;
}

export async function openTiling(parts: TilingParts, around: WorkSurroundings): Promise<Tiling> {
  const { kafka, broker, remote, reader, patience } = parts;
  const source = { group: tileGroup(kafka), topic: kafka.events };
  const coding = await codingOf(kafka);
  const outboxes = new Map<number, Outbox>();
  /** By what each partition goes that is owned. */
  const ways = new Map<number, string>();
  const beginnings = new Beginnings(remote.agreement);
  /** Those that know what clocks have shown to those who make what is begun of earlier events (backfilling.ts). */
  const wise = new Set<number>();
  /** A partition can be taken over while the database is away. */
  let numbered = { way: wayOf(reader.course), lanes: await numberLanes(remote, reader.course) };

  async function lanesBy(course: Course): Promise<NumberedLane[]> {
    const way = wayOf(course);
    if (numbered.way !== way) numbered = { way, lanes: await patience(() => numberLanes(remote, course)) };
    return numbered.lanes;
  }

  async function own(partition: number, low: bigint, committed: () => Promise<Progress | null>): Promise<Tiler> {
    ways.delete(partition);
    wise.delete(partition);
    await outboxes.get(partition)?.close();
    // First, so that whoever had it before can send no more; what is committed then is all that ever will be.
    const outbox = await broker.outbox(`${source.group}.${kafka.events}.${partition}`, { ...source, partition });
    outboxes.set(partition, outbox);
    const progress = await committed();
    if (progress && low > progress.next) throw leftBehind(kafka.events, partition, progress.next);
    const isBegun = await patience(() => beginnings.has(partition));
    if (!progress && isBegun) throw offsetLost(source, partition);
    const was = progress ? readNote(progress.note).mark : FIRST_MARK;
    const course = await patience(() => courseSince(reader, was));
    const wanted = markOf(course);
    const mark = { plan: Math.max(was.plan, wanted.plan), epoch: Math.max(was.epoch, wanted.epoch) };
    const epoch = course.comingEpoch ?? course.epoch;
    const topics = { changelog: changelogName(kafka, epoch.number), errors: errorsName(kafka) };
    const lanes = await layLanes(await lanesBy(course), parts.clock, epoch.partitions);
    const end = (await patience(() => endsOf(course))).get(partition);
    const earlier = end === undefined ? {} : { earlier: readTakenUp(end).clocks };
    const tiler = new Tiler(
      { lanes, outbox, partition, shards: epoch.partitions, topics, mark, watcher: around.watcher, ...earlier },
      progress,
      low,
    );
    await tiler.takeUp();
    // Not before there is an offset: whoever is killed between the two has lost none.
    if (!isBegun) await patience(() => beginnings.note(partition, tiler.next));
    await patience(() => tell(course, partition, tiler));
    ways.set(partition, wayOf(course));
    if (end !== undefined) wise.add(partition);
    return tiler;
  }

  /** Of partitions where all is made of the events before what is coming was taken up. */
  async function endsOf({ plan, coming }: Course): Promise<Map<number, string>> {
    return begunBy({ plan, coming }) ? remote.agreement.reached('backfilled', coming!.number) : new Map();
  }

  /** That a partition goes by what is coming: told before its next event counts, and by whoever owns it then. */
  async function tell({ coming, comingEpoch }: Course, partition: number, tiler: Tiler): Promise<void> {
    const { count, clocks } = tiler.known;
    const nowMicros = parts.clock.kind === 'wall' ? wallMicros() : (latestOf(clocks) ?? wallMicros());
    const note = takenUpNote({ offset: tiler.next, nowMicros, count, clocks });
    if (coming) await remote.agreement.reach('plan', coming.number, partition, note);
    if (comingEpoch) await remote.agreement.reach('epoch', comingEpoch.number, partition, note);
  }

  const member = await broker.join({
    ...{ ...source, ...around, coding, onLost: () => around.watcher.lost() },
    dealt() {
      ways.clear();
      wise.clear();
    },
    own: ({ partition, low, committed }) => own(partition, low, committed),
  });
  return {
    member,
    async follow(course) {
      const isComing = course.coming !== null || course.comingEpoch !== null;
      const way = wayOf(course);
      const ends = await endsOf(course);
      // Those without events are owned by nobody until something is to come, which has to be noted with them too.
      const others = member.partitions().filter(one => {
        const isBehind = ways.get(one) !== way || (ends.has(one) && !wise.has(one));
        return isBehind && (isComing || ways.has(one));
      });
      if (others.length > 0) await member.renew(others);
    },
    async close() {
      await member.stop();
      for (const outbox of outboxes.values()) await outbox.close();
    },
  };
}

/** Of which partitions somebody has tiled events: the database knows that, whatever has become of offsets. */
class Beginnings {
  readonly #known = new Set<number>();

  constructor(private readonly agreement: Cassandra['agreement']) {}

  async has(partition: number): Promise<boolean> {
    if (!this.#known.has(partition))
      for (const one of (await this.agreement.reached('begun', FIRST)).keys()) this.#known.add(one);
    return this.#known.has(partition);
  }

  async note(partition: number, offset: bigint): Promise<void> {
    await this.agreement.reach('begun', FIRST, partition, String(offset));
    this.#known.add(partition);
  }
}

/** There is one beginning. */
const FIRST = 1;

function offsetLost({ group, topic }: { group: string; topic: string }, partition: number): Fault {
  const what = `partition ${partition} of ${topic} was tiled before, and group ${group} has no offset of it any more`;
  const why = 'it has expired (offsets.retention.minutes of the broker), was deleted, or the topic was';
  return new Fault(
    'expired',
    `${what}: ${why}. Going on would count events twice, or lose some: give kafka.group, kafka.changelog.topic and scylla.keyspace new names, and what the topic has is counted from its beginning`,
  );
}

/** Whether anything was ever tiled into this keyspace. */
export async function isAnyBegun({ agreement }: Pick<Cassandra, 'agreement'>): Promise<boolean> {
  return (await agreement.reached('begun', FIRST)).size > 0;
}

/** @throws Fault `config` where others know of more than has ever been decided here */
async function courseSince(reader: CourseReader, mark: Mark): Promise<Course> {
  const isKnown = ({ newestPlan, epoch, comingEpoch }: Course) =>
    mark.plan <= newestPlan && mark.epoch <= (comingEpoch ?? epoch).number;
  if (isKnown(reader.course)) return reader.course;
  const course = await reader.look();
  if (isKnown(course)) return course;
  const found = `its offsets are of plan ${mark.plan} and changelog ${mark.epoch}, and the keyspace knows neither more than ${course.newestPlan} nor ${course.epoch.number}`;
  throw new Fault('config', `the group of events is not of this keyspace: ${found}`);
}

function markOf({ plan, coming, epoch, comingEpoch }: Course): Mark {
  return { plan: (coming ?? plan).number, epoch: (comingEpoch ?? epoch).number };
}

/** What decides by which plans a partition is tiled, and where to. */
function wayOf({ plan, coming, before, epoch, comingEpoch }: Course): string {
  const asked = coming ? plan : before;
  return [(coming ?? plan).number, asked?.number, (comingEpoch ?? epoch).number].join(' ');
}

interface NumberedLane {
  plan: Plan;
  ids: Ids;
}

async function numberLanes(remote: TilingParts['remote'], course: Course): Promise<NumberedLane[]> {
  const numbered: NumberedLane[] = [];
  for (const inForce of lanesOf(course)) numbered.push({ plan: inForce.plan, ids: await agreedIds(remote, inForce) });
  return numbered;
}

async function layLanes(lanes: NumberedLane[], clock: Clock, shards: number): Promise<[Layout, ...Layout[]]> {
  const settings = { clock, aheadMaxMs: AHEAD_MAX_MS, shards, isUnasked: true };
  const laid: Layout[] = [];
  for (const { plan, ids } of lanes) laid.push(layPlan(await loadKernel(), plan, ids, settings));
  return laid as [Layout, ...Layout[]];
}

/** Null before the first event. */
export function latestOf(clocks: Map<string, { at: bigint }>): bigint | null {
  return greatest([...clocks.values()].map(({ at }) => at));
}
