/**
 * Runs whose packs are as they rest in the database: cut, compressed (seal.ts), and side by side in one buffer. Whoever has the
 * rows makes them, in a thread of its own, and the one that writes has only to put them down.
 */
import { sideBySide } from '../base/side_by_side.ts';
import type { PackKernel, Piece } from './pack.ts';
import { resealPack } from './seal.ts';

export interface SealedRun {
  /** The packs, in order of their rows. */
  packs: Uint8Array<ArrayBuffer>;
  /** Where each ends. */
  ends: Uint32Array<ArrayBuffer>;
  /** The addresses of their first rows. */
  firsts: Uint8Array<ArrayBuffer>;
  /** Where each of these ends. */
  firstEnds: Uint32Array<ArrayBuffer>;
}

/** A pack that a kernel has sealed, in bytes of its own. */
export interface SealedPack {
  /** Addresses of its first row and of its last one. */
  first: Uint8Array<ArrayBuffer>;
  last: Uint8Array<ArrayBuffer>;
  bytes: Uint8Array<ArrayBuffer>;
  /** What its rows take as they are, about. */
  rowBytes: number;
}

/** A run whose packs come one after the other. */
export class Sealing {
  /** Address of the first row of each pack, and what it is compressed. */
  readonly firsts: Uint8Array<ArrayBuffer>[] = [];
  readonly packs: Uint8Array<ArrayBuffer>[] = [];

  constructor(private readonly kernel: PackKernel) {}

  add({ first, bytes, rowBytes }: SealedPack): void {
    this.firsts.push(first);
    this.packs.push(resealPack(bytes, rowBytes, this.kernel));
  }

  /** A copy of all of it. */
  sealed(): SealedRun {
    const [packs, firsts] = [sideBySide(this.packs), sideBySide(this.firsts)];
    return { packs: packs.bytes, ends: packs.ends, firsts: firsts.bytes, firstEnds: firsts.ends };
  }
}

/** @param packs of a run, in order */
export function sealRun(packs: Iterable<SealedPack>, kernel: PackKernel): SealedRun {
  const sealing = new Sealing(kernel);
  for (const pack of packs) sealing.add(pack);
  return sealing.sealed();
}

/** Its packs, compressed as they are; views of its buffers. */
export function* sealedPieces({ packs, ends, firsts, firstEnds }: SealedRun): Generator<Piece> {
  for (const [i, end] of ends.entries())
    yield {
      first: firsts.subarray(firstEnds[i - 1] ?? 0, firstEnds[i]),
      bytes: packs.subarray(ends[i - 1] ?? 0, end),
    };
}

/** What has to go with it to another thread. */
export function sealedBuffers({ packs, ends, firsts, firstEnds }: SealedRun): ArrayBuffer[] {
  return [packs, ends, firsts, firstEnds].map(({ buffer }) => buffer);
}
