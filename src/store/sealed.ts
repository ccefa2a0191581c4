/**
 * Runs whose packs are as they rest in the database: cut, compressed (seal.ts), and side by side in one buffer. Whoever has the
 * rows makes them, in a thread of its own, and the one that writes has only to put them down.
 */
import { Growing } from '../base/growing.ts';
import { type Piece, pieceOf } from './pack.ts';
import { sealPack } from './seal.ts';

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

/** @param parts of a run, each of which becomes a pack: a view that holds until the next */
export function sealRun(parts: Iterable<Uint8Array<ArrayBuffer>>): SealedRun {
  const packs = new Growing();
  const firsts = new Growing();
  const ends: number[] = [];
  const firstEnds: number[] = [];
  for (const part of parts) {
    const { first } = pieceOf(part);
    const sealed = sealPack(part);
    firsts.copy(first, 0, first.length);
    packs.copy(sealed, 0, sealed.length);
    firstEnds.push(firsts.length);
    ends.push(packs.length);
  }
  return {
    packs: packs.bytes.slice(0, packs.length),
    ends: Uint32Array.from(ends),
    firsts: firsts.bytes.slice(0, firsts.length),
    firstEnds: Uint32Array.from(firstEnds),
  };
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
