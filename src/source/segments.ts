import { crc32 } from 'node:zlib';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { turn } from '../base/turn.ts';
import type { ReadDisk } from './bucket.ts';
import { Corrupt, corrupt } from './corrupt.ts';
import { type Disk, isMissing } from './disk.ts';
import type { Batch, Next, SegmentHeader } from './segment.ts';
import { HEADER_MAX_BYTES, NEWLINE, readBatch, readHeader, segmentBlocks, wasSynced } from './segment.ts';
import type { Block, Source } from './source.ts';
import { ByteStream, fileChunks } from './stream.ts';
import { FRAME_BYTES, type Pack, skippedContent, skippedFrame, unpackedFrames } from './zstd.ts';

/**
 * A log's folder. Segments are named by the position of their first record:
 *
 *     00000000000000000000.ndjson.zst          closed and packed
 *     00000000000000052000.ndjson              closed, and on its way to be packed
 *     00000000000000052000.ndjson.zst.part     which is not done yet
 *     00000000000000103000.ndjson              written to
 *     00000000000000000000.ndjson.s3           says that a bucket has the packed one, which may have left the folder
 *     00000000000000052000.start               the log begins with this segment; those before have left it for good
 *
 * A segment is packed beside its plain file, synced, renamed, and only then is the plain one removed: while there are
 * both, both are whole, and the plain one is read. A part is of a process that has died, or is under way.
 *
 * A packed one starts with what it holds, in a frame that decompressors skip, then has its header in a frame of its
 * own: neither a start nor a survey has to unpack it.
 */
const NAME = /^(\d{20})\.(?:ndjson(?:\.(zst|s3)(\.part)?)?|(start))$/;

/** No summary is longer. */
const SUMMARY_MAX_BYTES = 512;
const SUMMARY =
  /^(\{"\$segment":\{"records":(\d{1,16}),"bytes":(\d{1,16}),"first_arrival":(-?\d{1,19}),"last_arrival":(-?\d{1,19}),"keyed":(\d{1,16}),"crc":)(\d{1,10})\}\}\n$/;

/** Read and checked between two turns of the event loop: a few milliseconds. */
const SLICE_BYTES = 2 << 20;

export interface SegmentFiles {
  first: number;
  hasPlain: boolean;
  hasPacked: boolean;
  /** A bucket has the packed one, whole. */
  isUploaded: boolean;
}

/** What a folder holds. */
export interface Listing {
  /** Ascending. Those before the log's start are not among them. */
  segments: SegmentFiles[];
  /** The position that the log begins with. */
  start: number;
  /** Files that nobody has finished, and those of segments that have left the log. */
  rests: string[];
}

/** What a closed segment holds. */
export interface Summary {
  records: number;
  /** Of the plain file. */
  bytes: number;
  firstArrivalMicros: bigint;
  lastArrivalMicros: bigint;
  /** Batches that have a key. */
  keyedCount: number;
}

export function plainPath(folder: string, first: number): string {
  return join(folder, segmentName(first));
}

export function packedPath(folder: string, first: number): string {
  return `${plainPath(folder, first)}.zst`;
}

/** Of the plain file. */
export function segmentName(first: number): string {
  return `${String(first).padStart(20, '0')}.ndjson`;
}

/** Says that a bucket has the packed segment: the segment's header, its summary, and the size of the object. */
export function uploadedPath(folder: string, first: number): string {
  return `${plainPath(folder, first)}.s3`;
}

/** Of an empty file that says that the log begins here. */
export function startPath(folder: string, first: number): string {
  return join(folder, `${String(first).padStart(20, '0')}.start`);
}

/** What a folder holds, whatever a process that has died may have left. */
export async function listSegments(disk: ReadDisk, folder: string): Promise<Listing> {
  const found: { name: string; first: number; kind: string; isPart: boolean }[] = [];
  for (const name of await disk.list(folder)) {
    const [, digits, kind = 'plain', part, mark] = NAME.exec(name) ?? [];
    if (digits !== undefined)
      found.push({ name, first: Number(digits), kind: mark ?? kind, isPart: part !== undefined });
  }
  const start = found.reduce((most, { kind, first }) => (kind === 'start' ? Math.max(most, first) : most), 0);
  const segments = new Map<number, SegmentFiles>();
  const rests: string[] = [];
  for (const { name, first, kind, isPart } of found) {
    if (isPart || first < start) rests.push(name);
    else if (kind !== 'start') {
      const segment = segments.get(first) ?? { first, hasPlain: false, hasPacked: false, isUploaded: false };
      segments.set(first, segment);
      if (kind === 'plain') segment.hasPlain = true;
      else if (kind === 'zst') segment.hasPacked = true;
      else segment.isUploaded = true;
    }
  }
  return { segments: [...segments.values()].sort((a, b) => a.first - b.first), start, rests };
}

/**
 * The plain bytes of a segment, up to `endBytes`, wherever they are. A plain file may be packed and go away while it is
 * read: then the rest comes from the packed one, in the folder or (as `readThrough` has it) in a bucket.
 */
export async function* segmentChunks(
  disk: ReadDisk,
  folder: string,
  first: number,
  endBytes = Infinity,
): AsyncGenerator<Uint8Array> {
  let passed = 0;
  try {
    for await (const chunk of fileChunks(disk, plainPath(folder, first), endBytes)) {
      yield chunk;
      passed += chunk.length;
    }
    return;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const path = packedPath(folder, first);
  let offset = 0;
  try {
    for await (const plain of unpackedFrames(fileChunks(disk, path), path)) {
      const wanted = plain.subarray(Math.max(0, passed - offset), Math.max(0, endBytes - offset));
      if (wanted.length > 0) yield wanted;
      offset += plain.length;
      if (offset >= endBytes) return;
    }
  } catch (error) {
    if (isMissing(error)) throw new Corrupt(path, 0, `${path} is gone, and the plain file too`);
    throw error;
  }
}

/**
 * A log's blocks from record `from` on, beside whoever writes to it: without a lock, and without mending anything. What
 * is being written at the time may be in it or not.
 *
 * @throws Fault `corrupt`
 */
export async function* folderBlocks(disk: ReadDisk, folder: string, from: number): AsyncGenerator<Block> {
  const { segments } = await listSegments(disk, folder);
  for (const [i, segment] of segments.entries()) {
    const next = segments[i + 1]?.first;
    if (next !== undefined && next <= from) continue;
    const path = shownPath(folder, segment);
    const stream = new ByteStream(segmentChunks(disk, folder, segment.first));
    const stop = yield* segmentBlocks(stream, path, from, next === undefined ? 'torn' : 'whole');
    if (next !== undefined && stop !== next)
      throw corrupt(path, stream.offset, `the end of the segment with record ${stop} of ${next}`);
  }
}

/**
 * The log in a folder as it is now, to be replayed: its records are counted from the first that it still has.
 *
 * @throws Fault `not_found`, `corrupt`
 */
export async function folderLog(disk: ReadDisk, folder: string): Promise<Source> {
  const { segments, start } = await listSegments(disk, folder);
  const header = segments[0] ? await headerOf(disk, folder, segments[0]) : null;
  if (!header) throw new Fault('not_found', `${folder} holds no event log`);
  return { clock: header.clock, read: from => folderBlocks(disk, folder, start + from) };
}

/** How many records the log in a folder has now, counted as `folderLog` does. @throws Fault `corrupt` */
export async function folderRecords(disk: ReadDisk, folder: string): Promise<number> {
  const { segments, start } = await listSegments(disk, folder);
  const last = segments.at(-1);
  if (!last) return 0;
  // A packed one says it of itself; the one that is written to is looked through.
  const isOpen = last.hasPlain;
  const summary = isOpen
    ? (await examineSegment(disk, folder, last, 'torn')).summary
    : await summaryOf(disk, folder, last);
  return last.first + (summary?.records ?? 0) - start;
}

/** Enough of a segment to read its header, without unpacking more. */
export async function* segmentStart(disk: ReadDisk, folder: string, first: number): AsyncGenerator<Uint8Array> {
  for await (const chunk of segmentChunks(disk, folder, first, HEADER_MAX_BYTES)) {
    yield chunk;
    return;
  }
}

/** For messages: the file that `segmentChunks` reads, as a listing has it. */
export function shownPath(folder: string, { first, hasPlain }: SegmentFiles): string {
  return hasPlain ? plainPath(folder, first) : packedPath(folder, first);
}

/** What a closed segment says of itself, or (a plain one) what is found by reading all of it. */
export async function summaryOf(disk: ReadDisk, folder: string, segment: SegmentFiles): Promise<Summary> {
  if (segment.hasPlain) return scanSegment(disk, folder, segment);
  if (!segment.hasPacked) return uploadedSummary(disk, folder, segment.first);
  const path = packedPath(folder, segment.first);
  const stream = new ByteStream(fileChunks(disk, path, SUMMARY_MAX_BYTES + 8));
  const content = await skippedContent(stream, SUMMARY_MAX_BYTES);
  // Packed by hand: that is as good, only slower to look through.
  return content === null ? scanSegment(disk, folder, segment) : decodeSummary(content, path);
}

/** Of a segment that has left the folder: what is noted of it there. */
async function uploadedSummary(disk: ReadDisk, folder: string, first: number): Promise<Summary> {
  const path = uploadedPath(folder, first);
  const text = await disk.read(path, 0, HEADER_MAX_BYTES + SUMMARY_MAX_BYTES);
  const start = text.indexOf(NEWLINE) + 1;
  return decodeSummary(text.subarray(start, text.indexOf(NEWLINE, start) + 1), path);
}

/** What a segment's first line says, wherever the segment is; null where it says nothing. */
export async function headerOf(disk: ReadDisk, folder: string, segment: SegmentFiles): Promise<SegmentHeader | null> {
  const { first, hasPlain, hasPacked } = segment;
  if (hasPlain || hasPacked)
    return readHeader(new ByteStream(segmentStart(disk, folder, first)), shownPath(folder, segment));
  const path = uploadedPath(folder, first);
  return readHeader(new ByteStream(fileChunks(disk, path, HEADER_MAX_BYTES)), path);
}

/** Bytes of a segment's object, as they were when it was uploaded. */
export async function uploadedBytes(disk: ReadDisk, folder: string, first: number): Promise<number> {
  const path = uploadedPath(folder, first);
  const text = Buffer.from(await disk.read(path, 0, HEADER_MAX_BYTES + 2 * SUMMARY_MAX_BYTES)).toString('latin1');
  const match = /\n\{"\$object":\{"bytes":(\d{1,16})\}\}\n$/.exec(text);
  if (!match) throw corrupt(path, 0, 'no size of an object');
  return Number(match[1]);
}

function decodeSummary(content: Uint8Array, path: string): Summary {
  const match = SUMMARY.exec(Buffer.from(content).toString('latin1'));
  if (!match || crc32(match[1]!) !== Number(match[7])) throw corrupt(path, 0, 'a wrong summary');
  return {
    records: Number(match[2]),
    bytes: Number(match[3]),
    firstArrivalMicros: BigInt(match[4]!),
    lastArrivalMicros: BigInt(match[5]!),
    keyedCount: Number(match[6]),
  };
}

/** What reading all of a segment has shown. */
export interface Examined {
  header: SegmentHeader | null;
  /** Of the whole batches; null where there is none. */
  summary: Summary | null;
  /** What ended the reading before the segment's end. */
  damage: Corrupt | null;
  /** Where a write that did not finish begins: only in a segment that is written to, and no damage. */
  tornBytes: number | null;
}

/** Reads and checks all batches of a segment, with a turn of the event loop now and then. */
export async function examineSegment(
  disk: ReadDisk,
  folder: string,
  segment: SegmentFiles,
  ending: 'whole' | 'torn',
): Promise<Examined> {
  const path = shownPath(folder, segment);
  const stream = new ByteStream(segmentChunks(disk, folder, segment.first));
  const examined: Examined = { header: null, summary: null, damage: null, tornBytes: null };
  try {
    examined.header = await readHeader(stream, path);
    let next: Next = examined.header ? await readBatch(stream) : { kind: 'damage', offset: 0, reason: 'no log header' };
    for (let turned = 0; next.kind === 'batch'; next = await readBatch(stream)) {
      examined.summary = withBatch(examined.summary, next, stream.offset);
      if (stream.offset - turned < SLICE_BYTES) continue;
      turned = stream.offset;
      await turn();
    }
    if (next.kind === 'end') return examined;
    if (ending === 'torn' && !(await wasSynced(stream, next.offset))) examined.tornBytes = next.offset;
    else examined.damage = corrupt(path, next.offset, next.reason);
  } catch (error) {
    if (!(error instanceof Corrupt)) throw error;
    examined.damage = error;
  }
  return examined;
}

function withBatch(summary: Summary | null, { arrivalMicros, count, id }: Batch, bytes: number): Summary {
  return {
    records: (summary?.records ?? 0) + count,
    bytes,
    firstArrivalMicros: summary?.firstArrivalMicros ?? arrivalMicros,
    lastArrivalMicros: arrivalMicros,
    keyedCount: (summary?.keyedCount ?? 0) + (id ? 1 : 0),
  };
}

/** @throws Fault `corrupt` where a batch of a closed segment is not whole, or there is none */
async function scanSegment(disk: ReadDisk, folder: string, segment: SegmentFiles): Promise<Summary> {
  const { summary, damage } = await examineSegment(disk, folder, segment, 'whole');
  if (damage) throw damage;
  if (!summary) throw corrupt(shownPath(folder, segment), 0, 'a segment without batches');
  return summary;
}

/**
 * Packs a closed segment: what is not whole is not packed. Killed at any point it leaves the plain file, or both, or
 * the packed one, each whole, and maybe a part.
 *
 * @param isStopped asked between frames; then nothing is changed but that a part is left
 * @returns false where it was stopped
 */
export async function packSegment(
  disk: Disk,
  folder: string,
  first: number,
  pack: Pack,
  isStopped: () => boolean,
): Promise<boolean> {
  const plain = plainPath(folder, first);
  const packed = packedPath(folder, first);
  const summary = await scanSegment(disk, folder, { first, hasPlain: true, hasPacked: false, isUploaded: false });
  if (isStopped() || !(await writePacked(disk, plain, `${packed}.part`, summary, pack, isStopped))) return false;
  await disk.rename(`${packed}.part`, packed);
  await disk.syncFolder(folder);
  await disk.remove(plain);
  return true;
}

async function writePacked(
  disk: Disk,
  plain: string,
  part: string,
  summary: Summary,
  pack: Pack,
  isStopped: () => boolean,
): Promise<boolean> {
  await removeIfThere(disk, part);
  const file = await disk.create(part);
  try {
    await file.write(skippedFrame(encodeSummary(summary)));
    for (let offset = 0; offset < summary.bytes; ) {
      const length = offset === 0 ? await headerBytes(disk, plain) : FRAME_BYTES;
      const bytes = await disk.read(plain, offset, length);
      await file.write(await pack(bytes));
      offset += bytes.length;
      await turn();
      if (isStopped()) return false;
    }
    await file.sync();
    return true;
  } finally {
    await file.close();
  }
}

export async function removeIfThere(disk: Disk, path: string): Promise<void> {
  await disk.remove(path).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

async function headerBytes(disk: Disk, path: string): Promise<number> {
  const start = await disk.read(path, 0, HEADER_MAX_BYTES);
  return start.indexOf(10) + 1;
}

export function encodeSummary(summary: Summary): Uint8Array {
  const { records, bytes, firstArrivalMicros, lastArrivalMicros, keyedCount } = summary;
  const text = `{"$segment":{"records":${records},"bytes":${bytes},"first_arrival":${firstArrivalMicros},"last_arrival":${lastArrivalMicros},"keyed":${keyedCount},"crc":`;
  return Buffer.from(`${text}${crc32(text)}}}\n`);
}
