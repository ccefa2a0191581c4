import { runOf } from '../../src/store/batch.ts';
import type { RowAddress, RowReader } from '../../src/store/store.ts';

type Reader = Pick<RowReader, 'readRows'>;

/** Rows of a store by their addresses, which come in any order; null where there is none. Of an address that comes twice both have it. */
export function rowsAt(store: Reader, addresses: RowAddress[]): (Uint8Array | null)[] {
  const nameOf = ({ entity, key, levelMs, tileStartMs }: RowAddress) =>
    [entity, Buffer.from(key).toString('hex'), levelMs, tileStartMs].join(' ');
  const compare = (a: RowAddress, b: RowAddress) =>
    a.entity - b.entity || Buffer.compare(a.key, b.key) || a.levelMs - b.levelMs || a.tileStartMs - b.tileStartMs;
  const asked = [...new Map(addresses.map(one => [nameOf(one), one])).values()].sort(compare);
  const wanted = Buffer.concat([...runOf(asked.map(one => ({ ...one, value: new Uint8Array(0) })))]);
  const found = new Map<string, Uint8Array>();
  let last = -1;
  store.readRows(wanted, (index, bytes, start, end) => {
    if (index <= last) throw new Error(`row ${index} after row ${last}`);
    last = index;
    found.set(nameOf(asked[index]!), Uint8Array.from(bytes.subarray(start, end)));
  });
  return addresses.map(one => found.get(nameOf(one)) ?? null);
}

export function rowAt(
  store: Reader,
  entity: number,
  key: Uint8Array,
  levelMs: number,
  tileStartMs: number,
): Uint8Array | null {
  return rowsAt(store, [{ entity, key, levelMs, tileStartMs }])[0]!;
}
