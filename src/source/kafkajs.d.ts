/** The driver's own classes, of which its types say nothing. */
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

declare module 'kafkajs/src/cluster/index.js' {
  import type Broker from 'kafkajs/src/broker/index.js';

  export default class Cluster {
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    addTargetTopic(topic: string): Promise<void>;
    /** By node, as texts. */
    findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>;
    findBroker(of: { nodeId: string }): Promise<Broker>;
    findGroupCoordinatorMetadata(request: object): Promise<object>;
  }
}

declare module 'kafkajs/src/network/requestQueue/index.js' {
  export default class RequestQueue {
    pending: object[];
    scheduleCheckPendingRequests(): void;
  }
}
