/**
 * `tilefold/client`: the HTTP API for Bun, Node, Deno and browsers, typed by the document of the API.
 *
 *     const client = new Client({ url: 'http://localhost:8080' });
 *     await client.createTimelineFromLog('week', { last: '7d' });
 *     const run = await client.distributedMaterializeMany(['week'], { branch: 'risk' });
 *     for await (const { progress } of run.progress()) console.log(progress);
 *     const payments = await run.getEvents('payment');
 */
import type {
  Answer,
  BranchSaved,
  Branches,
  Enriched,
  Events,
  Lookup,
  NewReplay,
  NewTimeline,
  Receipt,
  Replay,
  Replays,
  Timeline,
} from '../gen/api.ts';
import { type Connection, call, ClientError, type Input, type OperationName, request } from './call.ts';
import { Materialization } from './materialization.ts';

export type * from '../gen/api.ts';
export { ClientError, type Connection, type Input, type OperationName } from './call.ts';
export { Materialization } from './materialization.ts';

/** Which events of the log are saved. */
export type LogSelection = Omit<NewTimeline, 'name' | 'from'>;

/** What a file holds, and of tables what their columns are called. */
export interface FileSelection {
  format: 'ndjson' | 'csv' | 'tsv' | 'parquet';
  /** Of NDJSON, CSV and TSV: they are sent as they are. */
  packed?: 'gzip' | 'zstd';
  /** Of CSV and Parquet without a column `_type`: the type of all their events. */
  type?: string;
  /** Columns of CSV and Parquet, instead of `_time` and `_id`. */
  time?: string;
  id?: string;
}

/** What is replayed of timelines. */
export type ReplaySelection = Omit<NewReplay, 'timelines'>;

const CONTENT_TYPES: Record<FileSelection['format'], string> = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
  tsv: 'text/tab-separated-values',
  parquet: 'application/vnd.apache.parquet',
};

/** How often it is asked whether a timeline is ready: at first, and at last. */
const LOOK_FIRST_MS = 50;
const LOOK_LAST_MS = 2_000;

/** Whatever is refused is a `ClientError`, with the problem as the server tells it. */
export class Client {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Any operation of the API, by its name in the document. */
  call<Name extends OperationName>(name: Name, input: Input<Name>) {
    return call(this.#connection, name, input);
  }

  /** Posts one event, or several at once. A batch that is sent again under the same key counts once. */
  postEvents(events: Events, { idempotencyKey }: { idempotencyKey?: string } = {}): Promise<Receipt> {
    const headers = { 'Idempotency-Key': idempotencyKey } as Input<'postEvents'>['headers'] & object;
    return call(this.#connection, 'postEvents', { headers, body: events }) as Promise<Receipt>;
  }

  /** Posts events, and has each answered with its features, as of itself. */
  enrich(events: Events): Promise<Enriched> {
    return call(this.#connection, 'postEvents', { query: { features: 'true' }, body: events }) as Promise<Enriched>;
  }

  /** Values of features for keys of entities, column by column. */
  lookUp(lookup: Lookup): Promise<Answer> {
    return call(this.#connection, 'lookUp', { body: lookup });
  }

  /** Saves events of the log as the next version under a name, and waits until it is ready. */
  async createTimelineFromLog(name: string, selection: LogSelection = {}): Promise<Timeline> {
    return this.#ready(await call(this.#connection, 'createTimeline', { body: { ...selection, name, from: 'log' } }));
  }

  /** @deprecated Of the latest events alone: `createTimelineFromLog` is meant. */
  async createTimelineFromFeed(name: string, selection: LogSelection = {}): Promise<Timeline> {
    return this.#ready(await call(this.#connection, 'createTimeline', { body: { ...selection, name, from: 'feed' } }));
  }

  /** Saves a file likewise: a text, bytes, a `Blob`, or whatever else `fetch` sends. */
  async createTimelineFromFile(name: string, file: BodyInit, selection: FileSelection): Promise<Timeline> {
    const { format, packed, ...query } = selection;
    const headers = { 'content-type': CONTENT_TYPES[format], ...(packed && { 'content-encoding': packed }) };
    const sent = { bytes: file, headers };
    const response = await request(this.#connection, 'uploadTimeline', { path: { name }, query }, { sent });
    return this.#ready((await response.json()) as Timeline);
  }

  async listTimelines(): Promise<Timeline[]> {
    return (await call(this.#connection, 'listTimelines', {})).timelines;
  }

  /** Without a version, all of the name. */
  async deleteTimeline(name: string): Promise<void> {
    await call(this.#connection, 'deleteTimeline', { path: { name } });
  }

  /**
   * Saves definitions as the next version of a branch.
   *
   * @param definitions texts by the names of their files: `{ 'risk.scowl': '...' }`
   */
  saveBranch(
    name: string,
    definitions: Record<string, string>,
    { message, author }: { message: string; author?: string },
  ): Promise<BranchSaved> {
    const files = Object.entries(definitions).map(([file, text]) => ({ file, text }));
    const body = { definitions: files, message, ...(author !== undefined && { author }) };
    return call(this.#connection, 'saveBranch', {
      path: { name },
      body: body as Input<'saveBranch'>['body'],
    });
  }

  async listBranches(): Promise<Branches['branches']> {
    return (await call(this.#connection, 'listBranches', {})).branches;
  }

  /** Replays one timeline, and waits for the end. */
  materialize(timeline: string, selection: ReplaySelection = {}): Promise<Materialization> {
    return this.materializeMany([timeline], selection);
  }

  /** Replays timelines as one stream, and waits for the end. */
  async materializeMany(timelines: string[], selection: ReplaySelection = {}): Promise<Materialization> {
    return (await this.distributedMaterializeMany(timelines, selection)).wait();
  }

  /** Starts the same, and does not wait: its `progress` says how far it is. */
  async distributedMaterializeMany(timelines: string[], selection: ReplaySelection = {}): Promise<Materialization> {
    const body = { ...selection, timelines } as NewReplay;
    const { id } = await call(this.#connection, 'startReplay', { body });
    return this.materialization(id);
  }

  /** One that was started before, by whomever. */
  materialization(id: string): Materialization {
    return new Materialization(this.#connection, id);
  }

  /** All that there are, the newest first: who wants a few ends the loop. @throws ClientError */
  async *materializations(): AsyncGenerator<Replay> {
    let after: string | null = null;
    do {
      const page: Replays = await call(this.#connection, 'listReplays', { query: after === null ? {} : { after } });
      yield* page.replays;
      after = page.next;
    } while (after !== null);
  }

  async listMaterializations(): Promise<Replay[]> {
    const all: Replay[] = [];
    for await (const one of this.materializations()) all.push(one);
    return all;
  }

  /** @throws ClientError where it cannot be made */
  async #ready(begun: Timeline): Promise<Timeline> {
    const name = `${begun.name}@${begun.version}`;
    let timeline = begun;
    for (let waitMs = LOOK_FIRST_MS; timeline.state === 'processing'; waitMs = Math.min(waitMs * 2, LOOK_LAST_MS)) {
      await new Promise(resolve => setTimeout(resolve, waitMs));
      timeline = await call(this.#connection, 'showTimeline', { path: { name } });
    }
    if (timeline.state === 'ready') return timeline;
    throw new ClientError(null, null, `timeline ${name} could not be made: ${timeline.error}`);
  }
}
