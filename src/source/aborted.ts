/** What tells of a message that it is of a transaction, and of which. */
export interface TransactionMessage {
  offset: string;
  key: Uint8Array | null;
  value?: Uint8Array | null;
  /** A broker's own message: the end of a transaction. Readers leave it out. */
  isControlRecord: boolean;
  batchContext: { producerId: string; inTransaction: boolean };
}

export interface AbortedTransaction {
  producerId: string;
  /** Of its first message in the partition. */
  firstOffset: string;
}

/**
 * Makes messages of aborted transactions such that readers leave out. A broker lists transactions in the order in which they
 * were ended, and those that have begun long before what was fetched too:
 *
 *   offset         10   11   12   13   14   15
 *   of producer     x    y    x    y    z    z        x and y are killed, y is ended first
 *                                  |  y's end, then x's: the list is y from 11, x from 10
 *
 * The driver takes the list for one in order of first messages, and at each message looks at the next one only: of these it
 * would hand out x's, and their changes would count twice.
 *
 * @param messages all that were fetched of a partition, in order, the ends of transactions among them
 */
export function hideAborted(messages: TransactionMessage[], aborted: AbortedTransaction[]): void {
  const waiting = aborted
    .map(({ producerId, firstOffset }) => ({ producerId, first: BigInt(firstOffset) }))
    .sort((a, b) => (a.first < b.first ? 1 : -1));
  const open = new Set<string>();
  for (const message of messages) {
    const { producerId, inTransaction } = message.batchContext;
    while (waiting.length > 0 && waiting.at(-1)!.first <= BigInt(message.offset)) open.add(waiting.pop()!.producerId);
    // A producer has one transaction at a time: its next end is that of the one that is open.
    if (message.isControlRecord) open.delete(producerId);
    else if (inTransaction && open.has(producerId)) message.isControlRecord = true;
  }
}
