import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { corrupt } from './corrupt.ts';
import { type BatchKey, isBatchKey, KEY_MAX_CHARACTERS } from './keys.ts';
import { BLOCK_MAX_BYTES, type Block, type Clock } from './source.ts';
import type { ByteStream } from './stream.ts';

/**
 * The bytes of an event log's segment, a text file that any tool can look into:
 *
 *     {"$log":{"version":1,"clock":"event","max_jump_ms":2678400000,"first":0,"previous":null}}
 *     {"$batch":{"arrival":1700000000000000,"count":2,"bytes":112,"synced":90,"crc":2634010641}}
 *     {"type":"view","time":"2024-01-01T00:00:00Z","data":{}}      } `bytes` bytes, `count` lines
 *     {"type":"view","time":"2024-01-01T00:00:01Z","data":{}}      }
 *     {"$batch": ...
 *
 * `bytes` says where the next header stands, so no event can be taken for one. `crc` is the CRC-32 of its own header
 * up to `"crc":`, then of the event lines: a wrong arrival or count would change values just as a wrong event would.
 *
 * `synced` is how many bytes of the segment were known to be durable when the batch was written. It tells a torn
 * write from rotten bytes. A power cut may lose any part of what was not synced, in any order; damage at a place
 * that a later whole batch says was synced can only be corruption.
 *
 * A batch that its client has named says so between `synced` and `crc`, and is known again by it for a while:
 *
 *     {"$batch":{"arrival":...,"synced":90,"key":"8e03978e-40d5","digest":"9f86d0...","crc":2634010641}}
 */
export interface SegmentHeader {
  clock: Clock;
  /** Position of the first record. */
  first: number;
  /** `first` of the segment before, so that a missing file is noticed from the headers alone; null in the first. */
  previous: number | null;
}

const VERSION = 1;

/** No header is longer, with a key of nothing but quotes either; it bounds the look ahead for one. */
export const HEADER_MAX_BYTES = 1024;

/** What a reader has to hold to check a batch. */
export const BATCH_MAX_BYTES = 16 << 20;

export const NEWLINE = 10;
const LOG_VERSION = /^\{"\$log":\{"version":(\d{1,9})[,}]/;
const LOG_HEADER =
  /^\{"\$log":\{"version":1,"clock":"(event|wall)","max_jump_ms":(\d{1,16}),"first":(\d{1,16}),"previous":(\d{1,16}|null)\}\}$/;
const BATCH_KEY = `"key":"((?:[!#-\\[\\]-~]|\\\\["\\\\]){1,${KEY_MAX_CHARACTERS}})","digest":"([0-9a-f]{64})",`;
const BATCH_HEADER = new RegExp(
  `^(\\{"\\$batch":\\{"arrival":(-?\\d{1,19}),"count":(\\d{1,9}),"bytes":(\\d{1,9}),"synced":(\\d{1,16}),(?:${BATCH_KEY})?"crc":)(\\d{1,10})\\}\\}$`,
);
const BATCH_MARK = Buffer.from('{"$batch":{"arrival":');

/** No header is longer: each of its numbers has at most 16 digits. */
const HEADER_LINE_MAX = 160;

export function encodeHeader({ clock, first, previous }: SegmentHeader): Uint8Array {
  const text = `"version":${VERSION},"clock":"${clock.kind}","max_jump_ms":${clock.maxJumpMs},"first":${first},"previous":${previous}`;
  return Buffer.from(`{"$log":{${text}}}\n`);
}

/**
 * The header of a segment, passed over; null, with nothing passed, where the bytes do not start with one.
 *
 * @throws Fault `unsupported` for a version that this one cannot read
 */
export async function readHeader(stream: ByteStream, file: string): Promise<SegmentHeader | null> {
  const line = headerLine(await stream.peek(HEADER_MAX_BYTES));
  const version = LOG_VERSION.exec(line ?? '')?.[1];
  if (line === null || version === undefined) return null;
  if (Number(version) !== VERSION)
    throw new Fault('unsupported', `${file} is an event log of version ${version}; this one reads version ${VERSION}`);
  const match = LOG_HEADER.exec(line);
  if (!match) return null;
  stream.skip(line.length + 1);
  return {
    clock: { kind: match[1] as Clock['kind'], maxJumpMs: Number(match[2]) },
    first: Number(match[3]),
    previous: match[4] === 'null' ? null : Number(match[4]),
  };
}

export interface Batch {
  arrivalMicros: bigint;
  /** Event lines. */
  count: number;
  /** The event lines, each ending in a newline. */
  lines: Uint8Array;
  /** What its client has called it. */
  id: BatchKey | null;
}

/** Header and lines of a batch, ready to be written. */
export function encodeBatch({ arrivalMicros, count, lines, id }: Batch, syncedBytes: number): Uint8Array[] {
  assert(id === null || isBatchKey(id.key), 'a batch key is visible ASCII');
  const named = id === null ? '' : `"key":${JSON.stringify(id.key)},"digest":"${id.digest}",`;
  const text = `"arrival":${arrivalMicros},"count":${count},"bytes":${lines.length},"synced":${syncedBytes},${named}`;
  const checked = Buffer.from(`{"$batch":{${text}"crc":`);
  return [checked, Buffer.from(`${crc32(lines, crc32(checked))}}}\n`), lines];
}

/** What stands next in a segment: a whole batch, its end, or something that is neither. */
export type Next =
  | ({ kind: 'batch'; syncedBytes: number } & Batch)
  | { kind: 'end' }
  | { kind: 'damage'; offset: number; reason: string };

/** The next batch, passed over, its crc checked; its lines are valid until the next call. Damage is not passed over. */
export async function readBatch(stream: ByteStream): Promise<Next> {
  const { offset } = stream;
  const ahead = await stream.peek(HEADER_MAX_BYTES);
  if (ahead.length === 0) return { kind: 'end' };
  const line = headerLine(ahead);
  const match = line === null ? null : BATCH_HEADER.exec(line);
  if (line === null || !match) return { kind: 'damage', offset, reason: 'no batch header' };
  const [, checked, arrival, count, bytes, synced, key, digest, crc] = match;
  const headerBytes = line.length + 1;
  const length = Number(bytes);
  if (length > BATCH_MAX_BYTES) return { kind: 'damage', offset, reason: `a batch of ${length} bytes` };
  const whole = await stream.peek(headerBytes + length);
  if (whole.length < headerBytes + length) return { kind: 'damage', offset, reason: 'an incomplete batch' };
  const lines = whole.subarray(headerBytes);
  if (crc32(lines, crc32(checked!)) !== Number(crc)) return { kind: 'damage', offset, reason: 'a wrong checksum' };
  stream.skip(headerBytes + length);
  const id = key === undefined ? null : { key: key.replace(/\\(.)/g, '$1'), digest: digest! };
  const batch = { arrivalMicros: BigInt(arrival!), count: Number(count), lines, id };
  return { kind: 'batch', ...batch, syncedBytes: Number(synced) };
}

/**
 * Was the damaged place durable before? Then this is corruption and no torn write. Reads the stream to its end, or
 * to the first batch that proves it. A header is durable before anything is appended behind it.
 */
export async function wasSynced(stream: ByteStream, damageOffset: number): Promise<boolean> {
  if (damageOffset === 0 && (await stream.peek(HEADER_LINE_MAX + 1)).length > HEADER_LINE_MAX) return true;
  for (;;) {
    const ahead = await stream.peek(BLOCK_MAX_BYTES);
    const at = Buffer.from(ahead.buffer, ahead.byteOffset, ahead.length).indexOf(BATCH_MARK);
    if (at < 0 && ahead.length < BLOCK_MAX_BYTES) return false;
    // A mark may lie across the end of what was looked at.
    stream.skip(at < 0 ? ahead.length - BATCH_MARK.length + 1 : at);
    if (at < 0) continue;
    const next = await readBatch(stream);
    if (next.kind !== 'batch') stream.skip(1);
    else if (next.syncedBytes > damageOffset) return true;
  }
}

/**
 * A segment's blocks from record `from` on; returns the position after its last record.
 *
 * @param ending with `torn`, a last write that did not finish ends the segment: nobody was told that it was kept
 * @throws Fault `corrupt`
 */
export async function* segmentBlocks(
  stream: ByteStream,
  file: string,
  from: number,
  ending: 'whole' | 'torn',
): AsyncGenerator<Block, number> {
  const header = await readHeader(stream, file);
  if (!header) throw corrupt(file, 0, 'no log header');
  let position = header.first;
  let line = 2;
  for (;;) {
    const next = await readBatch(stream);
    if (next.kind === 'end') return position;
    if (next.kind === 'damage') {
      if (ending === 'torn' && !(await wasSynced(stream, next.offset))) return position;
      throw corrupt(file, next.offset, next.reason);
    }
    if (position + next.count > from) yield* batchBlocks(next, file, line + 1, Math.max(0, from - position));
    position += next.count;
    line += next.count + 1;
  }
}

/** A batch without its first `skipCount` lines, cut at line ends so that no block is too large. */
function* batchBlocks(batch: Batch, file: string, firstLine: number, skipCount: number): Generator<Block> {
  const { lines, arrivalMicros } = batch;
  let start = 0;
  for (let i = 0; i < skipCount; i++) start = lines.indexOf(NEWLINE, start) + 1;
  let line = firstLine + skipCount;
  while (start < lines.length) {
    let end = lines.length;
    if (end - start > BLOCK_MAX_BYTES) {
      end = lines.lastIndexOf(NEWLINE, start + BLOCK_MAX_BYTES - 1) + 1;
      assert(end > start, 'a logged line is no longer than a block');
    }
    const bytes = lines.subarray(start, end);
    yield { bytes, arrivalMicros, file, line };
    if (end < lines.length) line += lineCount(bytes);
    start = end;
  }
}

export function lineCount(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

/** At most so many lines, from the start. */
export function firstLines(bytes: Uint8Array, count: number): Uint8Array {
  if (count >= bytes.length) return bytes;
  let end = 0;
  for (let i = 0; i < count && end < bytes.length; i++) end = bytes.indexOf(NEWLINE, end) + 1;
  return bytes.subarray(0, end);
}

/** The line at the start of `ahead` without its newline; null where none ends there. Headers are ASCII. */
function headerLine(ahead: Uint8Array): string | null {
  const end = ahead.indexOf(NEWLINE);
  return end < 0 ? null : Buffer.from(ahead.buffer, ahead.byteOffset, end).toString('latin1');
}
