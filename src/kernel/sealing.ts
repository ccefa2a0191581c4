import { adder } from './addends.ts';
import { Inbox } from './inbox.ts';
import { loadKernelAtOnce } from './instance.ts';

/** Packs of rows into what rests in a database, and back (assembly/sealing.ts). */
export interface Sealer {
  /** Bytes of their own; null where it is no pack, or one that is kept otherwise: of rows of too many forms. */
  seal(pack: Uint8Array): Uint8Array<ArrayBuffer> | null;
  /** The same pack, to the last byte; null where the bytes are not what `seal` has made. */
  unseal(sealed: Uint8Array): Uint8Array<ArrayBuffer> | null;
}

/** It has a kernel of its own, which is made when it is needed first. */
export function sealer(): Sealer {
  let inbox: Inbox | null = null;
  function run(name: 'sealPack' | 'unsealPack', from: Uint8Array): Uint8Array<ArrayBuffer> | null {
    inbox ??= new Inbox(loadKernelAtOnce());
    const { exports, bytes } = inbox.kernel;
    if (exports[name](inbox.put(from), from.length) === 0) return null;
    return bytes(exports.sealedStart(), exports.sealedLength()).slice();
  }
  return { seal: pack => run('sealPack', pack), unseal: sealed => run('unsealPack', sealed) };
}

/** All that a store lets kernels do with packs: what rows are it does not know. */
export function packKernel(): Sealer & { addUp: ReturnType<typeof adder> } {
  return { addUp: adder(), ...sealer() };
}
