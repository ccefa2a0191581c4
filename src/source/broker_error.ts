/** What errors of the broker and of its driver say, and what helps against them. */
import { Fault, type FaultCode } from '../base/fault.ts';

/** What the broker calls an error of the driver, which may stand inside others; empty where it is not the broker's. */
export function typeOf(error: unknown): string {
  const { type, cause, originalError, message } = error as KafkaError;
  if (type !== undefined) return UNNAMED[/^Unknown error code (\d+)$/.exec(message)?.[1] ?? ''] ?? type;
  return cause ? typeOf(cause) : originalError ? typeOf(originalError) : '';
}

type KafkaError = Error & { type?: string; originalError?: unknown };

/** Numbers of errors that the driver has no name for. */
const UNNAMED: Record<string, string> = { 90: 'PRODUCER_FENCED' };

export function isOfKafka(error: unknown): error is Error {
  return error instanceof Error && error.name.startsWith('KafkaJS');
}

/** Whether somebody else has begun to send under the same name since: or the broker has given the transaction up, and says the same. */
export function isFenced(error: unknown): boolean {
  return ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'].includes(typeOf(error));
}

const RIGHTS = 'the user of Kafka lacks a right, which docs/cluster.md lists';

/** What no waiting helps against, and what does. All else passes, or may: brokers that are away, coordinators that move, producers that were forgotten. */
const MENDED: Record<string, [code: FaultCode, how: string]> = {
  TOPIC_AUTHORIZATION_FAILED: ['config', RIGHTS],
  GROUP_AUTHORIZATION_FAILED: ['config', RIGHTS],
  CLUSTER_AUTHORIZATION_FAILED: ['config', RIGHTS],
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: ['config', RIGHTS],
  MESSAGE_TOO_LARGE: ['too_large', 'max.message.bytes of the topic has to be greater'],
  RECORD_LIST_TOO_LARGE: ['too_large', 'segment.bytes of the topic has to be greater'],
  OFFSET_METADATA_TOO_LARGE: ['config', 'offset.metadata.max.bytes of the broker has to be 4096 at least'],
  INVALID_TRANSACTION_TIMEOUT: ['config', 'transaction.max.timeout.ms of the broker has to be 10000 at least'],
  INVALID_REPLICATION_FACTOR: ['config', 'kafka.changelog.replicas has to be no more than there are brokers'],
  POLICY_VIOLATION: ['config', 'the broker has rules for topics: make it by hand as it wants it'],
  UNKNOWN_TOPIC_OR_PARTITION: ['not_found', 'somebody has deleted a topic that is read or written'],
  UNSUPPORTED_VERSION: ['unsupported', 'the broker is too old'],
  UNSUPPORTED_FOR_MESSAGE_FORMAT: ['unsupported', 'the broker keeps messages in a format that is too old'],
};

/** A coordinator of groups that has only just begun, or is another by now: who it is has to be asked again. */
export function isCoordinatorComing(error: unknown): boolean {
  return COMING.includes(typeOf(error));
}

const COMING = ['GROUP_LOAD_IN_PROGRESS', 'GROUP_COORDINATOR_NOT_AVAILABLE', 'NOT_COORDINATOR_FOR_GROUP'];

/** How long is waited before what may be over by then is asked for again, and for how long that is done. */
export interface Again {
  everyMs: number;
  forMs: number;
}

/** Asks again where what went wrong may be over a moment later. */
export async function askAgain<T>(
  { everyMs, forMs }: Again,
  ask: () => Promise<T>,
  isPassing: (error: unknown) => boolean,
): Promise<T> {
  for (const untilMs = performance.now() + forMs; ; await Bun.sleep(everyMs)) {
    try {
      return await ask();
    } catch (error) {
      if (!isPassing(error) || performance.now() >= untilMs) throw error;
    }
  }
}

/** For whoever asks but once. */
export function faultOf(error: Error, what: string): Fault {
  const why = [typeOf(error), error.message].filter(text => text !== '').join(' ');
  return refusalOf(error, what) ?? new Fault('busy', `Kafka does not answer: ${why}`);
}

/**
 * Null where to ask again may help.
 *
 * @param what was being done, as the beginning of a sentence
 */
export function refusalOf(error: unknown, what: string): Fault | null {
  const type = typeOf(error);
  const mended = MENDED[type];
  return mended ? new Fault(mended[0], `${what}: Kafka refuses it with ${type}; ${mended[1]}`) : null;
}
