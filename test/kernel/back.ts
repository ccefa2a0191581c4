import type { ReadBack } from '../../src/kernel/fold.ts';
import { entityAt, keyAt, levelAt, tileStartAt } from '../../src/store/address.ts';
import { PackWalk } from '../../src/store/pack.ts';

type ReadOne = (entity: number, key: Uint8Array, levelMs: number, tileStartMs: number) => Uint8Array | null;

/** Reads rows back one by one. */
export function oneByOne(read: ReadOne): ReadBack {
  return (wanted, take) => {
    const walk = new PackWalk().open(wanted);
    for (let index = 0; walk.next(); index++) {
      const { address, length } = walk;
      const value = read(
        entityAt(address),
        keyAt(address, length),
        levelAt(address, length),
        tileStartAt(address, length),
      );
      if (value) take(index, value, 0, value.length);
    }
  };
}
