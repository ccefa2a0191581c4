/** A process as a member of a group, which deals the partitions of a topic out to its members. */
import type { Admin, Consumer, ConsumerCrashEvent, EachBatchPayload, Kafka } from 'kafkajs';
import { Fault } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import { type Again, askAgain, isCoordinatorComing, isOfKafka, refusalOf, typeOf } from './broker_error.ts';
import { type EventCoding, type Given, Lost, type Message, type Owner, type Progress, Unsure } from './partition.ts';

/** A group member that has said nothing for so long loses its partitions. */
const SESSION_MS = 6_000;
const HEARTBEAT_MS = 500;
/** How long a fetch waits for messages: an idle one keeps its consumer from seeking and leaving. */
const FETCH_WAIT_MS = 100;
/** Partitions whose messages are taken at the same time: a transaction is mostly waited for. */
const PARTITIONS_AT_ONCE = 4;
/** Of one partition, in one go: what is made of it has to fit into one transaction. */
const FETCH_BYTES = 1 << 20;

/** Where a broker does not say whether something was done, before it is asked anew. */
const ASK_AGAIN_MS = 500;

/** The header of `Outgoing.arrivedMs`. */
export const ARRIVED = 'arrived';

export interface GroupSettings {
  group: string;
  topic: string;
  /** Where messages are not lines themselves. */
  coding?: EventCoding | null;
  /** Called for each partition whenever the group has dealt them out anew. */
  own: (given: Given) => Promise<Owner>;
  /** Called with all that are this one's now, before `own` is for any of them. */
  dealt: (partitions: number[]) => void;
  /** Told of a partition that another process has taken over. */
  onLost: () => void;
  /** What is neither a lost partition nor a broker that is away for a while. */
  onFailure: (error: unknown) => void;
  log: Log;
  /** Of one partition, in one go, where that is to be less than usual. */
  fetchBytes?: number;
}

export interface Member {
  /**
   * Commits how far a partition has come; false where it is no longer this one's, or the broker does not answer.
   *
   * @throws Fault what no waiting helps against
   */
  commit(partition: number, progress: Progress): Promise<boolean>;
  /** Of each partition that it has, how many messages it has not taken: as far as the broker says, now. */
  lags(): Promise<Map<number, number>>;
  /** Those that it has. */
  partitions(): number[];
  /**
   * Has some of its partitions owned anew, as if they had just been dealt to it, whether they have messages or not; each in its
   * turn among its batches.
   *
   * @throws Fault as `own`; where another process has one, that is left to it
   */
  renew(partitions: number[]): Promise<void>;
  /** Leaves the group when what is being taken has been. */
  stop(): Promise<void>;
}

/** @param retry how the driver repeats what a broker has not answered */
export async function join(
  kafka: Kafka,
  admin: Admin,
  retry: object,
  { group, topic, coding = null, own, dealt, onLost, onFailure, log, fetchBytes = FETCH_BYTES }: GroupSettings,
): Promise<Member> {
  let isStopping = false;
  const consumer: Consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: SESSION_MS,
    rebalanceTimeout: SESSION_MS,
    heartbeatInterval: HEARTBEAT_MS,
    maxWaitTimeInMs: FETCH_WAIT_MS,
    maxBytesPerPartition: Math.min(fetchBytes, FETCH_BYTES),
    // One that has failed while it was being stopped would begin anew after that, and keep the process alive.
    retry: { ...retry, restartOnFailure: async () => !isStopping },
  });
  /** Of the last deal; `isSought`: it has been told where to begin. */
  const owners = new Map<number, { owner: Owner; deal: number; isSought: boolean }>();
  let deal = 0;
  let partitions: number[] = [];
  /** Behind what was taken, and what a broker keeps for itself. */
  const positions = new Map<number, bigint>();
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    deal++;
    partitions = payload.memberAssignment[topic] ?? [];
    positions.clear();
    log.info({ group, partitions }, 'partitions were dealt out');
    dealt(partitions);
  });
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
    positions.set(partition, BigInt(lastOffset) + 1n);
  });
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }: ConsumerCrashEvent) => {
    if (isStopping) return;
    log.warn({ group, error: error.message, restart }, 'the group was lost');
    // Nobody would take the partitions any more, and nobody would know.
    if (!restart) onFailure(faultOf(error));
  });

  /** What comes out of a broker may be what no waiting helps against. */
  const faultOf = (error: Error) => {
    const ours = [error, error.cause].find(one => one instanceof Fault);
    if (ours) return new Fault(ours.code, `topic ${topic}: ${ours.message}`);
    return refused(error) ?? new Fault('busy', `Kafka refuses ${group}: ${typeOf(error)} ${error.message}`);
  };
  const refused = (error: unknown) => refusalOf(error, `${group} reads ${topic}`);

  /** What the broker has of a partition: offsets [low, high). */
  const boundsOf = async (partition: number) => {
    const offsets = await offsetsOf(admin, topic);
    const { low, high } = offsets.find(one => one.partition === partition)!;
    return { low: BigInt(low), high: BigInt(high) };
  };
  const ownerOf = async (partition: number) => {
    const held = owners.get(partition);
    if (held?.deal === deal) return held;
    const progress = async () => (await committed(admin, group, topic)).get(partition) ?? null;
    const { low, high } = await boundsOf(partition);
    const dealt = deal;
    const next = { owner: await own({ partition, low, committed: progress }), deal: dealt, isSought: false };
    if (next.owner.next > high) await checkReached(partition, next.owner.next);
    owners.set(partition, next);
    return next;
  };
  /** Others may have gone on since the bounds were asked for; nobody has been where there is nothing. */
  const checkReached = async (partition: number, next: bigint) => {
    const { high } = await boundsOf(partition);
    if (next > high) throw begunAnew(topic, partition, next, high);
  };

  /** Of each partition one batch at a time, even where another deal comes while one is being taken. */
  const turns = new Map<number, Promise<void>>();
  function inTurn(partition: number, work: () => Promise<void>): Promise<void> {
    const done = (turns.get(partition) ?? Promise.resolve()).then(work);
    turns.set(
      partition,
      done.catch(() => {}),
    );
    return done;
  }

  function eachBatch(payload: EachBatchPayload): Promise<void> {
    return inTurn(payload.batch.partition, () => whileBeating(payload));
  }

  async function renewOne(partition: number): Promise<void> {
    if (isStopping || !partitions.includes(partition)) return;
    owners.delete(partition);
    try {
      await ownerOf(partition);
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      owners.delete(partition);
      onLost();
    }
  }

  /** However long a database makes it wait, whoever takes a batch is there, and keeps its partitions. */
  async function whileBeating(payload: EachBatchPayload): Promise<void> {
    // What it says is heard when the batch is taken.
    const beating = setInterval(() => payload.heartbeat().catch(() => {}), HEARTBEAT_MS);
    try {
      await takeBatch(payload);
    } finally {
      clearInterval(beating);
    }
  }

  async function takeBatch({ batch, resolveOffset, heartbeat, isStale, pause }: EachBatchPayload): Promise<void> {
    const { partition } = batch;
    try {
      const held = await ownerOf(partition);
      const { next } = held.owner;
      const first = BigInt(batch.firstOffset()!);
      // Behind the first time, only what a broker keeps for itself may lie between.
      if (first !== next && (!held.isSought || first < next)) {
        if (held.isSought) await checkReached(partition, next);
        held.isSought = true;
        consumer.seek({ topic, partition, offset: String(next) });
        return;
      }
      if (first > next && (await boundsOf(partition)).low > next) throw leftBehind(topic, partition, next);
      held.isSought = true;
      if (isStale()) return;
      const last = batch.messages.at(-1)!.offset;
      const messages = batch.messages.map(message => messageOf(message, coding));
      await held.owner.take(messages, BigInt(last) + 1n);
      resolveOffset(last);
      if (held.owner.isDone) pause();
      await heartbeat();
    } catch (error) {
      if (error instanceof Lost) {
        log.info({ group, partition, reason: error.message }, 'another process has the partition, or may have it');
        owners.delete(partition);
        onLost();
        // Where this one is no longer of the group, it throws, and joins anew.
        await heartbeat();
        return;
      }
      if (error instanceof Unsure) {
        log.warn({ group, partition, reason: error.message }, 'the broker is asked anew where the partition stands');
        owners.delete(partition);
        await Bun.sleep(ASK_AGAIN_MS);
        await heartbeat();
        return;
      }
      const failure = isOfKafka(error) ? refused(error) : error;
      if (failure !== null) onFailure(failure);
      throw error;
    }
  }

  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: PARTITIONS_AT_ONCE,
    eachBatch,
  });
  return {
    async commit(partition, { next, note }) {
      try {
        await consumer.commitOffsets([{ topic, partition, offset: String(next), metadata: note }]);
        return true;
      } catch (error) {
        if (isOfKafka(error) && !refused(error)) return false;
        throw refused(error) ?? error;
      }
    },
    async lags() {
      const [offsets, known] = await Promise.all([offsetsOf(admin, topic), committed(admin, group, topic)]);
      const mine = offsets.filter(({ partition }) => partitions.includes(partition));
      return new Map(
        mine.map(({ partition, high, low }) => {
          const from = positions.get(partition) ?? known.get(partition)?.next ?? BigInt(low);
          return [partition, Math.max(0, Number(BigInt(high) - from))];
        }),
      );
    },
    partitions: () => partitions,
    async renew(which) {
      await Promise.all(which.map(partition => inTurn(partition, () => renewOne(partition))));
    },
    stop() {
      isStopping = true;
      return consumer.disconnect();
    },
  };
}

const UNFOUND: Again = { everyMs: 50, forMs: 1_000 };
const COMING: Again = { everyMs: 200, forMs: 10_000 };

/** Of each partition the offsets that there are. */
function offsetsOf(admin: Admin, topic: string): ReturnType<Admin['fetchTopicOffsets']> {
  // Asked several things at once, the driver for a moment does not know topics that it has known, and stumbles over that.
  return askAgain(
    UNFOUND,
    () => admin.fetchTopicOffsets(topic),
    error => error instanceof TypeError,
  );
}

/** How far a group has come with each partition of a topic, as far as it has committed anything. */
export async function committed(
  admin: Pick<Admin, 'fetchOffsets'>,
  group: string,
  topic: string,
): Promise<Map<number, Progress>> {
  // The driver asks but once where a group's coordinator has only just begun.
  const ask = () => admin.fetchOffsets({ groupId: group, topics: [topic] });
  const [found] = await askAgain(COMING, ask, isCoordinatorComing);
  const known = found!.partitions.filter(({ offset }) => offset !== '-1');
  return new Map(
    known.map(({ partition, offset, metadata }) => [partition, { next: BigInt(offset), note: metadata ?? '' }]),
  );
}

/** A group that has been where nothing is has read another topic of that name. */
function begunAnew(topic: string, partition: number, next: bigint, high: bigint): Fault {
  const what = `partition ${partition} of ${topic} was read up to offset ${next}, and it ends at ${high}`;
  return new Fault(
    'conflict',
    `${what}: the topic is not the one that was there before; what was made of that one is not to be mixed with this one`,
  );
}

/** What the broker no longer has cannot be made up for. */
export function leftBehind(topic: string, partition: number, next: bigint): Fault {
  const what = `partition ${partition} of ${topic} was read up to offset ${next}, and the broker no longer has what follows`;
  return new Fault('expired', `${what}: retention of the topic has to be longer than its readers are away`);
}

type KafkaMessage = EachBatchPayload['batch']['messages'][number];

function messageOf({ offset, timestamp, value, headers }: KafkaMessage, coding: EventCoding | null): Message {
  const arrived = headers?.[ARRIVED];
  // What has no value at all is no event, and nothing is wrong with it.
  const line = value && coding ? coding.lineOf(value) : (value ?? NOTHING);
  return {
    ...{ offset: BigInt(offset), timestampMs: Number(timestamp) },
    ...(line instanceof Uint8Array ? { value: line } : { value: NOTHING, poison: line }),
    ...(arrived && { arrivedMs: Number(arrived) }),
  };
}

const NOTHING = new Uint8Array(0);
