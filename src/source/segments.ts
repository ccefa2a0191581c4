import { crc32 } from 'node:zlib';
import { join } from 'node:path';
import { turn } from '../base/turn.ts';
import { Corrupt, corrupt } from './corrupt.ts';
import { type Disk, isMissing } from './disk.ts';
import type { Batch, Next, SegmentHeader } from './segment.ts';
import { HEADER_MAX_BYTES, readBatch, readHeader, segmentBlocks, wasSynced } from './segment.ts';
import type { Block } from './source.ts';
import { ByteStream, fileChunks } from './stream.ts';
import { FRAME_BYTES, type Pack, skippedContent, skippedFrame, unpackedFrames } from './zstd.ts';

/**
 * A log's folder. Segments are named by the position of their first record:
 *
 *     00000000000000000000.ndjson.zst          closed and packed
 *     00000000000000052000.ndjson              closed, and on its way to be packed
 *     00000000000000052000.ndjson.zst.part     which is not done yet
 *     00000000000000103000.ndjson              written to
 *
 * A segment is packed beside its plain file, synced, renamed, and only then is the plain one removed: while there are
 * both, both are whole, and the plain one is read. A part is of a process that has died, or is under way.
 *
 * A packed one starts with what it holds, in a frame that decompressors skip, then has its header in a frame of its
 * own: neither a start nor a survey has to unpack it.
 */
const NAME = /^(\d{20})\.ndjson(\.zst(\.part)?)?$/;

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

/** The segments of a folder, ascending, and the parts that nobody has finished. */
export async function listSegments(disk: Disk, folder: string): Promise<{ segments: SegmentFiles[]; parts: string[] }> {
  const segments = new Map<number, SegmentFiles>();
  const parts: string[] = [];
  for (const name of await disk.list(folder)) {
    const [, digits, packed, part] = NAME.exec(name) ?? [];
    if (digits === undefined) continue;
    if (part !== undefined) {
      parts.push(name);
      continue;
    }
    const first = Number(digits);
    const segment = segments.get(first) ?? { first, hasPlain: false, hasPacked: false };
    segments.set(first, segment);
    if (packed === undefined) segment.hasPlain = true;
    else segment.hasPacked = true;
  }
  return { segments: [...segments.values()].sort((a, b) => a.first - b.first), parts };
}

/**
 * The plain bytes of a segment, up to `endBytes`, wherever they are. A plain file may be packed and go away while it is
 * read: then the rest comes from the packed one.
 */
export async function* segmentChunks(
  disk: Disk,
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
export async function* folderBlocks(disk: Disk, folder: string, from: number): AsyncGenerator<Block> {
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

/** Enough of a segment to read its header, without unpacking more. */
export async function* segmentStart(disk: Disk, folder: string, first: number): AsyncGenerator<Uint8Array> {
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
export async function summaryOf(disk: Disk, folder: string, segment: SegmentFiles): Promise<Summary> {
  if (segment.hasPlain) return scanSegment(disk, folder, segment);
  const path = packedPath(folder, segment.first);
  const stream = new ByteStream(fileChunks(disk, path, SUMMARY_MAX_BYTES + 8));
  const content = await skippedContent(stream, SUMMARY_MAX_BYTES);
  // Packed by hand: that is as good, only slower to look through.
  if (content === null) return scanSegment(disk, folder, segment);
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
  disk: Disk,
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
async function scanSegment(disk: Disk, folder: string, segment: SegmentFiles): Promise<Summary> {
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
  const summary = await scanSegment(disk, folder, { first, hasPlain: true, hasPacked: false });
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

function encodeSummary(summary: Summary): Uint8Array {
  const { records, bytes, firstArrivalMicros, lastArrivalMicros, keyedCount } = summary;
  const text = `{"$segment":{"records":${records},"bytes":${bytes},"first_arrival":${firstArrivalMicros},"last_arrival":${lastArrivalMicros},"keyed":${keyedCount},"crc":`;
  return Buffer.from(`${text}${crc32(text)}}}\n`);
}
