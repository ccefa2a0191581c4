/** The way of an event into a cluster: door -> messages of one partition -> all replicas in sync. */
import { Fault } from '../base/fault.ts';
import type { Stages } from '../base/stages.ts';
import { admitBody, sliceEnd, type TakenBody } from '../ingest/door.ts';
import type { BodyFormat, Rejection } from '../ingest/body.ts';
import type { Receipt } from '../ingest/ingest.ts';
import type { Kernel } from '../kernel/instance.ts';
import { type EventCoding, Unsayable } from '../source/partition.ts';
import { NEWLINE } from '../source/segment.ts';
import type { Sender } from '../source/sender.ts';

/** Lines that one message has: few messages, and each far from what a broker refuses. */
const MESSAGE_BYTES = 64 << 10;

export interface PostParts {
  /** Judges bodies. */
  door: Kernel;
  sender: Sender;
  /** Null where lines are messages. */
  coding: EventCoding | null;
  stages: Stages;
}

/** Takes bodies of events. Those of one body stay in their order, in one partition: another one for each body. */
export class Post {
  #next = 0;

  /** @param first the partition of the first body: processes that begin together need not begin with the same */
  constructor(
    private readonly parts: PostParts,
    first: number,
  ) {
    this.#next = first;
  }

  /**
   * When it resolves, no loss of a node loses any of the events; rows have them a little later.
   *
   * @param key as in a log of one's own, where a body counts once under it: here nobody could tell
   * @param order bodies that name the same one go to one partition, one behind the other
   * @throws Fault `unsupported` for a body with a key, `request` where a `json` body is no JSON, `busy` and `too_large` as
   *   `Sender.send`: of a body that was refused so, a part may have been taken
   */
  async post(body: Uint8Array, format: BodyFormat, key: string | null, order: string | null): Promise<Receipt> {
    if (key !== null)
      throw new Fault(
        'unsupported',
        'an Idempotency-Key is kept by a log on one machine: in a cluster nothing counts once by it',
      );
    const { door, sender, coding, stages } = this.parts;
    const admitted = await admitBody(door, body, format, stages);
    const { messages, count, rejected } = coding
      ? stages.time('door', () => coded(coding, admitted, () => placesOf(body, format, admitted.rejected)))
      : { ...admitted, messages: messagesOf(admitted.lines) };
    if (count > 0) await stages.wait('log', () => sender.send(this.#partition(order), messages));
    return { accepted: count, rejected, position: null };
  }

  #partition(order: string | null): number {
    const { partitionCount } = this.parts.sender;
    if (order !== null) return Number(Bun.hash.xxHash64(order) % BigInt(partitionCount));
    return this.#next++ % partitionCount;
  }
}

/** Whole lines, without the last newline of each message. */
function messagesOf(lines: Uint8Array): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let from = 0; from < lines.length; ) {
    const end = sliceEnd(lines, from, MESSAGE_BYTES);
    messages.push(lines.subarray(from, end - 1));
    from = end;
  }
  return messages;
}

/** Each event as a message of its own; those that messages cannot say are rejected: only for these is it asked where they stand. */
function coded(coding: EventCoding, { lines, rejected }: TakenBody, placesOfAll: () => number[]) {
  const messages: Uint8Array[] = [];
  const unsaid: Rejection[] = [];
  let places: number[] | null = null;
  for (let from = 0, i = 0; from < lines.length; i++) {
    const end = lines.indexOf(NEWLINE, from);
    try {
      messages.push(coding.messageOf(lines.subarray(from, end)));
    } catch (error) {
      if (!(error instanceof Unsayable)) throw error;
      places ??= placesOfAll();
      unsaid.push({ line: places[i]!, code: 'not_protobuf', reason: error.message });
    }
    from = end + 1;
  }
  const all = [...rejected, ...unsaid].sort((a, b) => a.line - b.line);
  return { messages, count: messages.length, rejected: all };
}

/** Where in the body those stand that were let in: of what is not rejected all else is blank, or null, and no object. Nothing else is asked of it. */
function placesOf(body: Uint8Array, format: BodyFormat, rejected: Rejection[]): number[] {
  const others = new Set(rejected.map(({ line }) => line));
  const text = new TextDecoder().decode(body);
  const areObjects =
    format === 'json'
      ? [JSON.parse(text)].flat().map((value: unknown) => value !== null)
      : text.split('\n').map(line => line.includes('{'));
  return areObjects.flatMap((isObject, i) => (isObject && !others.has(i + 1) ? [i + 1] : []));
}
