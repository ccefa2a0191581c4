import { entityAt } from './address.ts';
import { PackWalk, PackWriter } from './pack.ts';
import type { RowReader } from './store.ts';

type ReadRows = RowReader['readRows'];

/** Reads rows of a store, and of some entity kinds those that it does not have where they are behind it. */
export function readBehind(readRows: ReadRows, behind: ReadRows, entities: Set<number>): ReadRows {
  return (wanted, take) => {
    const found = new Map<number, Uint8Array>();
    readRows(wanted, (index, bytes, start, end) => found.set(index, bytes.slice(start, end)));
    const lacking = lackingOf(wanted, found, entities);
    behind(lacking.wanted, (i, bytes, start, end) => found.set(lacking.indices[i]!, bytes.slice(start, end)));
    for (const index of [...found.keys()].sort((a, b) => a - b))
      take(index, found.get(index)!, 0, found.get(index)!.length);
  };
}

/** Of the rows that are wanted, those of these kinds that were not found, and their indices. */
function lackingOf(wanted: Uint8Array, found: Map<number, unknown>, entities: Set<number>) {
  const walk = new PackWalk().open(wanted);
  const out = new PackWriter();
  const indices: number[] = [];
  out.begin();
  for (let index = 0; walk.next(); index++) {
    if (found.has(index) || !entities.has(entityAt(walk.address))) continue;
    out.take(walk);
    indices.push(index);
  }
  return { wanted: out.bytes(), indices };
}
