import { assert } from '../base/assert.ts';
import { noStages } from '../base/stages.ts';
import type { BadRecord } from '../ingest/engine.ts';
import type { Clocks } from '../kernel/clock.ts';
import type { ExplainedFeature } from '../read/explain.ts';
import { CHUNK_BYTES, CHUNK_LINES_MAX } from './chunk.ts';
import type { Refused } from '../kernel/late.ts';
import type { PackedColumns } from './columns.ts';
import type { FromShard, ShardSizes, TakenOff, ToShard } from './message.ts';

/** A worker, as the crew sees it. */
export interface Wire<To, From> {
  /** Moves the buffers of the byte arrays in it, if `moved` names them. */
  post(message: To, moved?: ArrayBufferLike[]): void;
  listen(hear: (message: From) => void): void;
  /** Resolves when nothing of the worker is left. */
  end(): Promise<void>;
}

/** Bodies are put together up to so much: what messages cost is little beside it, and more would go past idle shards. */
const JOINED_MAX_BYTES = CHUNK_BYTES / 8;

/** Lines on their way from the log into rows. */
export interface Chunk {
  /** Bodies, or parts of them; none once they have been sent. */
  lines: Uint8Array<ArrayBuffer>[];
  bytes: number;
  count: number;
  position: number;
  arrivalMicros: bigint | null;
  desk: ShardDesk | null;
  hasClocks: boolean;
  /** Behind it. */
  clocks: Clocks | null;
  bad: BadRecord[];
  changes: Uint8Array<ArrayBuffer>[] | null;
  /** There with the changes. */
  refused: Refused[];
  /** Those whose bodies end with it. */
  waiting: { resolve(): void; reject(error: unknown): void }[];
}

/** @param lines are copied: what is sent away must not be the caller's, and `slice` of a Buffer would be a view */
export function makeChunk(lines: Uint8Array, count: number, position: number, arrivalMicros: bigint | null): Chunk {
  const empty = { desk: null, hasClocks: false, clocks: null, bad: [], changes: null, refused: [], waiting: [] };
  return { lines: [new Uint8Array(lines)], bytes: lines.length, count, position, arrivalMicros, ...empty };
}

/**
 * Adds the lines that follow those of a chunk, if it has room and has not been sent, and they arrived together. What
 * small bodies cost is messages, not bytes.
 */
export function extend(chunk: Chunk, lines: Uint8Array, count: number, arrivalMicros: bigint | null): boolean {
  const bytes = chunk.bytes + lines.length;
  const hasRoom = chunk.count + count <= CHUNK_LINES_MAX && bytes <= JOINED_MAX_BYTES;
  if (chunk.desk || chunk.arrivalMicros !== arrivalMicros || !hasRoom) return false;
  chunk.lines.push(new Uint8Array(lines));
  chunk.bytes += lines.length;
  chunk.count += count;
  return true;
}

/** All of a chunk's lines, which it no longer has. */
export function takeLines(chunk: Chunk): Uint8Array<ArrayBuffer> {
  const { lines, bytes } = chunk;
  chunk.lines = [];
  if (lines.length === 1) return lines[0]!;
  const whole = new Uint8Array(bytes);
  let filled = 0;
  for (const part of lines) {
    whole.set(part, filled);
    filled += part.length;
  }
  return whole;
}

/** What the crew knows of one shard. */
export class ShardDesk {
  /** Chunks that it has been sent, in that order, until it has sent their changes. */
  readonly decoding: Chunk[] = [];
  /** Chunks that it has folded and not all the others. */
  applied = 0;
  sizes: ShardSizes = {
    ...{ dirtyCount: 0, dirtyBytes: 0, stateBytes: 0, evicted: 0, loaded: 0 },
    ...{ hasMissedRows: false, pendingRows: 0, stages: noStages() },
  };
  readonly #answers = new Map<number, PromiseWithResolvers<PackedColumns | ExplainedFeature>>();
  behind: number[] = [];
  #asked = 0;
  #told: PromiseWithResolvers<FromShard> | null = null;

  constructor(readonly wire: Wire<ToShard, FromShard>) {}

  ask(question: Omit<ToShard & { kind: 'answer' }, 'id'>): Promise<PackedColumns> {
    const { id, promise } = this.#waitFor<PackedColumns>();
    this.wire.post({ ...question, id });
    return promise;
  }

  explain(question: Omit<ToShard & { kind: 'explain' }, 'id'>): Promise<ExplainedFeature> {
    const { id, promise } = this.#waitFor<ExplainedFeature>();
    this.wire.post({ ...question, id });
    return promise;
  }

  /** What comes under the number is of the kind that was asked for. */
  #waitFor<Answer extends PackedColumns | ExplainedFeature>(): { id: number; promise: Promise<Answer> } {
    const id = this.#asked++;
    const answer = Promise.withResolvers<PackedColumns | ExplainedFeature>();
    this.#answers.set(id, answer);
    return { id, promise: answer.promise as Promise<Answer> };
  }

  takeAnswer(id: number): PromiseWithResolvers<PackedColumns | ExplainedFeature> {
    const answer = this.#answers.get(id);
    assert(answer, `nobody has asked question ${id}`);
    this.#answers.delete(id);
    return answer;
  }

  async snapshot(isSealed: boolean): Promise<TakenOff> {
    return (await this.#request({ kind: 'snapshot', isSealed })) as FromShard & { kind: 'snapshot' };
  }

  async close(): Promise<void> {
    await this.#request({ kind: 'close' });
  }

  tell(message: FromShard): void {
    const told = this.#told!;
    this.#told = null;
    told.resolve(message);
  }

  fail(error: unknown): void {
    for (const { reject } of this.#answers.values()) reject(error);
    this.#answers.clear();
    this.#told?.reject(error);
  }

  #request(message: ToShard): Promise<FromShard> {
    assert(!this.#told, 'a shard is asked one thing at a time');
    this.#told = Promise.withResolvers();
    this.wire.post(message);
    return this.#told.promise;
  }
}
