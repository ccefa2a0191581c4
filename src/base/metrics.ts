import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { STAGES, type ThreadStages } from './stages.ts';
import { formatDuration } from './time.ts';

/** What is asked of a running server each time somebody collects, so that nothing has to be kept up to date for it. */
export interface State {
  /** Position of the next record of the log. */
  logEnd: number;
  /** Records folded in memory. */
  folded: number;
  /** Rows changed since the last barrier. */
  rowsDirty: number;
  /** What the folded rows and their index occupy. */
  foldBytes: number;
  /** Since the start: rows that left memory, were read back into it, and were deleted from the store as expired. */
  rowsEvicted: number;
  rowsLoaded: number;
  rowsExpired: number;
  /** Records folded, rows written, and where the time went. */
  recordsFolded: number;
  rowsWritten: number;
  stages: ThreadStages[];
  /** How often tiles of a length were too old to take an event of a type, since the rows began. */
  refused: { type: string; levelMs: number; count: number }[];
  /** Events since the start by how far they were behind the clock of their type. */
  behind: Behind;
  /** Of the log to its bucket; null where there is none. */
  uploads: Uploads | null;
  /** Of definitions that are computed from the log; null where none are. */
  backfill: { folded: number; end: number; merged: number } | null;
  /** For when definitions wait, microseconds since 1970 UTC; null where none do. */
  waitsUntilMicros: bigint | null;
}

export interface Uploads {
  /** Closed segments, and those of them that the bucket has. */
  closed: number;
  uploaded: number;
  /** The bucket has every record before it. */
  position: number;
  /** Since the start: segments brought to the bucket, bytes of them, and tries that failed. */
  segments: number;
  bytes: number;
  failures: number;
}

export interface Behind {
  /** Upper bounds in seconds, ascending. */
  bounds: number[];
  /** For each type a count for each bound, one for what is beyond all of them, and the sum in seconds. */
  types: { type: string; counts: number[]; seconds: number }[];
}

/** Of a lookup on a local machine up to a large one over a slow line. */
const REQUEST_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const BARRIER_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/**
 * Everything that is counted, in the one place that knows how. Counts go up once for a request, a body of events, a
 * barrier or a bad event; nothing here is called for each event.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = new Histogram({
    name: 'tilefold_http_request_seconds',
    help: 'Time from a request to its reply, in seconds, by route, method and status; _count is how many there were',
    labelNames: ['route', 'method', 'status'],
    buckets: REQUEST_SECONDS,
    registers: [this.#registry],
  });
  readonly #accepted = this.#counter('events_accepted_total', 'Events posted and now durable, a count');
  readonly #rejected = this.#counter('events_rejected_total', 'Lines refused at the door, a count, by code', 'code');
  readonly #bad = this.#counter(
    'events_bad_total',
    'Events logged that count nowhere, a count since the start, by code; after a crash those since the last barrier count again',
    'code',
  );
  readonly #barriers = new Histogram({
    name: 'tilefold_barrier_seconds',
    help: 'Time to write changed rows and their position to the store, in seconds',
    buckets: BARRIER_SECONDS,
    registers: [this.#registry],
  });
  readonly #rowsWritten = this.#counter('barrier_rows_total', 'Rows written at barriers, a count');
  readonly #keys = this.#counter('lookup_keys_total', 'Keys looked up, a count over all entities');
  readonly #values = this.#counter('lookup_values_total', 'Values answered: keys times features, a count');

  /** @param state null while there is nothing to say yet: the gauges of it are then left out */
  constructor(state: () => State | null) {
    // Event-loop and garbage-collection figures come with it; what Bun does not measure stays 0.
    collectDefaultMetrics({ register: this.#registry });
    this.#gauge('log_end_position', 'Position of the next event of the log, a count', () => state()?.logEnd);
    this.#gauge('folded_position', 'Events of the log that lookups contain, a count', () => state()?.folded);
    this.#gauge('rows_dirty', 'Rows changed since the last barrier, a count', () => state()?.rowsDirty);
    this.#gauge(
      'fold_state_bytes',
      'Memory that folded rows and their index occupy, in bytes',
      () => state()?.foldBytes,
    );
    this.#total('rows_evicted_total', 'Rows that left memory, a count', () => state()?.rowsEvicted);
    this.#total(
      'rows_loaded_total',
      'Rows looked for in the store before a change, a count',
      () => state()?.rowsLoaded,
    );
    this.#total(
      'rows_expired_total',
      'Rows deleted because nothing can read them, a count',
      () => state()?.rowsExpired,
    );
    this.#uploads(() => state()?.uploads ?? null);
    this.#coming(() => state());
    this.#refused(() => state()?.refused ?? []);
    this.#late(() => state()?.behind ?? null);
    this.#lateness(() => state()?.behind ?? null);
    this.#stageSeconds(() => state()?.stages ?? []);
  }

  request(route: string, method: string, status: number, seconds: number): void {
    this.#requests.observe({ route, method, status }, seconds);
  }

  /** @param rejected codes, one for each line refused */
  posted(accepted: number, rejected: Iterable<string>): void {
    this.#accepted.inc(accepted);
    for (const code of rejected) this.#rejected.inc({ code });
  }

  bad(code: string): void {
    this.#bad.inc({ code });
  }

  barrier(seconds: number, rows: number): void {
    this.#barriers.observe(seconds);
    this.#rowsWritten.inc(rows);
  }

  lookup(keys: number, values: number): void {
    this.#keys.inc(keys);
    this.#values.inc(values);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #counter(name: string, help: string, ...labelNames: string[]): Counter {
    return new Counter({ name: `tilefold_${name}`, help, labelNames, registers: [this.#registry] });
  }

  /** A count that somebody else keeps. */
  #total(name: string, help: string, read: () => number | undefined): void {
    new Counter({
      name: `tilefold_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(read() ?? 0);
      },
    });
  }

  /** Without a bucket the gauges are left out, and the counts stay 0. */
  #uploads(read: () => Uploads | null): void {
    this.#total(
      'uploaded_segments_total',
      'Segments of the log brought to its bucket, a count',
      () => read()?.segments,
    );
    this.#total('uploaded_bytes_total', 'Packed segments brought to the bucket, in bytes', () => read()?.bytes);
    this.#total('upload_failures_total', 'Tries to upload a segment that failed, a count', () => read()?.failures);
    this.#gauge(
      'uploaded_position',
      'Events of the log before which the bucket has all, a count',
      () => read()?.position,
    );
    this.#gauge('upload_waiting_segments', 'Closed segments that the bucket does not have, a count', () => {
      const uploads = read();
      return uploads ? uploads.closed - uploads.uploaded : undefined;
    });
  }

  /** Of definitions that are to come into force: left out where none are. */
  #coming(read: () => State | null): void {
    const backfill = () => read()?.backfill ?? undefined;
    this.#gauge(
      'backfill_folded_position',
      'Events of the log that are folded by definitions which are computed from it, a count',
      () => backfill()?.folded,
    );
    this.#gauge('backfill_end_position', 'Events of the log that they have to fold, a count', () => backfill()?.end);
    this.#gauge('backfill_rows_merged', 'Rows of theirs among the others, a count', () => backfill()?.merged);
    this.#gauge('waiting_until_seconds', 'When definitions that wait are whole, in seconds since 1970', () => {
      const until = read()?.waitsUntilMicros ?? null;
      return until === null ? undefined : Number(until) / 1e6;
    });
  }

  #refused(read: () => State['refused']): void {
    new Counter({
      name: 'tilefold_tiles_refused_total',
      help: 'Late events that a tile no longer took, a count since the rows began, by event type and length of the tile; each group of aggregates with tiles of its own counts; lifetimes take them all the same',
      labelNames: ['type', 'tile'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { type, levelMs, count } of read()) this.inc({ type, tile: formatDuration(levelMs) }, count);
      },
    });
  }

  #late(read: () => Behind | null): void {
    new Counter({
      name: 'tilefold_events_late_total',
      help: 'Events that came behind the clock of their type, a count since the start, by event type; tiles that are kept take them',
      labelNames: ['type'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { type, counts } of read()?.types ?? []) this.inc({ type }, sumOf(counts.slice(1)));
      },
    });
  }

  /** The kernels count, and have the buckets: prom-client only writes them down. */
  #lateness(read: () => Behind | null): void {
    const name = 'tilefold_event_lateness_seconds';
    const help =
      'How far events were behind the clock of their type when they came, in seconds, since the start, by event type; le="0" are those on time';
    const get = async () => ({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: latenessValues(name, read()),
    });
    this.#registry.registerMetric({ name, help, get } as unknown as Histogram);
  }

  #stageSeconds(read: () => ThreadStages[]): void {
    new Counter({
      name: 'tilefold_stage_seconds_total',
      help: 'Time spent in each stage of the way of events and of lookups, in seconds, by thread',
      labelNames: ['stage', 'thread'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { thread, ms } of read()) for (const stage of STAGES) this.inc({ stage, thread }, ms[stage] / 1000);
      },
    });
  }

  #gauge(name: string, help: string, read: () => number | undefined): void {
    new Gauge({
      name: `tilefold_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        const value = read();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  }
}

/** Buckets, sum and count of each type, as `prom-client` has those of its own histograms. */
function latenessValues(name: string, behind: Behind | null) {
  const { bounds, types } = behind ?? { bounds: [], types: [] };
  return types.flatMap(({ type, counts, seconds }) => {
    const bucket = (le: number | string, value: number) => ({
      labels: { le, type },
      value,
      metricName: `${name}_bucket`,
    });
    const all = sumOf(counts);
    return [
      ...bounds.map((le, i) => bucket(le, sumOf(counts.slice(0, i + 1)))),
      bucket('+Inf', all),
      { labels: { type }, value: seconds, metricName: `${name}_sum` },
      { labels: { type }, value: all, metricName: `${name}_count` },
    ];
  });
}

function sumOf(counts: number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
