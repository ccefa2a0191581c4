/**
 * Where the time goes. Stages are the steps of an event's way and of a lookup's, in their order:
 *
 * - `door`: bodies are judged, and those with a key hashed
 * - `log`: waiting until they are appended and synced
 * - `decode`, `select`, `tile`: of a batch of events, to changes of tiles
 * - `fold`, `read_back`: changes into rows, and before that rows back into memory
 * - `snapshot`, `write`: changed rows out of memory at a barrier, and into the store
 * - `evict`: rows that are written leave memory where it is full
 * - `answer`, `reply`: windows of a lookup, and its JSON
 *
 * A replay takes tile, fold and answer event by event, which is its `answer`; `reply` and `write` are its columns and
 * its file.
 */
export const STAGES = [
  'door',
  'log',
  'decode',
  'select',
  'tile',
  'fold',
  'read_back',
  'snapshot',
  'write',
  'evict',
  'answer',
  'reply',
] as const;

export type Stage = (typeof STAGES)[number];

/** Milliseconds that a thread has spent in each stage since it began. */
export type StageMs = Record<Stage, number>;

export interface ThreadStages {
  /** `main`, `shard 1`, `shard 2` ..., `writer`. */
  thread: string;
  ms: StageMs;
}

/** The stages of one thread. Two looks at the clock for each batch and stage, and nothing for each event. */
export class Stages {
  readonly ms = noStages();

  add(stage: Stage, ms: number): void {
    this.ms[stage] += ms;
  }

  /** What fails is not counted: it ends the process, or the request. */
  time<Result>(stage: Stage, work: () => Result): Result {
    const startMs = performance.now();
    const result = work();
    this.add(stage, performance.now() - startMs);
    return result;
  }

  /** For work that waits for others; while it does, this thread may be in another stage too. */
  async wait<Result>(stage: Stage, work: () => Promise<Result>): Promise<Result> {
    const startMs = performance.now();
    const result = await work();
    this.add(stage, performance.now() - startMs);
    return result;
  }
}

export function noStages(): StageMs {
  return Object.fromEntries(STAGES.map(stage => [stage, 0])) as StageMs;
}
