import { expect, test } from 'bun:test';
import { type AbortedTransaction, hideAborted, type TransactionMessage } from '../../src/source/aborted.ts';
import { Random } from '../sim/random.ts';

interface Written extends TransactionMessage {
  /** What its transaction came to; null while it is open. */
  isAborted: boolean | null;
}

/** A partition as its log has it, and each of its aborted transactions in the order in which they were ended. */
interface Partition {
  messages: Written[];
  aborted: (AbortedTransaction & { last: number })[];
}

/** Producers whose transactions lie among one another, and some messages that are of none. */
function partitionOf(random: Random): Partition {
  const messages: Written[] = [];
  const aborted: Partition['aborted'] = [];
  const open = new Map<string, Written[]>();
  const write = (producerId: string, inTransaction: boolean, isControlRecord: boolean): Written => {
    const offset = String(messages.length);
    const message = {
      offset,
      key: null,
      isControlRecord,
      batchContext: { producerId, inTransaction },
      isAborted: false,
    };
    messages.push(message);
    return message;
  };
  const count = 10 + random.below(60);
  while (messages.length < count || open.size > 0) {
    const producerId = String(random.below(4));
    const own = open.get(producerId);
    if (messages.length < count && random.chance(0.7)) {
      if (random.chance(0.1) && !own) write(producerId, false, false);
      else open.set(producerId, [...(own ?? []), write(producerId, true, false)]);
    } else if (own) {
      const isAborted = random.chance(0.5);
      for (const message of own) message.isAborted = isAborted;
      const end = write(producerId, true, true);
      if (isAborted) aborted.push({ producerId, firstOffset: own[0]!.offset, last: Number(end.offset) });
      open.delete(producerId);
    }
  }
  return { messages, aborted };
}

test.each([1, 2, 3, 4, 5])('what is fetched from anywhere comes without what was aborted: seed %p', seed => {
  const random = new Random(seed);
  for (let n = 0; n < 100; n++) {
    const { messages, aborted } = partitionOf(random);
    const from = random.below(messages.length);
    const to = from + 1 + random.below(messages.length - from);
    const fetched = messages.slice(from, to).map(message => ({ ...message }));
    // As brokers list them: those that reach into what is fetched, whenever they have begun.
    const listed = aborted.filter(({ last, firstOffset }) => last >= from && Number(firstOffset) < to);
    hideAborted(fetched, listed);
    const seen = fetched.filter(({ isControlRecord }) => !isControlRecord).map(({ offset }) => offset);
    const wanted = messages.slice(from, to).filter(({ isControlRecord, isAborted }) => !isControlRecord && !isAborted);
    expect(seen).toEqual(wanted.map(({ offset }) => offset));
  }
});
