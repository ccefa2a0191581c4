import { Fault } from '../base/fault.ts';
import type { FoldedRow } from './folded_row.ts';

/**
 * Rows in one buffer, for another thread or instance. Little endian, each row behind the other:
 *
 *   entity u32 | key length u32 | value length u32 | 0 u32 | level f64 | tile start f64 | key | value
 *
 * Level and tile start are milliseconds. assembly/packed.ts reads and writes the same.
 */
const HEAD_SIZE = 32;

/** @param rows an address and a value each; only their bytes are taken */
export function packRows(rows: FoldedRow[]): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const { key, value } of rows) size += HEAD_SIZE + key.length + value.length;
  const packed = new Uint8Array(size);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const { entity, key, value, levelMs, tileStartMs } of rows) {
    view.setUint32(at, entity, true);
    view.setUint32(at + 4, key.length, true);
    view.setUint32(at + 8, value.length, true);
    view.setFloat64(at + 16, levelMs, true);
    view.setFloat64(at + 24, tileStartMs, true);
    packed.set(key, at + HEAD_SIZE);
    packed.set(value, at + HEAD_SIZE + key.length);
    at += HEAD_SIZE + key.length + value.length;
  }
  return packed;
}

/**
 * The rows again, one at a time; their bytes are views of the buffer.
 *
 * @throws Fault `corrupt` where a row does not end within the buffer
 */
export function* unpackRows(packed: Uint8Array): Generator<FoldedRow> {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  for (let at = 0; at < packed.length; ) {
    const keyStart = at + HEAD_SIZE;
    if (keyStart > packed.length) throw torn(at, packed.length);
    const valueStart = keyStart + view.getUint32(at + 4, true);
    const end = valueStart + view.getUint32(at + 8, true);
    if (end > packed.length) throw torn(at, packed.length);
    yield {
      entity: view.getUint32(at, true),
      levelMs: view.getFloat64(at + 16, true),
      tileStartMs: view.getFloat64(at + 24, true),
      key: packed.subarray(keyStart, valueStart),
      value: packed.subarray(valueStart, end),
    };
    at = end;
  }
}

function torn(at: number, size: number): Fault {
  return new Fault('corrupt', `packed rows: the one at byte ${at} does not end within their ${size} bytes`);
}
