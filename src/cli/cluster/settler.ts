/** What a process that works finds out to be ready is decided, by whichever is the first to see it. */
import { greatest, wallMicros } from '../../base/time.ts';
import type { Broker } from '../../source/kafka.ts';
import { AHEAD_MAX_MS, type Clock } from '../../source/source.ts';
import type { Cassandra } from '../../store/cassandra.ts';
import type { Course } from '../../work/course.ts';
import { hasEarlier, readFolded, readNote, united } from '../../work/note.ts';
import { begunBy, wholeSince } from '../../work/past.ts';
import { momentOf, readTakenUp, retired, settled, settledEpoch, type TakenUp } from '../../work/succession.ts';
import { tileGroup } from './cluster.ts';
import type { KafkaConfig } from '../config.ts';
import type { CourseReader } from './course.ts';
import { latestOf } from './tiling.ts';

/**
 * A plan that is in force no longer is counted for so long after a process has seen that, for those who still answer by it:
 * none does that has not looked for `ANSWERED_BY_MAX_MS`.
 */
const RETIRED_AFTER_MS = 6_000;
export const ANSWERED_BY_MAX_MS = 2_000;

export interface SettlerParts {
  kafka: KafkaConfig;
  clock: Clock;
  broker: Pick<Broker, 'committed'>;
  remote: Pick<Cassandra, 'agreement'>;
  reader: CourseReader;
  /** How many partitions of events there are. */
  sources: () => Promise<number>;
}

export class Settler {
  /** Since when this process has seen which plan in force. */
  #seen: { plan: number; sinceMs: number } | null = null;

  constructor(private readonly parts: SettlerParts) {}

  async settle(course: Course): Promise<void> {
    if (course.coming) await this.#settlePlan(course);
    else if (course.comingEpoch) await this.#settleEpoch(course);
    else if (course.before) await this.#retire(course);
  }

  async isTakenUp(what: 'plan' | 'epoch', number: number): Promise<boolean> {
    return (await this.#takenUp(what, number)).length >= (await this.parts.sources());
  }

  async #settlePlan(course: Course): Promise<void> {
    const { number, start } = course.coming!;
    const [takenUp, sources] = [await this.#takenUp('plan', number), await this.parts.sources()];
    const at = takenUp.length < sources ? null : momentWhen(takenUp, this.parts.clock);
    const nowMicros = start === 'when-warm' ? await this.#now() : 0n;
    await this.#decide(course, settled(course, at, nowMicros, await this.#wholeSince(course, sources)));
  }

  /** As `settled` wants it. */
  async #wholeSince(course: Course, sources: number): Promise<Map<string, bigint> | null> {
    if (!begunBy(course)) return new Map();
    const { agreement } = this.parts.remote;
    const { number } = course.coming!;
    const ends = await agreement.reached('backfilled', number);
    if (ends.size < sources || !(await this.#areKnown(ends))) return null;
    const takenUp = await agreement.reached('plan', number);
    return wholeSince({ takenUp, beginnings: await agreement.reached('backfilling', number), ends });
  }

  /** Whoever tiles knows of event types that nobody has declared before what their clocks have shown: lookups go by that. */
  async #areKnown(ends: Map<number, string>): Promise<boolean> {
    const { broker, kafka } = this.parts;
    const committed = await broker.committed(tileGroup(kafka), kafka.events);
    return [...ends].every(([partition, end]) => {
      const progress = committed.get(partition);
      return progress !== undefined && hasEarlier(readNote(progress.note).clocks, readTakenUp(end).clocks);
    });
  }

  async #settleEpoch(course: Course): Promise<void> {
    const { epoch, comingEpoch } = course;
    const takenUp = (await this.#takenUp('epoch', comingEpoch!.number)).length;
    const drained = await this.parts.remote.agreement.reached('drained', epoch.number);
    const left = [...drained.values()].map(readFolded);
    await this.#decide(course, settledEpoch(course, { takenUp, sources: await this.parts.sources() }, left));
  }

  async #retire(course: Course): Promise<void> {
    const nowMs = performance.now();
    const { number } = course.plan;
    if (this.#seen?.plan !== number) this.#seen = { plan: number, sinceMs: nowMs };
    if (nowMs - this.#seen.sinceMs >= RETIRED_AFTER_MS) await this.#decide(course, retired(course));
  }

  async #decide({ turn }: Course, decisions: ReturnType<typeof settled>): Promise<void> {
    // Where somebody else has been faster, the next look shows with what.
    if (decisions) await this.parts.remote.agreement.decide(turn, decisions);
  }

  async #takenUp(what: 'plan' | 'epoch', number: number): Promise<TakenUp[]> {
    const reached = await this.parts.remote.agreement.reached(what, number);
    return [...reached.values()].map(readTakenUp);
  }

  async #now(): Promise<bigint> {
    const { clock, broker, kafka } = this.parts;
    if (clock.kind === 'wall') return wallMicros();
    const notes = await broker.committed(tileGroup(kafka), kafka.events);
    return latestOf(united([...notes.values()].map(({ note }) => readNote(note))).clocks) ?? 0n;
  }
}

/** The moment at which all of them together have taken something up: what events there are before it, and how far their clocks have come. */
export function momentWhen(takenUp: TakenUp[], { kind }: Clock) {
  const nowMicros = greatest(takenUp.map(one => one.nowMicros));
  return momentOf(takenUp, nowMicros ?? 0n, kind === 'wall' ? AHEAD_MAX_MS : 0);
}
