/**
 * Packs as they rest in a database, and as they are worked on:
 *
 *   00 ...               rows as they are (pack.ts: the first shares nothing with one before it); so older versions wrote all
 *   28 B5 2F FD ...      a zstd frame of them
 *   01 | row | frame     two frames, each of about half of them: the first is the value of what is spelt as a row of a pack, under
 *                        the address of the last row in it, which the first one of the second half is spelt behind
 *
 * Who looks for one row unpacks the half that has it: most packs are read for one, and to unpack is most of what that takes.
 */
import { PackDamage, PackWalk, PackWriter } from './pack.ts';

/** What zstd's magic number begins with. */
const ZSTD_BYTE = 0x28;

const HALVES = Uint8Array.of(0x01);

/** The best of those that take 22 us for 8,000 bytes; the next ones take three times as long for a twentieth. */
const LEVEL = 3;

/** Fewer bytes hardly become less. */
const SEALED_MIN_BYTES = 128;

/** Of 8,000 bytes halves are a ninth longer than a whole, and one of them takes half of its time; of fewer there is less to be had. */
const HALVED_MIN_BYTES = 4000;

const WALK = new PackWalk();
const OUT = new PackWriter();

/** The bytes hold until the next pack is sealed. */
export function sealPack(rows: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (rows.length < SEALED_MIN_BYTES) return rows;
  const sealed = (rows.length < HALVED_MIN_BYTES ? null : halved(rows)) ?? frame(rows);
  return sealed.length < rows.length ? sealed : rows;
}

/** Null where the last row is more than half. */
function halved(rows: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | null {
  const walk = WALK.open(rows);
  while (walk.end < rows.length / 2) walk.next();
  if (walk.end === rows.length) return null;
  const first = frame(rows.subarray(0, walk.end));
  const second = frame(rows.subarray(walk.end));
  OUT.begin();
  OUT.copy(HALVES, 0, HALVES.length);
  OUT.put(walk.address, 0, walk.length, first, 0, first.length);
  OUT.copy(second, 0, second.length);
  return OUT.bytes();
}

/** @throws PackDamage where the bytes are no such pack */
export function unsealPack(stored: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const halves = halvesOf(stored);
  if (!halves) return unframed(stored);
  const [first, second] = [unframed(halves.first), unframed(halves.second)];
  const rows = new Uint8Array(first.length + second.length);
  rows.set(first);
  rows.set(second, first.length);
  return rows;
}

/** What a pack rests in, where these are two: views of it. */
export interface Halves {
  /** The address of the last row of the first. */
  last: Uint8Array<ArrayBuffer>;
  first: Uint8Array<ArrayBuffer>;
  second: Uint8Array<ArrayBuffer>;
}

/**
 * Null where it is one.
 *
 * @throws PackDamage where the bytes end too early, or are no frames
 */
export function halvesOf(stored: Uint8Array<ArrayBuffer>): Halves | null {
  if (stored[0] !== HALVES[0]) return null;
  const walk = WALK.open(stored.subarray(HALVES.length));
  if (!walk.next()) throw new PackDamage();
  const last = walk.address.slice(0, walk.length);
  const [first, second] = [walk.bytes.subarray(walk.valueStart, walk.end), walk.bytes.subarray(walk.end)];
  if (first[0] !== ZSTD_BYTE || second[0] !== ZSTD_BYTE) throw new PackDamage();
  return { last, first, second };
}

function frame(rows: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytesOf(Bun.zstdCompressSync(rows, { level: LEVEL }));
}

/**
 * The rows of a frame, or what was not made one.
 *
 * @throws PackDamage where it cannot be unpacked
 */
export function unframed(stored: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (stored[0] !== ZSTD_BYTE) return stored;
  try {
    return bytesOf(Bun.zstdDecompressSync(stored));
  } catch {
    throw new PackDamage();
  }
}

/** Of a Buffer `slice` would be a view. */
function bytesOf({ buffer, byteOffset, length }: Buffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, length);
}
