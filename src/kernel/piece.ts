import type { Kernel } from './instance.ts';
import type { Strands } from './strand.ts';

/** A strand's steps of one portion of all keys, of those that were gathered between two cuts (assembly/piece.ts). */
export interface Piece {
  strand: number;
  portion: number;
  bytes: Uint8Array;
  /** With which its keys can be numbered. */
  headSize: number;
}

/**
 * Cuts what was gathered into pieces, and forgets it.
 *
 * @param owned of each row since the last cut 1 where it is for this job to say; null where all are
 * @param take gets each, whose bytes hold until it returns
 * @returns of each of these rows the portion that has it, or OWNED_BY_NONE, OWNED_BLANK or OWNED_BY_OTHERS: u16 each
 */
export function cut(
  kernel: Kernel,
  strands: Strands,
  portions: number,
  owned: Uint8Array | null,
  take: (piece: Piece) => void,
): Uint8Array {
  const { exports } = kernel;
  const { indices } = strands;
  const room = exports.ownRowsRoom(owned?.length ?? 0);
  if (owned) kernel.bytes(room, owned.length).set(owned);
  exports.ownRows(indices[0]!, portions);
  for (const strand of indices) {
    exports.cutStrand(strand, portions);
    for (let portion = 0; portion < portions; portion++) {
      const size = exports.packPiece(strand, portion) >>> 0;
      if (size === 0) continue;
      const start = exports.pieceStart();
      take({ strand, portion, bytes: kernel.bytes(start, size), headSize: kernel.ints(start, 1)[0]! });
    }
  }
  const bytes = kernel.bytes(exports.ownersStart(), exports.ownersCount() * 2).slice();
  for (const strand of indices) exports.forgetSteps(strand);
  return bytes;
}

/** Reads the first bytes of a piece that was cut, as many as `into` has room for. */
export type ReadPiece = (into: Uint8Array) => void;

/** A piece that waits somewhere. */
export interface Waiting {
  size: number;
  headSize: number;
  read: ReadPiece;
}

/**
 * Makes a strand of its pieces of one portion, in the order in which they were cut; once all are cut.
 *
 * @param stepsMax room for steps
 * @returns false where they are more
 */
export function assemble(
  kernel: Kernel,
  strand: number,
  portion: number,
  pieces: Waiting[],
  stepsMax: number,
): boolean {
  const { exports } = kernel;
  // All of them were packed where they are read to now.
  const start = exports.pieceStart();
  exports.forgetSteps(strand);
  exports.openPortion();
  for (const { headSize, read } of pieces) {
    read(kernel.bytes(start, headSize));
    exports.numberKeys(strand, start, headSize);
  }
  if (exports.numberedSteps(strand) >>> 0 > stepsMax) return false;
  exports.makePlaces(strand, exports.rowsOfPortion(portion));
  for (const { size, read } of pieces) {
    read(kernel.bytes(start, size));
    exports.placeSteps(strand, start, size);
  }
  exports.closePortion(strand);
  return true;
}
