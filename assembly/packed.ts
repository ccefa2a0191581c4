/**
 * Rows side by side in one block, as they cross between instances and threads. Little endian, one behind the other, at
 * any address:
 *
 *    0  entity u32
 *    4  key length u32
 *    8  value length u32
 *   12  0 u32
 *   16  level f64        milliseconds; 0 is the lifetime
 *   24  tile start f64   milliseconds since 1970 UTC
 *   32  key, then value
 *
 * src/kernel/packed.ts is its twin.
 */
import { Bytes } from './memory';

export const PACKED_HEAD_SIZE: usize = 32;

/** Appends a row. */
export function packRow(
  out: Bytes,
  entity: i32,
  key: usize,
  keyLength: usize,
  levelMs: i64,
  tileStart: i64,
  value: usize,
  length: usize,
): void {
  out.reserve(PACKED_HEAD_SIZE + keyLength + length);
  const at = out.end;
  store<i32>(at, entity);
  store<u32>(at, <u32>keyLength, 4);
  store<u32>(at, <u32>length, 8);
  store<u32>(at, 0, 12);
  store<f64>(at, <f64>levelMs, 16);
  store<f64>(at, <f64>tileStart, 24);
  memory.copy(at + PACKED_HEAD_SIZE, key, keyLength);
  memory.copy(at + PACKED_HEAD_SIZE + keyLength, value, length);
  out.length += PACKED_HEAD_SIZE + keyLength + length;
}

/** Where `readPacked` found the parts of a row. */
export let packedLevel: f64 = 0;
export let packedTileStart: f64 = 0;
export let packedValue: usize = 0;
export let packedEnd: usize = 0;

/** Reads the row at `at`; false where it does not end within `end`. */
export function readPacked(at: usize, end: usize): bool {
  if (end - at < PACKED_HEAD_SIZE) return false;
  const size = <u64>load<u32>(at, 4) + <u64>load<u32>(at, 8);
  if (size > <u64>(end - at - PACKED_HEAD_SIZE)) return false;
  packedLevel = load<f64>(at, 16);
  packedTileStart = load<f64>(at, 24);
  packedValue = at + PACKED_HEAD_SIZE + <usize>load<u32>(at, 4);
  packedEnd = at + PACKED_HEAD_SIZE + <usize>size;
  return true;
}
