import { Fault } from '../../base/fault.ts';
import { turn } from '../../base/turn.ts';
import type { RewritePlace, Store } from '../../store/store.ts';

/**
 * Takes aggregates out of all rows, by their numbers, as if nothing had ever been written under these. A row that holds
 * nothing else goes. Killed anywhere it is begun anew: what is out already is not looked for again.
 *
 * Whoever holds rows in memory would write them back: a call beside a folding engine leaves little for the one that counts,
 * which comes while none folds.
 *
 * @param pause between two stretches of rows, for whoever works beside it
 */
export async function takeOut(store: Pick<Store, 'rewrite'>, ids: Set<number>, pause = turn): Promise<void> {
  if (ids.size === 0) return;
  const change = (value: Uint8Array) => withoutEntries(value, ids);
  for (let at: RewritePlace | null = null; ; ) {
    at = store.rewrite(at, change);
    if (!at) return;
    await pause();
  }
}

/** Of an entry of a row, and of the number in it: field 1 as bytes, and field 1 as a varint. */
const ENTRY_TAG = 0x0a;
const NUMBER_TAG = 0x08;

/**
 * A row without the entries of some numbers; the very same bytes where it has none of them, null where it has no others.
 *
 * @throws Fault `corrupt` where the bytes are no row
 */
export function withoutEntries(row: Uint8Array, ids: Set<number>): Uint8Array | null {
  const kept: [number, number][] = [];
  let bytes = 0;
  for (let at = 0; at < row.length; ) {
    const [length, inner] = varintAt(row, at + 1);
    const end = inner + length;
    if (row[at] !== ENTRY_TAG || row[inner] !== NUMBER_TAG || end > row.length) throw noRow();
    const [id] = varintAt(row, inner + 1);
    if (!ids.has(id)) {
      kept.push([at, end]);
      bytes += end - at;
    }
    at = end;
  }
  if (bytes === row.length) return row;
  return bytes === 0 ? null : joined(row, kept, bytes);
}

function joined(row: Uint8Array, parts: [number, number][], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const [start, end] of parts) {
    bytes.set(row.subarray(start, end), at);
    at += end - start;
  }
  return bytes;
}

/** The value, and where it ends. */
function varintAt(bytes: Uint8Array, from: number): [number, number] {
  let value = 0;
  let at = from;
  // Numbers of aggregates and lengths of entries have 31 bits.
  for (let factor = 1; factor <= 2 ** 28; factor *= 128) {
    const byte = bytes[at++];
    if (byte === undefined) break;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return [value, at];
  }
  throw noRow();
}

function noRow(): Fault {
  return new Fault('corrupt', 'a stored row is not what was written: `tilefold rebuild --from-log` makes rows anew');
}
