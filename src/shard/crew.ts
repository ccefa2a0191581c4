import { assert, unreachable } from '../base/assert.ts';
import { collectSoon } from '../base/release.ts';
import type { Behind } from '../base/metrics.ts';
import { Stages, type ThreadStages } from '../base/stages.ts';
import type { TypeClock } from '../base/time.ts';
import type { BadRecord, Engine, Watcher } from '../ingest/engine.ts';
import { DIRTY_SHARE, ERRORS_PENDING_MAX } from '../ingest/engine.ts';
import { LateLedger, type RefusedCount } from '../ingest/late.ts';
import { changesByShard } from '../kernel/change.ts';
import { type Clocks, clocksOf, greatestOf, namedClocks, seeClocks } from '../kernel/clock.ts';
import type { FoldedRow } from '../kernel/folded_row.ts';
import type { Fold } from '../kernel/fold.ts';
import { shardOf } from '../kernel/key.ts';
import { behindCounts, behindOf, type Refused } from '../kernel/late.ts';
import type { AnswerFeature, Layout } from '../kernel/layout.ts';
import { type FeatureColumn, spreadRows } from '../kernel/feature_column.ts';
import {
  type Answer,
  Asker,
  emptyColumns,
  explanationOf,
  type Lookup,
  type Question,
  type QuestionPart,
  withSince,
} from '../read/read.ts';
import type { Explain, Explanation } from '../read/explain.ts';
import type { LateRow } from '../meta/meta.ts';
import { sealedBuffers } from '../store/sealed.ts';
import type { Mark } from '../store/store.ts';
import { cutChunk } from './chunk.ts';
import { unpackColumns } from './columns.ts';
import { Dealer } from './dealer.ts';
import { type Chunk, extend, makeChunk, ShardDesk, takeLines, type Wire } from './desk.ts';
import { errorOf } from './failure.ts';
import {
  type FromShard,
  type FromWriter,
  packKeys,
  type ShardSizes,
  type TakenOff,
  type ToShard,
  type ToWriter,
} from './message.ts';

/**
 * Chunks that a shard has to decode: the one at work, and the next. A lookup waits for both of them at most, and for the
 * changes of as many.
 */
const CHUNKS_PER_SHARD = 2;

/**
 * Dirty rows that bring a barrier forward, where somebody waits for what is folded: a snapshot of so many takes some twenty
 * milliseconds, and nothing is folded or answered meanwhile.
 */
const DIRTY_MAX = 200_000;

/**
 * As `DIRTY_SHARE`, where somebody waits: what a barrier writes is copied, and as much may become dirty meanwhile. The last
 * barrier is written when nothing else is left to be done, so it should be a small part of all.
 */
const DIRTY_SHARE_WAITED = 1 / 8;

/**
 * Where nobody waits, so many shards or fewer compress what they give to the writer, and each makes a run of it. The writer then
 * has neither to merge nor to compress; of more shards it would have to merge what they have compressed.
 */
const SEALING_SHARDS_MAX = 3;

/** Memory may run over its bound by so much while a barrier is under way; then folding waits for it. */
const OVER_MAX = 1.5;

export interface CrewParts {
  /** Of a plan laid out in this thread, where nothing is folded: names, moments and keys of lookups are checked by it. */
  layout: Layout;
  shards: Wire<ToShard, FromShard>[];
  /** The only shard is in this thread. */
  isHere: boolean;
  writer: Wire<ToWriter, FromWriter>;
  /** Where the last rows of upserts are, in this thread; null where the plan has none. */
  lastRows: Fold | null;
  /** How far the store's rows have been folded; all have been opened with it. */
  mark: Mark;
  /** Of the store that the writer writes to. */
  isSettled: () => boolean;
  /** What had been too late by then. */
  late: LateRow[];
  foldMemoryBytes: number;
  onFailure: (error: unknown) => void;
  watcher?: Watcher | undefined;
  /** Of this thread. */
  stages: Stages;
}

/**
 * Folding, answering and writing in several threads.
 *
 *   main     cut -- chunk --> decode in any worker -- clocks, in the log's order --> tile -- changes --> main
 *   main     -- changes of each shard, in the log's order --> fold in the worker that has the shard
 *   behind   decode here, in the log's order -- events of each shard --> tile and fold in the worker that has the shard
 *   barrier  snapshot of every shard at one position --> writer: one transaction --> settle
 *
 * Upserts (kernel/upsert.ts) are completed here, between clocks and tile: one worker after the other lists those of its chunk,
 * as clocks go from one to the next, and is told what they take back. So the last rows are ahead of what is folded; for a
 * barrier no clocks are handed on until that has caught up.
 *
 * Messages to a worker arrive in the order in which they were sent, and changes of a chunk are sent to all at once. So a
 * lookup, sent to some of them at once, is answered by all as of the same position, and contains all that was acknowledged.
 *
 * Where the log is ahead of the rows nobody asks, and nobody waits for anything but the end: then this thread decodes, which is
 * the smaller part of the work, and deals events out to the shards that have their keys (dealer.ts). No shard waits for another.
 */
export class Crew implements Engine {
  readonly #parts: CrewParts;
  readonly #shards: ShardDesk[];
  readonly #asker: Asker;
  /** In the log's order, from the first that is not folded yet. */
  readonly #chunks: Chunk[] = [];
  /** Of chunks that shards have been sent, so many are not folded by all of them yet. */
  #applying = 0;
  readonly #dealer: Dealer;
  /** A barrier waits for what has been dealt out. */
  #isHeld = false;
  #folded: number;
  /** Null while lines wait to be decoded here: how many events they are nobody has counted. */
  #expected: number | null;
  /** Of what was given last more follows, and nobody waits for it. */
  #isBehind = false;
  /** Chunks are sent as soon as this turn's are there. */
  #isAdvancing = false;
  /** Told when what is folded has caught up with the last rows; no clocks are handed on before. */
  #drained: PromiseWithResolvers<void> | null = null;
  #foldedClocks: Clocks;
  #errors: BadRecord[] = [];
  readonly #late: LateLedger;
  /** How far rows from elsewhere have been merged in, since the last barrier. */
  #merged: string | null = null;
  #expiredRows = 0;
  #writtenRows = 0;
  readonly #writerStages = new Stages();
  /** Where the store is. */
  #written: number;
  #barrier: Promise<void> | null = null;
  #writerDone: { resolve(message: FromWriter & { kind: 'written' | 'closed' }): void } | null = null;
  #waiting: (() => void)[] = [];
  #failure: unknown = null;
  #closed = false;

  constructor(parts: CrewParts, moments: { nowMicros: () => bigint }) {
    this.#parts = parts;
    const { layout, mark, shards, writer, lastRows } = parts;
    lastRows?.resume(mark.highest);
    this.#foldedClocks = clocksOf(layout, mark.clocks);
    this.#folded = this.#expected = this.#written = mark.position;
    seeClocks(layout, this.#foldedClocks);
    this.#late = new LateLedger(layout, parts.late);
    this.#asker = new Asker({ layout, position: () => this.#folded - 1, nowMicros: moments.nowMicros });
    this.#shards = shards.map(wire => new ShardDesk(wire));
    this.#dealer = new Dealer({
      ...{ layout, lastRows, shards: shards.length, foldMemoryBytes: parts.foldMemoryBytes, stages: parts.stages },
      at: () => ({ position: this.#folded, clocks: this.#foldedClocks }),
      pass: (count, clocks, bad) => this.#passTo(this.#folded + count, clocks, bad, []),
      mayDecode: () => !this.#isHeld && this.#hasMemory(),
      send: (shares, folds) => this.#sendShares(shares, folds),
    });
    for (const [i, { wire }] of this.#shards.entries())
      wire.listen(message => this.#guard(() => this.#hear(i, message)));
    writer.listen(message => this.#guard(() => this.#hearWriter(message)));
  }

  get folded(): number {
    return this.#folded;
  }

  get expiredRows(): number {
    return this.#expiredRows;
  }

  get writtenRows(): number {
    return this.#writtenRows;
  }

  /** As each said last; those of a shard in this thread are this thread's. */
  stages(): ThreadStages[] {
    const threads = this.#parts.isHere ? [] : this.#shards;
    const shards = threads.map(({ sizes }, i) => ({ thread: `shard ${i + 1}`, ms: sizes.stages }));
    return [...shards, { thread: 'writer', ms: this.#writerStages.ms }];
  }

  greatestClock(): bigint | null {
    return greatestOf(this.#parts.layout, this.#foldedClocks);
  }

  refused(): RefusedCount[] {
    return this.#late.counts();
  }

  /** Of what is decoded here, and as each shard said at the last barrier, of the chunks that it has decoded. */
  behind(): Behind {
    const { layout } = this.#parts;
    const sums = behindCounts(layout).map((count, i) =>
      this.#shards.reduce((sum, { behind }) => sum + (behind[i] ?? 0), count),
    );
    return behindOf(layout, sums);
  }

  clocks(): Map<string, TypeClock> {
    return namedClocks(this.#parts.layout, this.#foldedClocks);
  }

  /** Sums over the shards, as each said last. */
  sizes(): Omit<ShardSizes, 'hasMissedRows' | 'pendingRows' | 'stages'> {
    const sum = { dirtyCount: 0, dirtyBytes: 0, stateBytes: 0, evicted: 0, loaded: 0 };
    const { lastRows } = this.#parts;
    for (const sizes of [...this.#shards.map(desk => desk.sizes), ...(lastRows ? [lastRows] : [])]) {
      sum.dirtyCount += sizes.dirtyCount;
      sum.dirtyBytes += sizes.dirtyBytes;
      sum.stateBytes += sizes.stateBytes;
      sum.evicted += sizes.evicted;
      sum.loaded += sizes.loaded;
    }
    return sum;
  }

  async fold(lines: Uint8Array, position: number, arrivalMicros: bigint | null, isBehind = false): Promise<void> {
    if (this.#failure) throw this.#failure;
    assert(!this.#closed, 'nothing is folded by a crew that is closed');
    const expected = this.#expected ?? position;
    assert(position === expected, `lines from ${position} on, where ${expected} is the next`);
    if (lines.length === 0) return isBehind ? undefined : this.#foldedAll();
    this.#isBehind = isBehind;
    // Behind what somebody waits for, these are chunks like those before them.
    if (isBehind && this.#chunks.length === 0) return this.#catchUp(lines, position, arrivalMicros);
    let next = position;
    for (let from = 0; from < lines.length; ) {
      const { end, count } = cutChunk(lines, from);
      const part = lines.subarray(from, end);
      const last = this.#chunks.at(-1);
      if (!last || !extend(last, part, count, arrivalMicros))
        this.#chunks.push(makeChunk(part, count, next, arrivalMicros));
      next += count;
      from = end;
    }
    this.#expected = next;
    const { waiting } = this.#chunks.at(-1)!;
    const folded = new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
    this.#advanceSoon();
    await folded;
  }

  /** Whatever was made durable at once has been added by then. */
  #advanceSoon(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    queueMicrotask(() => {
      this.#isAdvancing = false;
      this.#guard(() => this.#advance());
    });
  }

  /** Rows of the store's order come bit by bit: the caller waits for a barrier now and then. */
  merge(rows: FoldedRow[], progress: string): void {
    if (this.#failure) throw this.#failure;
    const { kernel } = this.#parts.layout;
    const clocks = this.#foldedClocks;
    for (const [i, changes] of changesByShard(kernel, rows, this.#shards.length).entries())
      this.#shards[i]!.wire.post({ kind: 'apply', changes, clocks }, [changes.buffer]);
    this.#applying++;
    this.#merged = progress;
  }

  async room(): Promise<void> {
    while (!this.#hasRoom()) {
      if (this.#failure) throw this.#failure;
      await new Promise<void>(resolve => this.#waiting.push(resolve));
    }
  }

  /** What is folded now is in the store when it resolves. */
  async barrier(): Promise<void> {
    const position = this.#folded;
    // One that is under way may have begun before the latest errors and rows.
    while (this.#barrier) await this.#barrier;
    if (this.#written >= position && this.#errors.length === 0 && this.#merged === null) return;
    await this.#startBarrier();
  }

  async settle(): Promise<void> {
    if (this.#failure) throw this.#failure;
    while (this.#barrier) await this.#barrier;
    if (!this.#closed && !this.#parts.isSettled()) await this.#startBarrier();
  }

  /** @throws Fault as `Asker.ask`, `corrupt` where a row is */
  async lookup(request: Lookup): Promise<Answer> {
    if (this.#failure) throw this.#failure;
    this.#dealer.foldGathered();
    const question = this.#asker.ask(request);
    // All are asked before anything else can be: they answer as of one position.
    const { timeMicros, isPast, position, parts } = question;
    const columns = await Promise.all(parts.map(part => this.#answer(question, part)));
    const { kernel } = this.#parts.layout;
    const entities = parts.map(({ answer, features, keys }, i) => {
      kernel.exports.coverAt(answer.index, timeMicros, isPast ? 1 : 0);
      return { entity: answer.entity, keys, features: withSince(kernel, answer, features, columns[i]!) };
    });
    return { timeMicros, position, entities };
  }

  /** @throws Fault as `lookup` */
  async explain(request: Explain): Promise<Explanation> {
    if (this.#failure) throw this.#failure;
    this.#dealer.foldGathered();
    const question = this.#asker.askOne(request);
    const { answer, feature, encoded, timeMicros, isPast } = question;
    const shard = this.#rowsByShard(answer.entity, [encoded]).findIndex(rows => rows.length > 0);
    const { name } = feature.feature;
    const asked = { kind: 'explain', entity: answer.entity, feature: name, key: encoded, timeMicros, isPast } as const;
    return explanationOf(question, await this.#shards[shard]!.explain(asked));
  }

  async close(): Promise<void> {
    assert(!this.#closed, 'an engine is closed once');
    if (this.#failure) throw this.#failure;
    await this.barrier();
    this.#closed = true;
    await Promise.all(this.#shards.map(desk => desk.close()));
    await this.#toWriter({ kind: 'close' });
    await this.#end();
  }

  async #end(): Promise<void> {
    await Promise.all([this.#parts.writer, ...this.#parts.shards].map(wire => wire.end()));
  }

  // --- chunks

  /** Sends what can be sent: chunks to be decoded, clocks as they become known, and changes in the log's order. */
  #advance(): void {
    if (this.#chunks.length > 0) {
      // The clocks before the first chunk are known when all that was to be caught up with is decoded.
      if (!this.#dealer.isIdle) return;
      this.#dealer.foldGathered();
    }
    let clocks: Clocks | null = this.#foldedClocks;
    for (const chunk of this.#chunks) {
      if (this.#drained) clocks = null;
      if (!chunk.desk) {
        const desk = this.#freeDesk();
        if (!desk) break;
        this.#decode(chunk, desk, clocks);
      } else if (clocks && !chunk.hasClocks) {
        chunk.hasClocks = true;
        chunk.desk.wire.post({ kind: 'clocks', clocks });
      }
      clocks = chunk.clocks;
    }
    while (this.#chunks[0]?.changes && this.#applying < CHUNKS_PER_SHARD * this.#shards.length)
      this.#apply(this.#chunks.shift()!);
    if (this.#drained && !this.#isAhead()) this.#drained.resolve();
    this.#wake();
  }

  /** The one with the fewest chunks to decode; null where all have their hands full. */
  #freeDesk(): ShardDesk | null {
    const desk = this.#shards.reduce((least, one) => (one.decoding.length < least.decoding.length ? one : least));
    return desk.decoding.length < CHUNKS_PER_SHARD ? desk : null;
  }

  #decode(chunk: Chunk, desk: ShardDesk, clocks: Clocks | null): void {
    chunk.desk = desk;
    chunk.hasClocks = clocks !== null;
    desk.decoding.push(chunk);
    const { count, position, arrivalMicros } = chunk;
    const lines = takeLines(chunk);
    desk.wire.post({ kind: 'decode', lines, count, position, arrivalMicros, clocks }, [lines.buffer]);
  }

  #apply(chunk: Chunk): void {
    const clocks = chunk.clocks!;
    for (const [i, changes] of chunk.changes!.entries())
      this.#shards[i]!.wire.post({ kind: 'apply', changes, clocks }, [changes.buffer]);
    this.#applying++;
    this.#passTo(chunk.position + chunk.count, clocks, chunk.bad, chunk.refused);
    for (const { resolve } of chunk.waiting) resolve();
  }

  /** Whatever is asked from now on is asked as of there. */
  #passTo(position: number, clocks: Clocks, bads: BadRecord[], refused: Refused[]): void {
    this.#folded = position;
    this.#foldedClocks = clocks;
    seeClocks(this.#parts.layout, clocks);
    this.#late.add(refused);
    for (const bad of bads) {
      this.#errors.push(bad);
      this.#parts.watcher?.bad(bad.code);
    }
  }

  // --- catching up

  #catchUp(lines: Uint8Array, position: number, arrivalMicros: bigint | null): Promise<void> {
    this.#expected = null;
    const decoded = this.#dealer.add(lines, position, arrivalMicros);
    this.#guard(() => this.#dealOn());
    return decoded;
  }

  #dealOn(): void {
    this.#dealer.goOn();
    if (this.#dealer.isIdle && this.#chunks.length === 0) this.#expected = this.#folded;
    this.#wake();
  }

  #sendShares(shares: Uint8Array<SharedArrayBuffer>[], folds: (shard: number) => boolean): void {
    const clocks = this.#foldedClocks;
    for (const [i, share] of shares.entries())
      this.#shards[i]!.wire.post({ kind: 'gather', share, clocks, folds: folds(i) });
  }

  /** Resolves when all that is decoded here is folded. */
  async #foldedAll(): Promise<void> {
    this.#dealer.foldGathered();
    await this.#dealer.settled();
  }

  #hear(from: number, message: FromShard): void {
    const desk = this.#shards[from]!;
    switch (message.kind) {
      case 'passed': {
        const chunk = desk.decoding.find(one => one.clocks === null)!;
        chunk.clocks = message.clocks;
        chunk.bad = message.bad;
        this.#advance();
        break;
      }
      case 'listed': {
        const { lastRows, stages } = this.#parts;
        const before = stages.time('fold', () => lastRows!.complete(message.upserts).slice());
        desk.wire.post({ kind: 'before', before }, [before.buffer]);
        break;
      }
      case 'tiled':
        this.#takeChanges(desk.decoding.shift()!, message);
        this.#advance();
        break;
      case 'gathered':
        desk.sizes = message.sizes;
        this.#late.add(message.refused);
        this.#dealer.takeGathered(from);
        this.#bringForward();
        this.#dealOn();
        this.#advance();
        break;
      case 'applied':
        desk.sizes = message.sizes;
        desk.applied++;
        this.#countApplied();
        this.#bringForward();
        this.#advance();
        break;
      case 'answered':
        desk.sizes.stages = message.stages;
        desk.takeAnswer(message.id).resolve(message.columns);
        break;
      case 'explained':
        desk.takeAnswer(message.id).resolve(message.explained);
        break;
      case 'refused':
        desk.takeAnswer(message.id).reject(errorOf(message.failure));
        break;
      case 'settled':
        desk.sizes = message.sizes;
        desk.behind = message.behind;
        this.#wake();
        break;
      case 'snapshot':
        desk.sizes.pendingRows = 0;
        desk.tell(message);
        break;
      case 'closed':
        desk.tell(message);
        break;
      case 'opened':
        break;
      case 'failed':
        throw errorOf(message.failure);
      default:
        unreachable(message);
    }
  }

  #takeChanges(chunk: Chunk, { changes, refused }: FromShard & { kind: 'tiled' }): void {
    chunk.changes = changes;
    chunk.refused = refused;
  }

  /** A chunk is folded when every shard has said so. */
  #countApplied(): void {
    if (this.#shards.some(({ applied }) => applied === 0)) return;
    for (const desk of this.#shards) desk.applied--;
    this.#applying--;
  }

  // --- barriers

  #bringForward(): void {
    if (this.#barrier || !this.#isDue()) return;
    this.#startBarrier().catch(error => this.#fail(error));
  }

  #isOver(factor: number): boolean {
    const most = this.#shareBytes * factor;
    return this.#shards.some(({ sizes }) => sizes.stateBytes > most) || (this.#parts.lastRows?.stateBytes ?? 0) > most;
  }

  #isDue(): boolean {
    if (this.#isOver(1) || this.#isDirty(1) || this.#errors.length > ERRORS_PENDING_MAX) return true;
    return this.#isPending || (!this.#isBehind && this.sizes().dirtyCount > DIRTY_MAX);
  }

  /** Rows that are put away wait for a barrier. */
  get #isPending(): boolean {
    return this.#shards.some(({ sizes }) => sizes.pendingRows > 0);
  }

  #isDirty(factor: number): boolean {
    const share = this.#mayTakeLong ? DIRTY_SHARE : DIRTY_SHARE_WAITED;
    return this.sizes().dirtyBytes > this.#parts.foldMemoryBytes * share * factor;
  }

  get #shareBytes(): number {
    const { foldMemoryBytes, lastRows } = this.#parts;
    return foldMemoryBytes / (this.#shards.length + (lastRows ? 1 : 0));
  }

  /** Do the last rows contain records that are not folded yet? */
  #isAhead(): boolean {
    return this.#chunks.some(({ hasClocks }) => hasClocks);
  }

  /** Resolves when they do not; until `#goOn` no clocks are handed on. */
  #drain(): Promise<void> {
    this.#drained = Promise.withResolvers<void>();
    return this.#drained.promise;
  }

  #startBarrier(): Promise<void> {
    assert(!this.#barrier, 'one barrier at a time');
    this.#barrier = this.#writeBarrier().finally(() => {
      this.#barrier = null;
      this.#guard(() => this.#dealOn());
    });
    return this.#barrier;
  }

  async #writeBarrier(): Promise<void> {
    const { layout, watcher, lastRows, stages } = this.#parts;
    const startMs = performance.now();
    // Nothing more is sent until snapshots have been asked for.
    this.#isHeld = true;
    await this.#foldedAll();
    if (lastRows && this.#isAhead()) await this.#drain();
    const errors = this.#errors;
    const merged = this.#merged;
    this.#errors = [];
    const late = this.#late.take();
    this.#merged = null;
    const position = this.#folded;
    const clocks = namedClocks(layout, this.#foldedClocks);
    const isSealed = this.#mayTakeLong;
    const isBulk = isSealed && !this.#shards.some(({ sizes }) => sizes.hasMissedRows);
    const asked = Promise.all(this.#shards.map(desk => desk.snapshot(isSealed)));
    const last = lastRows ? [stages.time('snapshot', () => snapshotOf(lastRows))] : [];
    this.#isHeld = false;
    this.#guard(() => this.#dealOn());
    this.#goOn();
    const snapshots = [...(await asked), ...last];
    const rowCount = snapshots.reduce((sum, one) => sum + one.rowCount, 0);
    const mark = { position, clocks, highest: snapshots.flatMap(one => one.highest) };
    const runs = snapshots.map(one => one.run).filter(run => run.length > 0);
    const sealed = snapshots.flatMap(one => one.sealed);
    const done = await this.#toWriter({ kind: 'write', runs, sealed, isBulk, rowCount, mark, errors, late, merged }, [
      ...runs.flatMap(run => run.map(({ buffer }) => buffer)),
      ...sealed.flatMap(sealedBuffers),
    ]);
    assert(done.kind === 'written', 'the writer answers what it was asked');
    this.#written = position;
    collectSoon();
    this.#expiredRows += done.expired;
    this.#writtenRows += rowCount;
    this.#writerStages.add('write', done.seconds * 1000);
    for (const { wire, sizes } of this.#shards) {
      wire.post({ kind: 'settle', targetBytes: this.#targetBytes(sizes) });
    }
    if (lastRows) {
      lastRows.settle();
      stages.time('evict', () => lastRows.evict(this.#targetBytes(lastRows)));
    }
    watcher?.barrier((performance.now() - startMs) / 1000, rowCount);
  }

  /** Of rows that take up too much half of what they may is left. */
  #targetBytes({ stateBytes }: Pick<ShardSizes, 'stateBytes'>): number {
    return stateBytes > this.#shareBytes ? this.#shareBytes / 2 : Number.POSITIVE_INFINITY;
  }

  /** Nobody waits for shards, which have threads of their own, and whose rows are few runs. */
  get #mayTakeLong(): boolean {
    return this.#isBehind && !this.#parts.isHere && this.#shards.length <= SEALING_SHARDS_MAX;
  }

  /** Clocks are handed on again. */
  #goOn(): void {
    if (!this.#drained) return;
    this.#drained = null;
    this.#advanceSoon();
  }

  #toWriter(message: ToWriter, moved: ArrayBufferLike[] = []): Promise<FromWriter & { kind: 'written' | 'closed' }> {
    if (this.#failure) return Promise.reject(this.#failure);
    assert(!this.#writerDone, 'the writer does one thing at a time');
    return new Promise(resolve => {
      this.#writerDone = { resolve };
      this.#parts.writer.post(message, moved);
    });
  }

  #hearWriter(message: FromWriter): void {
    if (message.kind === 'failed') throw errorOf(message.failure);
    if (message.kind === 'opened') return;
    const done = this.#writerDone!;
    this.#writerDone = null;
    done.resolve(message);
  }

  // --- lookups

  async #answer({ timeMicros, isPast }: Question, part: QuestionPart): Promise<FeatureColumn[]> {
    const { answer, features, encoded } = part;
    const names = features.map(({ feature }) => feature.name);
    const rowsOf = this.#rowsByShard(answer.entity, encoded);
    const answers = rowsOf.map((rows, i) => {
      if (rows.length === 0) return null;
      const keys = packKeys(rows.map(row => encoded[row]!));
      return this.#shards[i]!.ask({ kind: 'answer', entity: answer.entity, features: names, keys, timeMicros, isPast });
    });
    const parts = await Promise.all(answers);
    const columns = parts.map((part, i) => part && unpackColumns(part, features, rowsOf[i]!.length));
    const whole = rowsOf.findIndex(rows => rows.length === encoded.length);
    return whole >= 0 && encoded.length > 0 ? columns[whole]! : joined(features, encoded.length, rowsOf, columns);
  }

  /** Which keys each shard has. */
  #rowsByShard(entity: string, keys: Uint8Array[]): number[][] {
    const { kernel, ids } = this.#parts.layout;
    const id = ids.entities.get(entity)!;
    const rowsOf: number[][] = this.#shards.map(() => []);
    for (const [row, key] of keys.entries()) rowsOf[shardOf(kernel, id, key, this.#shards.length)]!.push(row);
    return rowsOf;
  }

  // --- room and failure

  #hasRoom(): boolean {
    const isFull = this.#chunks.length >= 2 * CHUNKS_PER_SHARD * this.#shards.length || !this.#dealer.isIdle;
    return !isFull && this.#hasMemory();
  }

  /** Or else a barrier, which is under way, goes first. */
  #hasMemory(): boolean {
    return this.#barrier === null || !(this.#isOver(OVER_MAX) || this.#isDirty(2) || this.#isPending);
  }

  #wake(): void {
    if (this.#waiting.length === 0 || (!this.#failure && !this.#hasRoom())) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Nothing that is under way will end: whoever waits is told, and the process has to. */
  #fail(error: unknown): void {
    if (this.#failure) return;
    this.#failure = error;
    for (const { waiting } of this.#chunks) for (const { reject } of waiting) reject(error);
    this.#dealer.fail(error);
    for (const desk of this.#shards) desk.fail(error);
    this.#drained?.reject(error);
    this.#wake();
    void this.#end();
    this.#parts.onFailure(error);
  }
}

/** As a shard gives it. */
function snapshotOf(fold: Fold): TakenOff {
  const rowCount = fold.dirtyCount;
  return { run: fold.snapshot(), sealed: [], rowCount, highest: fold.highest() };
}

/** Rows of the shards' columns, each in its place. */
function joined(
  features: AnswerFeature[],
  count: number,
  rowsOf: number[][],
  columns: (FeatureColumn[] | null)[],
): FeatureColumn[] {
  const whole = emptyColumns(features, count);
  for (const [i, rows] of rowsOf.entries())
    for (const [n, column] of columns[i]?.entries() ?? []) spreadRows(column, rows, whole[n]!);
  return whole;
}
