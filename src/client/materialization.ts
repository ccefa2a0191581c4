import { type RecordBatch, RecordBatchReader, type Table, tableFromIPC } from 'apache-arrow';
import type { Replay, ReplayProgress } from '../gen/api.ts';
import { call, ClientError, type Connection, request } from './call.ts';
import { sentEvents } from './sent_events.ts';

const ARROW_STREAM = 'application/vnd.apache.arrow.stream';

/** A replay that a server computes, or has computed: timelines run through a branch of the definitions. */
export class Materialization {
  readonly #connection: Connection;

  /** @param id as it was given when it was started; by whom does not matter */
  constructor(
    connection: Connection,
    readonly id: string,
  ) {
    this.#connection = connection;
  }

  /** How far it is now, and what it is made of. @throws ClientError */
  show(): Promise<Replay> {
    return call(this.#connection, 'showReplay', this.#at());
  }

  /**
   * Tells how far it is, whenever jobs are completed, up to the end: `progress` of each is for people, "3 of 25 jobs completed".
   *
   * @throws ClientError
   */
  async *progress(): AsyncGenerator<ReplayProgress> {
    for (;;) {
      const response = await request(this.#connection, 'followReplay', this.#at(), { accept: 'text/event-stream' });
      for await (const { name, data } of sentEvents(response.body!)) {
        yield JSON.parse(data) as ReplayProgress;
        if (name === 'end') return;
      }
      // A server that ends says no more of it, and another one may; one that is gone refuses the next request.
      await new Promise(resolve => setTimeout(resolve, AGAIN_MS));
    }
  }

  /**
   * Waits for the end.
   *
   * @throws ClientError where that is not that it is done: what has failed, and why
   */
  async wait(): Promise<this> {
    let last: ReplayProgress | null = null;
    for await (const progress of this.progress()) last = progress;
    if (last?.state === 'done') return this;
    const reasons = (last?.failed ?? []).map(({ reason }) => reason);
    throw new ClientError(null, null, [`replay ${this.id} is ${last?.state}`, ...reasons].join(': '));
  }

  /** @throws ClientError */
  cancel(): Promise<Replay> {
    return call(this.#connection, 'cancelReplay', this.#at());
  }

  /** Goes on with one that was stopped or interrupted, or has failed. @throws ClientError */
  resume(): Promise<Replay> {
    return call(this.#connection, 'resumeReplay', this.#at());
  }

  /** @throws ClientError */
  async delete(): Promise<void> {
    await call(this.#connection, 'deleteReplay', this.#at());
  }

  /** Events of a type with their features: `_id`, `_type`, `_time`, and a column for each feature. @throws ClientError */
  async getEvents(type: string): Promise<Table> {
    return tableFromIPC(await this.#table('replayEvents', type));
  }

  /** What is wrong with events of a type: `_id`, `_type`, `_time`, `feature` (null for the whole event), `error`. @throws ClientError */
  async getErrors(type: string): Promise<Table> {
    return tableFromIPC(await this.#table('replayErrors', type));
  }

  /** The same as `getEvents`, batch by batch: more of them than there is memory. @throws ClientError */
  async *eventBatches(type: string): AsyncGenerator<RecordBatch> {
    yield* await RecordBatchReader.from(await this.#table('replayEvents', type));
  }

  #at(): { path: { id: string } } {
    return { path: { id: this.id } };
  }

  #table(name: 'replayEvents' | 'replayErrors', type: string): Promise<Response> {
    return request(this.#connection, name, { path: { id: this.id, type } }, { accept: ARROW_STREAM });
  }
}

/** Long enough for a server to start again. */
const AGAIN_MS = 1_000;
