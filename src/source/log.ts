import { join } from 'node:path';
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { formatDuration } from '../base/time.ts';
import type { AppendFile, Disk } from './disk.ts';
import type { Batch, Next, SegmentHeader } from './segment.ts';
import {
  BATCH_MAX_BYTES,
  corrupt,
  encodeBatch,
  encodeHeader,
  HEADER_MAX_BYTES,
  NEWLINE,
  readBatch,
  readHeader,
  segmentBlocks,
  segmentFirst,
  segmentName,
  wasSynced,
} from './segment.ts';
import type { Block, Clock, Source } from './source.ts';
import { LINE_MAX_BYTES } from './source.ts';
import { ByteStream, fileChunks } from './stream.ts';

/** What one write and one sync take along at most: enough to hide the sync, little enough to keep it short. */
const GROUP_MAX_BYTES = 16 << 20;

/** Appends waiting, headers included: a disk that is slower than its writers is told to them, not kept in memory. */
export const QUEUE_MAX_BYTES = 64 << 20;

export const SEGMENT_DEFAULT_BYTES = 64 << 20;

export interface LogSettings {
  disk: Disk;
  folder: string;
  clock: Clock;
  /** A segment that has reached this size is closed, and the next append begins a new one. */
  segmentBytes: number;
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
  /** Positions that segments begin at, ascending; the last one is written to. */
  readonly #firsts: number[];
  #file: AppendFile;
  /** Of the last segment; all of it is durable. */
  #bytes: number;
  #end: number;
  #lastArrivalMicros: bigint | null;
  /** As `#lastArrivalMicros`, but of what is queued too. */
  #queuedArrivalMicros: bigint | null;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #writing: Promise<void> | null = null;
  #failure: Fault | null = null;
  #closed = false;

  private constructor(settings: LogSettings, opened: Opened, file: AppendFile) {
    this.clock = settings.clock;
    this.#settings = settings;
    this.notes = opened.notes;
    this.#firsts = opened.firsts;
    this.#bytes = opened.bytes;
    this.#end = opened.end;
    this.#lastArrivalMicros = opened.lastArrivalMicros;
    this.#queuedArrivalMicros = opened.lastArrivalMicros;
    this.#file = file;
  }

  /**
   * Makes the folder, or takes up where the last process left off: cuts what a crash left half written.
   *
   * @throws Fault `config` where the log was made with another clock, `corrupt` where synced bytes have changed or a
   *   segment is missing, `unsupported` for another version
   */
  static async open(settings: LogSettings): Promise<EventLog> {
    const { disk, folder } = settings;
    await disk.makeFolder(folder);
    const opened = await recover(settings);
    const file = await disk.append(join(folder, segmentName(opened.firsts.at(-1)!)));
    // What is found here may have been written by a process that was killed before it could sync: from now on it
    // counts, so it has to be durable now.
    await file.sync();
    await disk.syncFolder(folder);
    return new EventLog(settings, opened, file);
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
   * @throws Fault `too_large` beyond `BATCH_MAX_BYTES`, `busy` when the queue is full or an earlier write failed
   */
  async append(lines: Uint8Array, count: number, arrivalMicros: bigint): Promise<number> {
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
      this.#queue.push({ batch: { arrivalMicros: arrival, count, lines: lines.slice() }, bytes, resolve, reject });
      this.#writing ??= this.#drain();
    });
  }

  /** Reads what is durable at the time of the call; appends may go on meanwhile. */
  read(from: number): AsyncIterable<Block> {
    assert(from >= 0 && from <= this.#end, `position ${from} is not within the log of ${this.#end} records`);
    return this.#blocks(from, this.#firsts.slice(), this.#bytes, this.#end);
  }

  /** Waits for what is queued, and lets go of the file. */
  async close(): Promise<void> {
    assert(!this.#closed, 'a log is closed once');
    this.#closed = true;
    await this.#writing;
    await this.#file.close();
  }

  async *#blocks(from: number, firsts: number[], lastBytes: number, end: number): AsyncGenerator<Block> {
    for (const [i, first] of firsts.entries()) {
      const next = firsts[i + 1] ?? end;
      if (next <= from) continue;
      const path = this.#path(first);
      const stream = new ByteStream(
        fileChunks(this.#settings.disk, path, i === firsts.length - 1 ? lastBytes : Infinity),
      );
      const stop = yield* segmentBlocks(stream, path, from, 'whole');
      if (stop !== next) throw corrupt(path, stream.offset, `the end of the segment with record ${stop} of ${next}`);
    }
  }

  async #drain(): Promise<void> {
    // Appends of one turn of the event loop go together.
    await null;
    while (this.#queue.length > 0) {
      const group = this.#takeGroup();
      if (!this.#failure) await this.#writeGroup(group).catch((error: unknown) => this.#fail(error));
      for (const { bytes } of group) this.#queuedBytes -= bytes;
      if (this.#failure) for (const { reject } of group) reject(this.#failure);
    }
    this.#writing = null;
  }

  #takeGroup(): Waiting[] {
    let count = 1;
    let bytes = this.#queue[0]!.bytes;
    while (count < this.#queue.length && bytes + this.#queue[count]!.bytes <= GROUP_MAX_BYTES)
      bytes += this.#queue[count++]!.bytes;
    return this.#queue.splice(0, count);
  }

  async #writeGroup(group: Waiting[]): Promise<void> {
    if (this.#bytes >= this.#settings.segmentBytes && this.#end > this.#firsts.at(-1)!) await this.#roll();
    const bytes = Buffer.concat(group.flatMap(({ batch }) => encodeBatch(batch, this.#bytes)));
    await this.#file.write(bytes);
    await this.#file.sync();
    this.#bytes += bytes.length;
    for (const { batch, resolve } of group) {
      resolve(this.#end);
      this.#end += batch.count;
      this.#lastArrivalMicros = batch.arrivalMicros;
    }
  }

  /** The old segment is synced whenever no write is under way. The new one is durable before it is written to. */
  async #roll(): Promise<void> {
    const { disk, folder, clock } = this.#settings;
    const path = this.#path(this.#end);
    const bytes = await beginSegment(await disk.create(path), {
      clock,
      first: this.#end,
      previous: this.#firsts.at(-1)!,
    });
    await disk.syncFolder(folder);
    await this.#file.close();
    this.#file = await disk.append(path);
    this.#firsts.push(this.#end);
    this.#bytes = bytes;
  }

  /**
   * After a failed sync the kernel may hold pages that it believes clean and the disk has never seen, and a second
   * sync would succeed on them. So nothing is ever tried again, and what was not acknowledged is cut off, lest the
   * next process finds it in the page cache and counts it.
   */
  async #fail(error: unknown): Promise<void> {
    const why = `the event log in ${this.#settings.folder} could not be written (${errorText(error)})`;
    this.#failure = new Fault('busy', `${why}: nothing more is accepted until this process is restarted`);
    const path = this.#path(this.#firsts.at(-1)!);
    await this.#settings.disk.truncate(path, this.#bytes).catch((cutError: unknown) => {
      const text = `${this.#failure!.message}; nor could ${path} be cut to ${this.#bytes} bytes (${errorText(cutError)})`;
      this.#failure = new Fault('busy', text);
    });
  }

  #path(first: number): string {
    return join(this.#settings.folder, segmentName(first));
  }
}

interface Waiting {
  batch: Batch;
  /** What it counts for in the queue. */
  bytes: number;
  resolve(position: number): void;
  reject(failure: Fault): void;
}

interface Opened {
  firsts: number[];
  bytes: number;
  end: number;
  lastArrivalMicros: bigint | null;
  notes: string[];
}

/** Finds where the log ends, and makes it end there. Being killed at any point of it leaves the same to be done. */
async function recover(settings: LogSettings): Promise<Opened> {
  const { disk, folder, clock } = settings;
  const firsts = (await disk.list(folder)).map(segmentFirst).filter(first => first !== null);
  if (firsts.length === 0) {
    await beginSegment(await disk.create(join(folder, segmentName(0))), { clock, first: 0, previous: null });
    firsts.push(0);
  }
  const last = firsts.length - 1;
  for (const [i, first] of firsts.entries())
    await checkHeader(settings, { clock, first, previous: firsts[i - 1] ?? null }, i === last);
  const tail = await recoverTail(settings, { clock, first: firsts[last]!, previous: firsts[last - 1] ?? null });
  if (tail.lastArrivalMicros === null && last > 0)
    tail.lastArrivalMicros = await lastArrival(disk, join(folder, segmentName(firsts[last - 1]!)));
  return { firsts, ...tail };
}

/** Every segment says where it begins, what it follows and how its time passes. The last one may not have got to that. */
async function checkHeader({ disk, folder }: LogSettings, wanted: SegmentHeader, isLast: boolean): Promise<void> {
  const path = join(folder, segmentName(wanted.first));
  const header = await readHeader(new ByteStream(fileChunks(disk, path, HEADER_MAX_BYTES)), path);
  if (!header) {
    if (isLast) return;
    throw corrupt(path, 0, 'no log header');
  }
  if (header.first !== wanted.first) throw corrupt(path, 0, `the header of the segment from record ${header.first}`);
  if (header.previous !== wanted.previous) throw new Fault('corrupt', gapText(path, header, wanted));
  const made = clockText(header.clock);
  const asked = clockText(wanted.clock);
  if (made !== asked)
    throw new Fault('config', `the event log in ${folder} was made with ${made}, and is opened with ${asked}`);
}

function gapText(path: string, { previous }: SegmentHeader, wanted: SegmentHeader): string {
  const name = previous === null ? 'no other segment' : segmentName(previous);
  const found = wanted.previous === null ? 'there is none before it' : `${segmentName(wanted.previous)} is before it`;
  return `${path} follows ${name}, but ${found}`;
}

function clockText(clock: Clock): string {
  return `clock ${clock.kind} with max_jump ${formatDuration(clock.maxJumpMs)}`;
}

/** The last segment's whole batches; what is left of an unfinished write is cut off. */
async function recoverTail(settings: LogSettings, wanted: SegmentHeader): Promise<Omit<Opened, 'firsts'>> {
  const { disk, folder } = settings;
  const path = join(folder, segmentName(wanted.first));
  const stream = new ByteStream(fileChunks(disk, path));
  const tail = { end: wanted.first, bytes: 0, lastArrivalMicros: null as bigint | null, notes: [] as string[] };
  const header = await readHeader(stream, path);
  let next: Next = header ? await readBatch(stream) : { kind: 'damage', offset: 0, reason: 'no log header' };
  for (; next.kind === 'batch'; next = await readBatch(stream)) {
    tail.end += next.count;
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

/** Segments are only left once they hold a batch. */
async function lastArrival(disk: Disk, path: string): Promise<bigint> {
  const stream = new ByteStream(fileChunks(disk, path));
  const header = await readHeader(stream, path);
  let arrivalMicros: bigint | null = null;
  let next: Next = header ? await readBatch(stream) : { kind: 'damage', offset: 0, reason: 'no log header' };
  for (; next.kind === 'batch'; next = await readBatch(stream)) arrivalMicros = next.arrivalMicros;
  if (next.kind === 'damage') throw corrupt(path, next.offset, next.reason);
  if (arrivalMicros === null) throw corrupt(path, stream.offset, 'the end of a segment without batches');
  return arrivalMicros;
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
