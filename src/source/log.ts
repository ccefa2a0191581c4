import { join } from 'node:path';
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { giveBack } from '../base/garbage.ts';
import type { Uploads } from '../base/metrics.ts';
import { formatDuration } from '../base/time.ts';
import { turn } from '../base/turn.ts';
import { Corrupt, corrupt } from './corrupt.ts';
import { type Bucket, type Pauses, pauseMs, type ReadDisk, readThrough, stopping, tryOften } from './bucket.ts';
import type { AppendFile, Disk } from './disk.ts';
import { type BatchKey, type KeyedBatch, KeyMemory, keysFromMicros } from './keys.ts';
import { type Keep, type KeptSegment, leaving } from './retention.ts';
import type { Batch, Next, SegmentHeader } from './segment.ts';
import {
  BATCH_MAX_BYTES,
  encodeBatch,
  encodeHeader,
  firstLines,
  HEADER_MAX_BYTES,
  lineCount,
  NEWLINE,
  readBatch,
  readHeader,
  segmentBlocks,
  wasSynced,
} from './segment.ts';
import {
  headerOf,
  listSegments,
  packedPath,
  packSegment,
  plainPath,
  removeIfThere,
  type SegmentFiles,
  type Summary,
  segmentChunks,
  segmentName,
  shownPath,
  startPath,
  summaryOf,
  uploadedBytes,
  uploadedPath,
} from './segments.ts';
import type { Block, Clock, Source } from './source.ts';
import { LINE_MAX_BYTES } from './source.ts';
import { ByteStream } from './stream.ts';
import { beginsLate } from './survey.ts';
import { objectName, uploadSegment } from './upload.ts';
import type { Pack } from './zstd.ts';

/** What one write and one sync take along at most: enough to hide the sync, little enough to keep it short. */
const GROUP_MAX_BYTES = 16 << 20;

/** Appends waiting, headers included: a disk that is slower than its writers is told to them, not kept in memory. */
export const QUEUE_MAX_BYTES = 64 << 20;

export interface LogSettings {
  disk: Disk;
  folder: string;
  clock: Clock;
  /** A segment that has reached this size is closed, and the next append begins a new one. */
  segmentBytes: number;
  /** So is one whose first record arrived this long before what is appended now; without it size alone counts. */
  segmentAgeMs?: number;
  /** Packs closed segments, one after the other, beside everything else; without it they stay as they are. */
  pack?: Pack | undefined;
  /** Where packed segments are brought, one after the other, beside everything else; without it they stay here. */
  bucket?: { bucket: Bucket; pauses: Pauses } | undefined;
  /** Which closed segments stay in the folder: see `trim`; without it all do. */
  keep?: Keep | undefined;
  /** Hears what became of something that no call waits for, in a sentence. */
  onNote?: (note: string) => void;
}

/**
 * The durable record of every accepted event: segments in a folder (`segment.ts` shows their bytes), named by the
 * position of their first record. One process may have it open (`store/lock.ts` sees to that).
 *
 * Promises: an append that has resolved is there after any crash, at the position it was given, once. One that has
 * not may be there or not, but whole, in call order, and with all that were called before it.
 */
export class EventLog implements Source {
  readonly clock: Clock;
  /** What was cut off on opening, a sentence each, for the caller to log. */
  readonly notes: string[];
  readonly #settings: LogSettings;
  /** The folder, with the bucket behind it. */
  readonly #reading: ReadDisk;
  /** Ascending; the last one is written to. */
  readonly #segments: SegmentFiles[];
  /** Of closed segments, as far as somebody has asked. */
  readonly #summaries = new Map<number, Summary>();
  readonly #keys: KeyMemory;
  #file: AppendFile;
  /** Of the last segment; all of it is durable. */
  #bytes: number;
  /** Of the last segment; null while it has no batch. */
  #firstArrivalMicros: bigint | null;
  #end: number;
  #lastArrivalMicros: bigint | null;
  /** As `#lastArrivalMicros`, but of what is queued too. */
  #queuedArrivalMicros: bigint | null;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #writing: Promise<void> | null = null;
  #packing: Promise<void> | null = null;
  #uploading: Promise<void> | null = null;
  /** Segments under whose name the bucket has something else. */
  readonly #foreign = new Set<number>();
  readonly #uploadCounts = { segments: 0, bytes: 0, failures: 0 };
  /** Packing and trimming: one at a time. */
  #tending: Promise<unknown> = Promise.resolve();
  #start: number;
  readonly #stopped = Promise.withResolvers<void>();
  #failure: Fault | null = null;
  #closed = false;

  private constructor(settings: LogSettings, opened: Opened, file: AppendFile) {
    this.clock = settings.clock;
    this.#settings = settings;
    this.notes = opened.notes;
    this.#reading = opened.reading;
    this.#start = opened.start;
    this.#segments = opened.segments;
    this.#keys = opened.keys;
    this.#bytes = opened.bytes;
    this.#firstArrivalMicros = opened.firstArrivalMicros;
    this.#end = opened.end;
    this.#lastArrivalMicros = opened.lastArrivalMicros;
    this.#queuedArrivalMicros = opened.lastArrivalMicros;
    this.#file = file;
  }

  /**
   * Makes the folder, or takes up where the last process left off: cuts what a crash left half written.
   *
   * @throws Fault `config` where the log was made with another clock, `corrupt` where synced bytes have changed or a
   *   segment is missing, `unsupported` for another version; `config` too where there is no log yet and the bucket has
   *   one, which is to be restored first
   */
  static async open(settings: LogSettings): Promise<EventLog> {
    const { disk, folder } = settings;
    await disk.makeFolder(folder);
    const opened = await recover(settings);
    const file = await disk.append(plainPath(folder, opened.segments.at(-1)!.first));
    // What is found here may have been written by a process that was killed before it could sync: from now on it
    // counts, so it has to be durable now.
    await file.sync();
    await disk.syncFolder(folder);
    const log = new EventLog(settings, opened, file);
    log.#startPacking();
    log.#startUploading();
    return log;
  }

  /** Of the first record that is still there; 0 unless segments have left the log for good. */
  get start(): number {
    return this.#start;
  }

  /** How many records there are: the position of the next one. All of them are durable. */
  get end(): number {
    return this.#end;
  }

  /** Of the last record; null in an empty log. */
  get lastArrivalMicros(): bigint | null {
    return this.#lastArrivalMicros;
  }

  /**
   * Appends whole lines and resolves, once they are durable, to the position of the first. The bytes are copied, the
   * caller may reuse them at once. A time of arrival earlier than that of the record before is raised to it.
   *
   * While a write and its sync are under way further appends queue up, and go out together with the next.
   *
   * @param lines `count` lines that have passed the door, each ending in a newline
   * @param id is remembered once the batch is durable; that nothing else has this key is the caller's to see to
   * @throws Fault `too_large` beyond `BATCH_MAX_BYTES`, `busy` when the queue is full or an earlier write failed
   */
  async append(lines: Uint8Array, count: number, arrivalMicros: bigint, id: BatchKey | null = null): Promise<number> {
    assert(!this.#closed, 'nothing is appended to a closed log');
    assertLines(lines, count);
    if (this.#failure) throw this.#failure;
    if (lines.length > BATCH_MAX_BYTES)
      throw new Fault('too_large', `${lines.length} bytes in one append; ${BATCH_MAX_BYTES} is the most`);
    const bytes = lines.length + HEADER_MAX_BYTES;
    if (this.#queuedBytes + bytes > QUEUE_MAX_BYTES)
      throw new Fault('busy', `${this.#queuedBytes} bytes are waiting for the disk; ${QUEUE_MAX_BYTES} is the most`);
    const previous = this.#queuedArrivalMicros;
    const arrival = previous !== null && previous > arrivalMicros ? previous : arrivalMicros;
    this.#queuedArrivalMicros = arrival;
    this.#queuedBytes += bytes;
    return new Promise<number>((resolve, reject) => {
      const batch = { arrivalMicros: arrival, count, lines: new Uint8Array(lines), id };
      this.#queue.push({ batch, bytes, resolve, reject });
      this.#writing ??= this.#drain();
    });
  }

  /** The durable batch that had this key, if it would still be known to one that arrives now. */
  recall(key: string, nowMicros: bigint): KeyedBatch | null {
    return this.#keys.recall(key, nowMicros);
  }

  /** Reads what is durable at the time of the call; appends may go on meanwhile. */
  read(from: number): AsyncIterable<Block> {
    const { start, end } = this;
    assert(from >= start && from <= end, `position ${from} is not within the log from ${start} to ${end}`);
    return this.#blocks(from, this.#segments.slice(), this.#bytes, this.#end);
  }

  /** Resolves once no closed segment is on its way to be packed. */
  async packed(): Promise<void> {
    await this.#packing;
  }

  /** Resolves once the bucket has every packed segment, but those whose names it has given to something else. */
  async uploaded(): Promise<void> {
    await this.#packing;
    await this.#uploading;
  }

  /**
   * When the first record arrived that is still there, for messages; null in an empty log.
   *
   * @throws Fault `corrupt`
   */
  async firstArrivalMicros(): Promise<bigint | null> {
    if (this.#segments.length === 1) return this.#firstArrivalMicros;
    return (await this.#summaryOf(this.#segments[0]!)).firstArrivalMicros;
  }

  /**
   * Lets closed segments leave the folder that `keep` no longer wants there. Those that a bucket has are read from it
   * from now on; without one the log begins behind them.
   *
   * @param rowsPosition rows contain all records before it, after a power cut too
   * @returns how many have left
   */
  trim(rowsPosition: number, nowMicros: bigint): Promise<number> {
    return this.#tend(() => this.#trim(rowsPosition, nowMicros));
  }

  /** Would a call of `trim` let go of anything, if rows contained all records? */
  async isTrimmable(nowMicros: bigint): Promise<boolean> {
    return this.#tend(async () => (await this.#leaving(this.#end, nowMicros)).length > 0);
  }

  /** How far the bucket is behind, and what was brought to it since the log was opened. */
  uploads(): Uploads {
    const closed = this.#segments.slice(0, -1);
    const uploaded = closed.filter(({ isUploaded }) => isUploaded).length;
    const next = this.#segments.find(({ isUploaded }) => !isUploaded)!;
    return { uploaded, closed: closed.length, position: next.first, ...this.#uploadCounts };
  }

  /** Waits for what is queued, and lets go of the file. What is packed or uploaded meanwhile is left to the next process. */
  async close(): Promise<void> {
    assert(!this.#closed, 'a log is closed once');
    this.#closed = true;
    this.#stopped.resolve();
    await this.#writing;
    await this.#packing;
    await this.#uploading;
    await this.#tending;
    await this.#file.close();
  }

  async *#blocks(from: number, segments: SegmentFiles[], lastBytes: number, end: number): AsyncGenerator<Block> {
    const { folder } = this.#settings;
    for (const [i, segment] of segments.entries()) {
      const next = segments[i + 1]?.first ?? end;
      if (next <= from) continue;
      const path = shownPath(folder, segment);
      const endBytes = i === segments.length - 1 ? lastBytes : Infinity;
      const stream = new ByteStream(segmentChunks(this.#reading, folder, segment.first, endBytes));
      const stop = yield* segmentBlocks(stream, path, from, 'whole');
      if (stop !== next) throw corrupt(path, stream.offset, `the end of the segment with record ${stop} of ${next}`);
    }
  }

  async #drain(): Promise<void> {
    // Appends of one turn of the event loop go together: the busier it is, the more of them share a sync.
    await turn();
    while (this.#queue.length > 0) {
      const group = this.#takeGroup();
      if (!this.#failure) await this.#writeGroup(group).catch((error: unknown) => this.#fail(error));
      for (const { bytes } of group) this.#queuedBytes -= bytes;
      if (this.#failure) for (const { reject } of group) reject(this.#failure);
    }
    this.#writing = null;
  }

  /** No more than fill the segment: what follows begins the next one, as if it had come later. */
  #takeGroup(): Waiting[] {
    const queue = this.#queue;
    const there = this.#isFull(queue[0]!.batch.arrivalMicros) ? 0 : this.#bytes;
    const most = Math.min(GROUP_MAX_BYTES, this.#settings.segmentBytes - there);
    let count = 1;
    let bytes = queue[0]!.bytes;
    while (count < queue.length && bytes < most && bytes + queue[count]!.bytes <= GROUP_MAX_BYTES)
      bytes += queue[count++]!.bytes;
    return queue.splice(0, count);
  }

  async #writeGroup(group: Waiting[]): Promise<void> {
    if (this.#isFull(group[0]!.batch.arrivalMicros)) await this.#roll();
    const bytes = Buffer.concat(group.flatMap(({ batch }) => encodeBatch(batch, this.#bytes)));
    await this.#file.write(bytes);
    await this.#file.sync();
    this.#bytes += bytes.length;
    giveBack(bytes);
    this.#firstArrivalMicros ??= group[0]!.batch.arrivalMicros;
    for (const { batch, resolve } of group) {
      const { arrivalMicros, count, lines, id } = batch;
      giveBack(lines);
      if (id) this.#keys.remember(id.key, { digest: id.digest, position: this.#end, count, arrivalMicros });
      resolve(this.#end);
      this.#end += count;
      this.#lastArrivalMicros = arrivalMicros;
    }
  }

  /** A segment without a batch never is. */
  #isFull(arrivalMicros: bigint): boolean {
    const first = this.#firstArrivalMicros;
    if (first === null) return false;
    const { segmentBytes, segmentAgeMs = Infinity } = this.#settings;
    return this.#bytes >= segmentBytes || Number(arrivalMicros - first) >= segmentAgeMs * 1000;
  }

  /** The old segment is synced whenever no write is under way. The new one is durable before it is written to. */
  async #roll(): Promise<void> {
    const { disk, folder, clock } = this.#settings;
    const first = this.#end;
    const path = plainPath(folder, first);
    const previous = this.#segments.at(-1)!.first;
    const bytes = await beginSegment(await disk.create(path), { clock, first, previous });
    await disk.syncFolder(folder);
    await this.#file.close();
    this.#file = await disk.append(path);
    this.#segments.push({ first, hasPlain: true, hasPacked: false, isUploaded: false });
    this.#bytes = bytes;
    this.#firstArrivalMicros = null;
    this.#startPacking();
  }

  #startPacking(): void {
    const { pack } = this.#settings;
    if (pack) this.#packing ??= this.#tend(() => this.#packClosed(pack));
  }

  #tend<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#tending.then(work);
    this.#tending = done.catch(() => {});
    return done;
  }

  /** A failure costs nobody anything but room: the plain file stays, and the next closed segment brings another try. */
  async #packClosed(pack: Pack): Promise<void> {
    const { disk, folder, onNote = () => {} } = this.#settings;
    // Whoever opens a log, or appends to it, goes first.
    await turn();
    try {
      for (let i = 0; i < this.#segments.length - 1 && !this.#closed; i++) {
        const segment = this.#segments[i]!;
        if (!segment.hasPlain) continue;
        if (!(await packSegment(disk, folder, segment.first, pack, () => this.#closed))) break;
        segment.hasPacked = true;
        segment.hasPlain = false;
        this.#startUploading();
      }
    } catch (error) {
      onNote(`a segment of the event log could not be packed: ${errorText(error)}`);
    }
    this.#packing = null;
  }

  #startUploading(): void {
    const { bucket } = this.#settings;
    if (bucket && !this.#closed) this.#uploading ??= this.#uploadPacked(bucket);
  }

  /** A bucket that does not answer costs nobody anything but room: it is tried again until it does. */
  async #uploadPacked({ bucket, pauses }: { bucket: Bucket; pauses: Pauses }): Promise<void> {
    const { onNote = () => {} } = this.#settings;
    const stoppable = stopping(bucket, this.#stopped.promise);
    await turn();
    for (let failures = 0; !this.#closed; ) {
      const next = this.#segments.find(segment => this.#isToUpload(segment));
      if (!next) break;
      try {
        await this.#upload(next, stoppable);
        failures = 0;
      } catch (error) {
        if (this.#closed) break;
        this.#uploadCounts.failures++;
        onNote(`${objectName(next.first)} could not be uploaded to ${bucket.name}: ${errorText(error)}`);
        await pauses.sleep(pauseMs(++failures, pauses.random()), this.#stopped.promise);
      }
    }
    this.#uploading = null;
  }

  /** The plain file may yet be packed anew. */
  #isToUpload({ first, hasPlain, hasPacked, isUploaded }: SegmentFiles): boolean {
    return hasPacked && !hasPlain && !isUploaded && !this.#foreign.has(first);
  }

  async #upload(segment: SegmentFiles, bucket: Bucket): Promise<void> {
    const { disk, folder, onNote = () => {} } = this.#settings;
    const bytes = await disk.size(packedPath(folder, segment.first));
    const outcome = await uploadSegment(disk, folder, segment.first, bucket, () => this.#closed);
    if (outcome === 'done') {
      segment.isUploaded = true;
      this.#uploadCounts.segments++;
      this.#uploadCounts.bytes += bytes;
    }
    if (outcome !== 'foreign') return;
    this.#foreign.add(segment.first);
    const what = `${bucket.name}${objectName(segment.first)} is not what this log has under that name`;
    onNote(`${what}: it is left as it is, and the segment stays here. Does another log use the bucket?`);
  }

  async #trim(rowsPosition: number, nowMicros: bigint): Promise<number> {
    const gone = await this.#leaving(rowsPosition, nowMicros);
    if (gone.length === 0) return 0;
    return this.#settings.bucket ? this.#dropUploaded(gone) : this.#forget(gone.at(-1)!.end);
  }

  async #leaving(rowsPosition: number, nowMicros: bigint): Promise<KeptSegment[]> {
    const { keep, bucket } = this.#settings;
    // When the last record arrived is known from its segment, which therefore stays.
    const isKeptWhole = keep?.ageMs === undefined && keep?.bytes === undefined;
    if (isKeptWhole || this.#closed || this.#firstArrivalMicros === null) return [];
    const kept: KeptSegment[] = [];
    for (const [i, segment] of this.#segments.slice(0, -1).entries()) {
      const { first, isUploaded } = segment;
      const storedBytes = await this.#storedBytes(segment);
      if (storedBytes === 0) continue;
      const isSettled = !segment.hasPlain || !this.#settings.pack;
      const { lastArrivalMicros, keyedCount } = await this.#summaryOf(segment);
      const end = this.#segments[i + 1]!.first;
      kept.push({ first, end, storedBytes, lastArrivalMicros, keyedCount, isSettled, isUploaded });
    }
    return leaving(kept, keep, { otherBytes: this.#bytes, rowsPosition, nowMicros, hasBucket: bucket !== undefined });
  }

  /** Of what is in the folder: 0 where only the bucket has the segment. */
  async #storedBytes({ first, hasPlain, hasPacked }: SegmentFiles): Promise<number> {
    const { disk, folder } = this.#settings;
    if (hasPlain) return disk.size(plainPath(folder, first));
    return hasPacked ? disk.size(packedPath(folder, first)) : 0;
  }

  async #summaryOf(segment: SegmentFiles): Promise<Summary> {
    const known = this.#summaries.get(segment.first);
    if (known) return known;
    const summary = await summaryOf(this.#reading, this.#settings.folder, segment);
    this.#summaries.set(segment.first, summary);
    return summary;
  }

  /** The note of the upload is durable; that the bucket still has the object is asked once more. */
  async #dropUploaded(gone: KeptSegment[]): Promise<number> {
    const { disk, folder, bucket: remote, onNote = () => {} } = this.#settings;
    const { bucket } = remote!;
    const stoppable = stopping(bucket, this.#stopped.promise);
    let count = 0;
    for (const { first, storedBytes } of gone) {
      const size = await stoppable.size(objectName(first)).catch(() => undefined);
      if (this.#closed || size === undefined) break;
      const segment = this.#segments.find(one => one.first === first)!;
      if (size !== (await uploadedBytes(disk, folder, first))) {
        onNote(`${bucket.name} no longer has ${objectName(first)} of ${storedBytes} bytes: it is uploaded anew`);
        await disk.remove(uploadedPath(folder, first));
        await disk.syncFolder(folder);
        segment.isUploaded = false;
        this.#startUploading();
        continue;
      }
      await removeIfThere(disk, packedPath(folder, first));
      segment.hasPacked = false;
      count++;
    }
    return count;
  }

  /** First it is durable where the log begins; what lies before that can then go in any order, and by any process. */
  async #forget(start: number): Promise<number> {
    const { disk, folder } = this.#settings;
    const mark = await disk.create(startPath(folder, start));
    await mark.close();
    await disk.syncFolder(folder);
    this.#start = start;
    const count = this.#segments.findIndex(({ first }) => first === start);
    for (const { first } of this.#segments.splice(0, count)) this.#summaries.delete(first);
    for (const rest of (await listSegments(disk, folder)).rests) await removeIfThere(disk, join(folder, rest));
    return count;
  }

  /**
   * After a failed sync the kernel may hold pages that it believes clean and the disk has never seen, and a second
   * sync would succeed on them. So nothing is ever tried again, and what was not acknowledged is cut off, lest the
   * next process finds it in the page cache and counts it.
   */
  async #fail(error: unknown): Promise<void> {
    const why = `the event log in ${this.#settings.folder} could not be written (${errorText(error)})`;
    this.#failure = new Fault('busy', `${why}: nothing more is accepted until this process is restarted`);
    const path = plainPath(this.#settings.folder, this.#segments.at(-1)!.first);
    await this.#settings.disk.truncate(path, this.#bytes).catch((cutError: unknown) => {
      const text = `${this.#failure!.message}; nor could ${path} be cut to ${this.#bytes} bytes (${errorText(cutError)})`;
      this.#failure = new Fault('busy', text);
    });
  }
}

/** The log as it was when it ended at `end`: it can be read, and nothing else. */
export function prefixOf(
  log: EventLog,
  end: number,
): Pick<EventLog, 'clock' | 'start' | 'end' | 'lastArrivalMicros' | 'append' | 'recall' | 'read'> {
  return {
    clock: log.clock,
    start: log.start,
    end,
    lastArrivalMicros: null,
    append() {
      assert(false, 'nothing is appended to what a log was');
    },
    recall: () => null,
    read: from => firstBlocks(log.read(from), end - from),
  };
}

async function* firstBlocks(blocks: AsyncIterable<Block>, count: number): AsyncGenerator<Block> {
  let rest = count;
  if (rest === 0) return;
  for await (const block of blocks) {
    const bytes = firstLines(block.bytes, rest);
    rest -= lineCount(bytes);
    yield { ...block, bytes };
    if (rest === 0) return;
  }
}

interface Waiting {
  batch: Batch;
  /** What it counts for in the queue. */
  bytes: number;
  resolve(position: number): void;
  reject(failure: Fault): void;
}

interface Opened extends Tail {
  reading: ReadDisk;
  start: number;
  segments: SegmentFiles[];
  keys: KeyMemory;
}

/** The last segment. */
interface Tail {
  bytes: number;
  end: number;
  firstArrivalMicros: bigint | null;
  /** Of the log: of the segment before where this one is empty. */
  lastArrivalMicros: bigint | null;
  keys: KeyMemory;
  notes: string[];
}

/** Finds where the log ends, and makes it end there. Being killed at any point of it leaves the same to be done. */
async function recover(settings: LogSettings): Promise<Opened> {
  const { disk, folder, clock, bucket } = settings;
  const reading = bucket ? readThrough(disk, bucket.bucket, bucket.pauses) : disk;
  const { segments, start, rests } = await listSegments(disk, folder);
  for (const rest of rests) await removeIfThere(disk, join(folder, rest));
  if (segments.length === 0 && bucket) await assertNew(folder, bucket);
  // Only closed segments are packed: whoever has lost the one after it gets a new one.
  if (!segments.at(-1)?.hasPlain) segments.push(await beginLast(settings, reading, segments.at(-1) ?? null, start));
  const last = segments.at(-1)!;
  for (const [i, segment] of segments.entries()) {
    const previous = i === 0 && start > 0 ? 'any' : (segments[i - 1]?.first ?? null);
    await checkHeader(settings, reading, segment, previous, segment === last);
  }
  if (segments[0]!.first !== start) throw beginsLate(folder, segments[0]!.first, start);
  const tail = await recoverTail(settings, { clock, first: last.first, previous: segments.at(-2)?.first ?? null });
  const before = segments.at(-2);
  if (tail.lastArrivalMicros === null && before)
    tail.lastArrivalMicros = (await summaryOf(reading, folder, before)).lastArrivalMicros;
  const keys = await readKeys(reading, folder, segments.slice(0, -1), tail);
  return { ...tail, reading, start, segments, keys };
}

/** An empty folder is a new log, or one that is lost: where a bucket has a log, somebody has to say which. */
async function assertNew(folder: string, { bucket, pauses }: { bucket: Bucket; pauses: Pauses }): Promise<void> {
  const objects = await tryOften(`${bucket.name} cannot be listed`, () => bucket.list(), pauses);
  if (objects.length === 0) return;
  const what = `${folder} holds no event log, and ${bucket.name} has ${objects.length} segments of one`;
  throw new Fault('config', `${what}: \`tilefold log restore\` goes on with it; a new log needs another prefix`);
}

async function beginLast(
  { disk, folder, clock }: LogSettings,
  reading: ReadDisk,
  before: SegmentFiles | null,
  start: number,
): Promise<SegmentFiles> {
  const first = before ? before.first + (await summaryOf(reading, folder, before)).records : start;
  await beginSegment(await disk.create(plainPath(folder, first)), { clock, first, previous: before?.first ?? null });
  return { first, hasPlain: true, hasPacked: false, isUploaded: false };
}

/** The keys of the last day: those of the segments that reach into it, then those of the tail. */
async function readKeys(disk: ReadDisk, folder: string, closed: SegmentFiles[], tail: Tail): Promise<KeyMemory> {
  if (tail.lastArrivalMicros === null || closed.length === 0) return tail.keys;
  const fromMicros = keysFromMicros(tail.lastArrivalMicros);
  const read: SegmentFiles[] = [];
  for (const segment of closed.toReversed()) {
    const { lastArrivalMicros, keyedCount } = await summaryOf(disk, folder, segment);
    if (lastArrivalMicros <= fromMicros) break;
    if (keyedCount > 0) read.unshift(segment);
  }
  const keys = new KeyMemory();
  for (const segment of read) await readSegmentKeys(disk, folder, segment, keys);
  for (const [key, batch] of tail.keys.batches()) keys.remember(key, batch);
  return keys;
}

async function readSegmentKeys(disk: ReadDisk, folder: string, segment: SegmentFiles, keys: KeyMemory): Promise<void> {
  const path = shownPath(folder, segment);
  const stream = new ByteStream(segmentChunks(disk, folder, segment.first));
  if (!(await readHeader(stream, path))) throw corrupt(path, 0, 'no log header');
  let position = segment.first;
  let next = await readBatch(stream);
  for (; next.kind === 'batch'; next = await readBatch(stream)) position = rememberBatch(keys, next, position);
  if (next.kind === 'damage') throw corrupt(path, next.offset, next.reason);
}

/** Returns the position after it. */
function rememberBatch(keys: KeyMemory, { arrivalMicros, count, id }: Batch, position: number): number {
  if (id) keys.remember(id.key, { digest: id.digest, position, count, arrivalMicros });
  return position + count;
}

/**
 * Every segment says where it begins, what it follows and how its time passes. The last one may not have got to that.
 *
 * @param previous `any` of the first one of a log that no longer begins at 0
 */
async function checkHeader(
  { folder, clock }: LogSettings,
  reading: ReadDisk,
  segment: SegmentFiles,
  previous: number | null | 'any',
  isLast: boolean,
): Promise<void> {
  const path = shownPath(folder, segment);
  const header = await headerOf(reading, folder, segment);
  if (!header) {
    if (isLast) return;
    throw corrupt(path, 0, 'no log header');
  }
  if (header.first !== segment.first) throw corrupt(path, 0, `the header of the segment from record ${header.first}`);
  if (previous !== 'any' && header.previous !== previous)
    throw new Corrupt(path, 0, gapText(path, header.previous, previous));
  const made = clockText(header.clock);
  const asked = clockText(clock);
  if (made !== asked)
    throw new Fault('config', `the event log in ${folder} was made with ${made}, and is opened with ${asked}`);
}

function gapText(path: string, told: number | null, before: number | null): string {
  const name = told === null ? 'no other segment' : segmentName(told);
  const found = before === null ? 'there is none before it' : `${segmentName(before)} is before it`;
  return `${path} follows ${name}, but ${found}`;
}

function clockText(clock: Clock): string {
  return `clock ${clock.kind} with max_jump ${formatDuration(clock.maxJumpMs)}`;
}

/** The last segment's whole batches; what is left of an unfinished write is cut off. */
async function recoverTail(settings: LogSettings, wanted: SegmentHeader): Promise<Tail> {
  const { disk, folder } = settings;
  const path = plainPath(folder, wanted.first);
  const stream = new ByteStream(segmentChunks(disk, folder, wanted.first));
  const ends = { end: wanted.first, bytes: 0, firstArrivalMicros: null, lastArrivalMicros: null };
  const tail: Tail = { ...ends, keys: new KeyMemory(), notes: [] };
  const header = await readHeader(stream, path);
  let next: Next = header ? await readBatch(stream) : { kind: 'damage', offset: 0, reason: 'no log header' };
  for (; next.kind === 'batch'; next = await readBatch(stream)) {
    tail.end = rememberBatch(tail.keys, next, tail.end);
    tail.firstArrivalMicros ??= next.arrivalMicros;
    tail.lastArrivalMicros = next.arrivalMicros;
  }
  tail.bytes = stream.offset;
  if (next.kind === 'end') return tail;
  if (await wasSynced(stream, next.offset)) throw corrupt(path, next.offset, next.reason);
  await disk.truncate(path, next.offset);
  tail.notes.push(`${path}: cut at byte ${next.offset}, from where ${next.reason} was left by an unfinished write`);
  if (!header) tail.bytes = await beginSegment(await disk.append(path), wanted);
  return tail;
}

/** Writes the header that a segment starts with; returns its size. */
async function beginSegment(file: AppendFile, header: SegmentHeader): Promise<number> {
  const bytes = encodeHeader(header);
  await file.write(bytes);
  await file.sync();
  await file.close();
  return bytes.length;
}

/** Positions are counted by lines, so a miscount would shift every record after it. */
function assertLines(lines: Uint8Array, count: number): void {
  assert(count > 0 && lines.at(-1) === NEWLINE, 'an append has whole lines, at least one');
  let found = 0;
  for (let start = 0; start < lines.length; found++) {
    const end = lines.indexOf(NEWLINE, start);
    assert(end - start <= LINE_MAX_BYTES, 'the door lets no line over the limit through');
    start = end + 1;
  }
  assert(found === count, `an append of ${count} lines has ${found}`);
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
