/** The driver's own class of brokers, of which its types say nothing. */
declare module 'kafkajs/src/broker/index.js' {
  import type { AbortedTransaction, TransactionMessage } from './aborted.ts';

  export interface FetchedPartition {
    /** Null where the broker lists none. */
    abortedTransactions?: AbortedTransaction[] | null;
    messages: TransactionMessage[];
  }

  export default class Broker {
    fetch(request: object): Promise<{ responses: { partitions: FetchedPartition[] }[] }>;
  }
}
