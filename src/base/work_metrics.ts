import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What is asked of a process that works in a cluster each time somebody collects. */
export interface WorkState {
  /** Of each stage: its partitions, and messages of them that it has not taken; empty where nobody says. */
  stages: { stage: 'tile' | 'fold'; partitions: number; lag: number }[];
  /** Rows changed since the last flush, over all partitions. */
  rowsDirty: number;
  /** What folded rows and their index occupy. */
  foldBytes: number;
}

/** From a flush of a quiet process to one that waits for a database that is away. */
const BARRIER_SECONDS = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** From a flush of 100 ms, which is fast, to a group that has to find out that a member has died. */
const FRESH_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 300, 3600];

/**
 * What a process that works in a cluster counts. Where it is what a server on one machine counts too, the name is the same
 * (metrics.ts). Nothing here is called for each event or change.
 */
export class WorkMetrics {
  readonly #registry = new Registry();
  readonly #tiled = this.#counter('events_tiled_total', 'Events of the topic that were tiled, a count');
  readonly #backfilled = this.#counter(
    'events_backfilled_total',
    'Earlier events of the topic that were tiled for definitions which are to come into force, a count',
  );
  readonly #bad = this.#counter(
    'events_bad_total',
    'What was sent to the topic of errors: lines that are no events, events that count nowhere, late ones; a count by code',
    'code',
  );
  readonly #changes = this.#counter('changes_folded_total', 'Changes of rows that were folded, a count');
  readonly #hits = this.#counter('changes_hit_total', 'Changes whose row was in memory, a count');
  readonly #coalesced = this.#counter(
    'changes_coalesced_total',
    'Changes that were written with others of their row, a count: each spared a write',
  );
  readonly #loaded = this.#counter('rows_loaded_total', 'Rows looked for in the database before a change, a count');
  readonly #evicted = this.#counter('rows_evicted_total', 'Rows that left memory, a count');
  readonly #rowsWritten = this.#counter('barrier_rows_total', 'Rows written to the database, a count');
  readonly #lost = this.#counter('partitions_lost_total', 'Partitions that another process has taken over, a count');
  readonly #barriers = this.#histogram(
    'barrier_seconds',
    'Time to write the changed rows of a partition to the database, in seconds',
    BARRIER_SECONDS,
  );
  readonly #fresh = this.#histogram(
    'freshness_seconds',
    "Time from the arrival of the oldest event of a message of changes, by its topic's clock, until its rows could be read, in seconds",
    FRESH_SECONDS,
  );

  constructor(state: () => Promise<WorkState>) {
    collectDefaultMetrics({ register: this.#registry });
    // One look for all gauges of a page.
    let asked: Promise<WorkState> | null = null;
    const now = () => {
      asked ??= state().finally(() => {
        asked = null;
      });
      return asked;
    };
    this.#gauge('rows_dirty', 'Rows changed since they were written, a count', async set => {
      set({}, (await now()).rowsDirty);
    });
    this.#gauge('fold_state_bytes', 'Memory that folded rows and their index occupy, in bytes', async set => {
      set({}, (await now()).foldBytes);
    });
    this.#gauge('partitions', 'Partitions that this process has, a count by stage', async set => {
      for (const { stage, partitions } of (await now()).stages) set({ stage }, partitions);
    });
    this.#gauge(
      'lag_messages',
      'Messages of its partitions that this process has not taken, a count by stage',
      async set => {
        for (const { stage, lag } of (await now()).stages) set({ stage }, lag);
      },
    );
  }

  tiled(events: number): void {
    this.#tiled.inc(events);
  }

  backfilled(events: number): void {
    this.#backfilled.inc(events);
  }

  bad(code: string): void {
    this.#bad.inc({ code });
  }

  /** @param missed rows that memory did not hold */
  folded(changes: number, missed: number): void {
    this.#changes.inc(changes);
    this.#hits.inc(changes - missed);
    this.#loaded.inc(missed);
  }

  /** @param changes that these rows have taken */
  written(seconds: number, rows: number, changes: number): void {
    this.#barriers.observe(seconds);
    this.#rowsWritten.inc(rows);
    this.#coalesced.inc(changes - rows);
  }

  evicted(rows: number): void {
    this.#evicted.inc(rows);
  }

  fresh(seconds: number): void {
    this.#fresh.observe(seconds);
  }

  lost(): void {
    this.#lost.inc();
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

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name: `tilefold_${name}`, help, buckets, registers: [this.#registry] });
  }

  #gauge(
    name: string,
    help: string,
    read: (set: (labels: Record<string, string>, value: number) => void) => Promise<void>,
  ): void {
    new Gauge({
      name: `tilefold_${name}`,
      help,
      labelNames: ['stage'],
      registers: [this.#registry],
      async collect() {
        this.reset();
        await read((labels, value) => this.set(labels, value));
      },
    });
  }
}
