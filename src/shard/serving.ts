import { assert, unreachable } from '../base/assert.ts';
import { collectSoon, releaseBytes } from '../base/release.ts';
import type { Meta } from '../meta/meta.ts';
import { writeBarrier } from '../ingest/barrier.ts';
import type { BadRecord } from '../ingest/engine.ts';
import type { Keeping } from '../ingest/expiry.ts';
import type { Clocks } from '../kernel/clock.ts';
import { sealedBuffers } from '../store/sealed.ts';
import type { Store } from '../store/store.ts';
import { packColumns } from './columns.ts';
import { failureOf } from './failure.ts';
import { type FromShard, type FromWriter, type ToShard, type ToWriter, unpackKeys } from './message.ts';
import type { Shard } from './shard.ts';

type Post<From> = (message: From, moved?: ArrayBufferLike[]) => void;
type Decode = ToShard & { kind: 'decode' };

/**
 * A shard at the worker's end of the wire. Of chunks it decodes one at a time, for the kernel holds one batch: others
 * wait, and so does one whose clocks are not known yet; meanwhile changes are folded and lookups answered.
 */
export class ServedShard {
  readonly #waiting: Decode[] = [];
  #current: Decode | null = null;
  /** Of the current one, how far its clocks have been passed: up to a position, and the bad events of it. */
  #passed: { clocks: Clocks; end: number; bad: BadRecord[] } | null = null;

  constructor(
    private readonly shard: Shard,
    private readonly post: Post<FromShard>,
  ) {}

  hear(message: Exclude<ToShard, { kind: 'open' | 'close' }>): void {
    const { shard, post } = this;
    switch (message.kind) {
      case 'decode':
        this.#waiting.push(message);
        if (!this.#current && this.#waiting.length === 1) this.#next();
        break;
      case 'clocks':
        this.#takeClocks(message.clocks);
        break;
      case 'gather': {
        const sizes = shard.gather(message.share, message.clocks, message.folds);
        post({ kind: 'gathered', refused: shard.takeRefused(), sizes });
        break;
      }
      case 'before':
        this.#takeBack(message.before);
        break;
      case 'apply':
        post({ kind: 'applied', sizes: shard.apply(message.changes, message.clocks) });
        releaseBytes(message.changes);
        break;
      case 'answer':
        this.#answer(message);
        break;
      case 'explain':
        this.#explain(message);
        break;
      case 'snapshot': {
        const snapshot = shard.snapshot(message.isSealed);
        const { run, sealed } = snapshot;
        post({ kind: 'snapshot', ...snapshot }, [...run.map(({ buffer }) => buffer), ...sealed.flatMap(sealedBuffers)]);
        break;
      }
      case 'settle':
        post({ kind: 'settled', sizes: shard.settle(message.targetBytes), behind: shard.behind() });
        collectSoon();
        break;
      default:
        unreachable(message);
    }
  }

  #next(): void {
    const chunk = this.#waiting.shift();
    if (!chunk) return;
    this.#current = chunk;
    this.shard.parse(chunk.lines, chunk.position);
    releaseBytes(chunk.lines);
    if (chunk.clocks) this.#finish(chunk, chunk.clocks);
  }

  /** In a turn of its own nobody would hear what goes wrong. */
  #nextOrFail(): void {
    try {
      this.#next();
    } catch (error) {
      this.post({ kind: 'failed', failure: failureOf(error) });
    }
  }

  /** They come in the order of the chunks that were sent without. */
  #takeClocks(clocks: Clocks): void {
    if (this.#current) {
      this.#finish(this.#current, clocks);
      return;
    }
    const chunk = this.#waiting.find(one => one.clocks === null);
    assert(chunk, 'clocks are of a chunk that waits for them');
    chunk.clocks = clocks;
  }

  /**
   * A chunk is one batch of the kernel, but where it has lists or upserts enough to fill several, or nobody waits for it: then
   * all of them but the last are picked before the clocks behind the chunk are known.
   */
  #finish({ position }: Decode, clocks: Clocks): void {
    this.#passed = { clocks, end: position, bad: [] };
    while (this.#pass()) this.#pickMore();
  }

  /** What upserts take back is there, and the batch can be tiled. */
  #takeBack(before: Uint8Array<ArrayBuffer>): void {
    this.shard.takeBack(before);
    releaseBytes(before);
    if (this.#passed) {
      do this.#pickMore();
      while (this.#pass());
    } else this.#tile();
  }

  #pickMore(): void {
    this.shard.pick();
    this.shard.parseNext(this.#passed!.end);
  }

  /** Moves the clocks past the batch. True where another one follows that nothing has to be waited for. */
  #pass(): boolean {
    const { shard, post } = this;
    const { count, position, arrivalMicros } = this.#current!;
    const passed = this.#passed!;
    const { clocks, bad } = shard.pass(passed.clocks, passed.end, arrivalMicros);
    passed.clocks = clocks;
    passed.bad = [...passed.bad, ...bad];
    passed.end += shard.count;
    const upserts = shard.upserts();
    if (upserts) post({ kind: 'listed', upserts }, [upserts.buffer]);
    if (!shard.isDone) return upserts === null;
    assert(passed.end === position + count, 'a chunk holds the events that were counted when it was cut');
    // The next chunk's worker waits for them, and for nothing else.
    post({ kind: 'passed', clocks, bad: passed.bad });
    this.#passed = null;
    if (!upserts) this.#tile();
    return false;
  }

  #tile(): void {
    const { shard, post } = this;
    shard.pick();
    const changes = shard.tile();
    post(
      { kind: 'tiled', changes, refused: shard.takeRefused() },
      changes.map(({ buffer }) => buffer),
    );
    this.#current = null;
    // Whatever has come meanwhile goes first.
    if (this.#waiting.length > 0) setImmediate(() => this.#nextOrFail());
  }

  /** A lookup that fails is its own affair. */
  #answer({ id, entity, features, keys, timeMicros, isPast }: ToShard & { kind: 'answer' }): void {
    try {
      const answer = this.shard.answer(entity, features, unpackKeys(keys), timeMicros, isPast);
      const columns = packColumns(answer, keys.ends.length);
      this.post({ kind: 'answered', id, columns, stages: this.shard.stages.ms }, [columns.bytes.buffer]);
    } catch (error) {
      this.post({ kind: 'refused', id, failure: failureOf(error) });
    }
  }

  #explain({ id, entity, feature, key, timeMicros, isPast }: ToShard & { kind: 'explain' }): void {
    try {
      this.post({ kind: 'explained', id, explained: this.shard.explain(entity, feature, key, timeMicros, isPast) });
    } catch (error) {
      this.post({ kind: 'refused', id, failure: failureOf(error) });
    }
  }
}

/** Parts of a run, each of which goes as soon as it has been read. */
function* read(run: Uint8Array<ArrayBuffer>[]): Generator<Uint8Array> {
  for (const part of run) {
    yield part;
    releaseBytes(part);
  }
}

/** The one that writes, at the worker's end of the wire. */
export class ServedWriter {
  constructor(
    private readonly store: Store,
    private readonly meta: Meta,
    private readonly keeping: Keeping[],
    private readonly post: Post<FromWriter>,
  ) {}

  hear({ runs, sealed, isBulk, rowCount, mark, errors, late, merged }: ToWriter & { kind: 'write' }): void {
    const startMs = performance.now();
    const work = { rows: { runs: runs.map(read), sealed, isBulk }, rowCount, mark, errors, late, merged };
    const expired = writeBarrier(this.store, this.meta, this.keeping, work);
    for (const { packs } of sealed) releaseBytes(packs);
    collectSoon();
    this.post({ kind: 'written', expired, seconds: (performance.now() - startMs) / 1000 });
  }
}
