/**
 * Integers in as few bytes as a block of them needs: most counts and sums are small, and what is written, packed and read is an eighth then.
 *
 *     width | unit               u32 each
 *     base                       int64
 *     (value - base) / unit      `width` bytes each: 1, 2 or 4
 *
 * Where that does not do, width is 8, and there are the values themselves.
 */

/** Words of times in whole milliseconds. */
const MILLI = 1000;
const WORD = 2 ** 32;

/** Takes the next bytes of what was packed; each piece begins at a multiple of 8. */
type Take = (size: number) => Uint8Array<ArrayBuffer>;

/** @param nulls under which values are 0 */
export function packLongs(values: BigInt64Array, nulls: Uint8Array | null): Uint8Array[] {
  const { length } = values;
  const words = new Int32Array(values.buffer, values.byteOffset, length * 2);
  const plain = new Float64Array(length);
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < length; i++) {
    // Beyond 2^53 it is about that much, and far beyond what is packed.
    const value = nulls?.[i] ? 0 : words[i * 2 + 1]! * WORD + (words[i * 2]! >>> 0);
    plain[i] = value;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const unit = most - least < WORD ? 1 : MILLI;
  const isPacked = Number.isSafeInteger(least) && Number.isSafeInteger(most) && hasUnit(plain, least, unit);
  const width = isPacked ? widthOf((most - least) / unit) : 8;
  if (width === 8) return [headOf(8, 1), rawOf(values, nulls)];
  const small = smallArray(width, length);
  if (unit === 1) for (let i = 0; i < length; i++) small[i] = plain[i]! - least;
  else for (let i = 0; i < length; i++) small[i] = (plain[i]! - least) / unit;
  return [headOf(width, unit), bytesOf(BigInt64Array.of(BigInt(least))), bytesOf(small)];
}

export function unpackLongs(take: Take, count: number): BigInt64Array {
  const [width, unit] = pairOf(take(8));
  if (width === 8) {
    const { buffer, byteOffset } = take(count * 8);
    return new BigInt64Array(buffer, byteOffset, count);
  }
  const [low, high] = pairOf(take(8));
  const base = (high | 0) * WORD + low;
  const small = smallOf(take(count * width), width, count);
  const values = new BigInt64Array(count);
  const words = new Int32Array(values.buffer);
  for (let i = 0; i < count; i++) {
    const value = base + small[i]! * unit;
    words[i * 2] = value | 0;
    words[i * 2 + 1] = Math.floor(value / WORD);
  }
  return values;
}

/** Of things one behind the other, given by where each begins and the last one ends: the sizes, `width` first. */
export function packSizes(ends: Uint32Array): Uint8Array {
  const count = ends.length - 1;
  let most = 0;
  for (let i = 0; i < count; i++) most = Math.max(most, ends[i + 1]! - ends[i]!);
  const width = widthOf(most);
  const packed = new Uint8Array(8 + count * width);
  packed.set(headOf(width, 1));
  const small = smallOf(packed.subarray(8), width, count);
  for (let i = 0; i < count; i++) small[i] = ends[i + 1]! - ends[i]!;
  return packed;
}

export function unpackSizes(take: Take, count: number): Uint32Array {
  const [width] = pairOf(take(8));
  const small = smallOf(take(count * width), width, count);
  const ends = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) ends[i + 1] = ends[i]! + small[i]!;
  return ends;
}

/** Is each a whole number of units above the base? */
function hasUnit(values: Float64Array, base: number, unit: number): boolean {
  if (unit === 1) return true;
  for (let i = 0; i < values.length; i++) if ((values[i]! - base) % unit !== 0) return false;
  return true;
}

function widthOf(most: number): number {
  return most < 2 ** 8 ? 1 : most < 2 ** 16 ? 2 : most < WORD ? 4 : 8;
}

function rawOf(values: BigInt64Array, nulls: Uint8Array | null): Uint8Array {
  const raw = values.slice();
  if (nulls) for (let i = 0; i < raw.length; i++) if (nulls[i]) raw[i] = 0n;
  return bytesOf(raw);
}

function headOf(width: number, unit: number): Uint8Array {
  return bytesOf(Uint32Array.of(width, unit));
}

function smallArray(width: number, count: number): Uint8Array | Uint16Array | Uint32Array {
  return width === 1 ? new Uint8Array(count) : width === 2 ? new Uint16Array(count) : new Uint32Array(count);
}

function smallOf({ buffer, byteOffset }: Uint8Array, width: number, count: number) {
  if (width === 1) return new Uint8Array(buffer, byteOffset, count);
  return width === 2 ? new Uint16Array(buffer, byteOffset, count) : new Uint32Array(buffer, byteOffset, count);
}

/** Two words. */
function pairOf({ buffer, byteOffset }: Uint8Array): [number, number] {
  const [first, second] = new Uint32Array(buffer, byteOffset, 2);
  return [first!, second!];
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
