/**
 * Partitions of a topic, and whoever owns one for now. A group of processes shares the partitions among itself; one that has
 * stopped for a while loses its own, and need not know.
 */

/** One message of a partition. */
export interface Message {
  offset: bigint;
  /** When the broker has appended it, or its producer made it: what the topic says. */
  timestampMs: number;
  value: Uint8Array;
  /** As `Outgoing.arrivedMs`, where it was sent with that. */
  arrivedMs?: number;
  /** Why it is no event; its value is empty then. */
  poison?: Poison;
}

/** What is no event where messages are not lines themselves. */
export interface Poison {
  code: string;
  reason: string;
  /** How it begins, in base 16. */
  sample: string;
}

/** How events are messages, where these are not lines themselves. */
export interface EventCoding {
  /** The line that a message means, without a newline. */
  lineOf(message: Uint8Array): Uint8Array | Poison;
  /** The message that means an event. @throws Unsayable where there is none */
  messageOf(line: Uint8Array): Uint8Array;
}

/** What messages of a topic cannot say: the text is for whoever has sent it. */
export class Unsayable extends Error {
  override name = 'Unsayable';
}

/** How far a group has come with a partition: part of a transaction, or committed alone. */
export interface Progress {
  /** The first offset that it does not contain. */
  next: bigint;
  /** What going on from there needs to know; at most `NOTE_MAX_BYTES`. */
  note: string;
}

/** A broker keeps no more with an offset unless it is told to. */
export const NOTE_MAX_BYTES = 4096;

/** Who owns a partition, and takes its messages. */
export interface Owner {
  /** The first offset that it wants. */
  readonly next: bigint;
  /** It wants no more, ever. */
  readonly isDone?: boolean;
  /**
   * Takes messages that follow on each other, but for those that it has taken already; resolves when the next may come.
   *
   * @param next the first offset behind them
   * @throws Lost where another one owns the partition, Unsure where nobody knows what was taken
   */
  take(messages: Message[], next: bigint): Promise<void>;
}

/** Another process owns the partition, or may: whoever finds that out asks anew where it stands. */
export class Lost extends Error {
  override name = 'Lost';
}

/** The broker has not said whether something was done: whoever hears that asks anew where the partition stands, as if it had just been given. */
export class Unsure extends Error {
  override name = 'Unsure';
}

/** A partition that has just been given to this process. */
export interface Given {
  partition: number;
  /** The first offset that the broker still has. */
  low: bigint;
  /** What the group has committed, read now; null before the first time. */
  committed(): Promise<Progress | null>;
}

/** A message that goes out: all of a transaction, or none. */
export interface Outgoing {
  topic: string;
  partition: number;
  value: Uint8Array;
  /** When the oldest of what it was made of had arrived, epoch milliseconds: what follows can tell how long all took. */
  arrivedMs?: number;
}

/** Where a message went that was the last of its transaction in a partition. */
export interface Placed {
  topic: string;
  partition: number;
  offset: bigint;
}

/** What one source partition sends, by transactions. Whoever opens it fences everybody who has opened the same before. */
export interface Outbox {
  /**
   * All of it, and how far that comes, or nothing.
   *
   * @returns where it went
   * @throws Lost where another one has opened it since, Unsure where it may have been done, Fault what no waiting helps against
   */
  send(messages: Outgoing[], progress: Progress): Promise<Placed[]>;
  close(): Promise<void>;
}
