/**
 * Addresses of rows as bytes whose order is that of scans: (entity, key bytes, level, tile start).
 *
 *   entity u32 | key, each 00 as 00 01, then 00 00 | level u48 | tile start + 2^55 as u56      all big-endian
 *
 * The escape makes the end of a key sort before everything that may follow in a longer one, so no address begins
 * another.
 */
/** Bytes behind the key: its end, level and tile start. */
const TAIL_SIZE = 2 + 6 + 7;

/** More than the largest entity there can be: an end for all addresses. */
const ENTITY_END = 2 ** 31;

const TWO_32 = 2 ** 32;

/** What the address of a key takes at most. */
export function addressSizeMax(key: Uint8Array): number {
  return 4 + 2 * key.length + TAIL_SIZE;
}

/**
 * Writes the address at `at`, where there is room for `addressSizeMax`; returns where it ends. A tile start may be
 * infinite: the first or the last that there can be.
 */
export function writeAddress(
  bytes: Uint8Array,
  at: number,
  entity: number,
  key: Uint8Array,
  levelMs: number,
  tileStartMs: number,
): number {
  bytes[at++] = entity >>> 24;
  bytes[at++] = entity >>> 16;
  bytes[at++] = entity >>> 8;
  bytes[at++] = entity;
  for (let i = 0; i < key.length; i++) {
    const byte = key[i]!;
    bytes[at++] = byte;
    if (byte === 0) bytes[at++] = 1;
  }
  bytes[at++] = 0;
  bytes[at++] = 0;
  at = writeHigh(bytes, at, Math.floor(levelMs / TWO_32), 2);
  at = writeHigh(bytes, at, levelMs % TWO_32, 4);
  const startMs = Math.min(Math.max(tileStartMs, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
  const high = Math.floor(startMs / TWO_32);
  at = writeHigh(bytes, at, high + 2 ** 23, 3);
  return writeHigh(bytes, at, startMs - high * TWO_32, 4);
}

function writeHigh(bytes: Uint8Array, at: number, value: number, size: number): number {
  for (let i = size - 1; i >= 0; i--) bytes[at++] = value >>> (8 * i);
  return at;
}

/** An address of its own. */
export function addressOf(entity: number, key: Uint8Array, levelMs: number, tileStartMs: number): Uint8Array {
  const bytes = new Uint8Array(addressSizeMax(key));
  return bytes.subarray(0, writeAddress(bytes, 0, entity, key, levelMs, tileStartMs));
}

/** Behind every row of a key and before all of the next one. */
export function keyEnd(entity: number, key: Uint8Array): Uint8Array {
  const end = addressOf(entity, key, 0, 0);
  return end.fill(0xff, end.length - TAIL_SIZE + 2);
}

/** Before every row of an entity kind. */
export function entityStart(entity: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, Math.min(entity, ENTITY_END));
  return bytes;
}

export function entityAt(address: Uint8Array): number {
  return ((address[0]! << 24) | (address[1]! << 16) | (address[2]! << 8) | address[3]!) >>> 0;
}

/** The key that an address of `length` bytes has, with its escapes taken back. */
export function keyAt(address: Uint8Array, length: number): Uint8Array {
  const end = length - TAIL_SIZE;
  const key = new Uint8Array(end - 4);
  let size = 0;
  for (let at = 4; at < end; at++) {
    key[size++] = address[at]!;
    if (address[at] === 0) at++;
  }
  return size === key.length ? key : key.slice(0, size);
}

export function levelAt(address: Uint8Array, length: number): number {
  return ((address[length - 13]! << 8) | address[length - 12]!) * TWO_32 + uint32At(address, length - 11);
}

export function tileStartAt(address: Uint8Array, length: number): number {
  const high = (address[length - 7]! << 16) | (address[length - 6]! << 8) | address[length - 5]!;
  return (high - 2 ** 23) * TWO_32 + uint32At(address, length - 4);
}

function uint32At(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Bytes of an address or a key as a text that no others have, one character each: for maps. */
export function byteName({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1');
}
