/** Rows for stores to keep, and changes of them to be added up: here a sum is its values, one behind the other, so that their order shows. */
import { sealer } from '../../src/kernel/sealing.ts';
import { ADDEND, firstOf, type PackKernel, PackWalk, PackWriter, SUM } from '../../src/store/pack.ts';
import { type SealedPack, type SealedRun, sealRun } from '../../src/store/sealed.ts';
import type { Row } from '../../src/store/store.ts';
import type { Random } from '../sim/random.ts';

/** Bytes that are taken for a row: those that begin with a mark are none. */
export function rowValue(random: Random, size: number, most = 256): Uint8Array {
  const value = Uint8Array.from({ length: size }, () => random.below(most));
  if (size > 0) value[0] = SUM + 1 + random.below(255 - SUM);
  return value;
}

export const addendOf = (row: Row): Row => ({ ...row, value: Uint8Array.of(ADDEND, ...row.value) });

/** What a row is when a change, or another row in its place, has come to it. */
export function addTo(before: Row | undefined, row: Row): Row {
  if (row.value[0] !== ADDEND) return row;
  return { ...row, value: Uint8Array.of(...(before?.value ?? []), ...row.value.subarray(1)) };
}

/** Packs with their sums added up, row by row; sealed they are as ever. */
export const concatenating: PackKernel = {
  ...sealer(),
  addUp(pack, isOldest) {
    const [walk, out] = [new PackWalk().open(pack), new PackWriter()];
    out.begin();
    while (walk.next()) {
      const value = added(walk.value(), isOldest);
      out.put(walk.address, 0, walk.length, value, 0, value.length);
    }
    return out.bytes();
  },
};

/** Parts of a run as a kernel that folds hands them over. */
export function* packsOf(parts: Iterable<Uint8Array<ArrayBuffer>>): Generator<SealedPack> {
  for (const part of parts) {
    const walk = new PackWalk().open(part);
    while (walk.next());
    const [first, last] = [firstOf(part), walk.address.slice(0, walk.length)];
    yield { first, last, bytes: concatenating.seal(part)!, rowBytes: part.length };
  }
}

/** A run of such packs. */
export function sealedOf(parts: Iterable<Uint8Array<ArrayBuffer>>): SealedRun {
  return sealRun(packsOf(parts), concatenating);
}

function added(value: Uint8Array, isOldest: boolean): Uint8Array {
  if (value[0] === ADDEND) return isOldest ? value.subarray(1) : value;
  if (value[0] !== SUM) return value;
  const values: Uint8Array[] = [];
  for (let at = 1; at < value.length; ) {
    let size = 0;
    for (let shift = 0, isMore = true; isMore; shift += 7) {
      size |= (value[at]! & 0x7f) << shift;
      isMore = value[at++]! >= 0x80;
    }
    values.push(value.subarray(at, at + size));
    at += size;
  }
  const [oldest, ...addends] = values;
  if (addends.some(one => one[0] !== ADDEND)) throw new Error('only the oldest value of a sum may be a row');
  const isWhole = oldest![0] !== ADDEND;
  const sum = [...(isWhole ? oldest! : oldest!.subarray(1)), ...addends.flatMap(one => [...one.subarray(1)])];
  return Uint8Array.from(isWhole || isOldest ? sum : [ADDEND, ...sum]);
}
