import { adder } from './addends.ts';
import { type Kernel, loadKernelAtOnce } from './instance.ts';

/** Packs of rows into what rests in a database, and back (assembly/sealing.ts). */
export interface Sealer {
  /** Bytes of their own; null where it is no pack, or one that is kept otherwise: of rows of too many forms. */
  seal(pack: Uint8Array): Uint8Array<ArrayBuffer> | null;
  /** The same pack, to the last byte; null where the bytes are not what `seal` has made. */
  unseal(sealed: Uint8Array): Uint8Array<ArrayBuffer> | null;
}

/** It has a kernel of its own, which is made when it is needed first. */
export function sealer(): Sealer {
  let kernel: Kernel | null = null;
  let [block, size] = [0, 0];
  function run(name: 'sealPack' | 'unsealPack', from: Uint8Array): Uint8Array<ArrayBuffer> | null {
    kernel ??= loadKernelAtOnce();
    const { exports, bytes } = kernel;
    if (from.length > size) {
      if (block !== 0) exports.release(block, size);
      size = from.length * 2;
      block = exports.allocate(size) >>> 0;
    }
    bytes(block, from.length).set(from);
    if (exports[name](block, from.length) === 0) return null;
    return bytes(exports.sealedStart(), exports.sealedLength()).slice();
  }
  return { seal: pack => run('sealPack', pack), unseal: sealed => run('unsealPack', sealed) };
}

/** All that a store lets kernels do with packs: what rows are it does not know. */
export function packKernel(): Sealer & { addUp: ReturnType<typeof adder> } {
  return { addUp: adder(), ...sealer() };
}
