import { isScalar, type Type } from '../plan/value.ts';
import type { Kernel } from './instance.ts';

/** Registers of a frame whose values are a key together. */
export type KeyRegisters = { register: number; type: Type }[];

/**
 * Of each row of a frame in which part of all keys its own is: the same key is in the same part, wherever it comes from. Rows
 * whose key has a null are in one part or another, for nothing is counted of them.
 *
 * @param into a number from 0 to `parts` - 1 for each of the rows [0, its length)
 */
export function partitionRows(kernel: Kernel, frame: number, key: KeyRegisters, parts: number, into: Uint8Array): void {
  const { exports } = kernel;
  const hashes = new Uint32Array(into.length).fill(SEED);
  for (const { register, type } of key) {
    const cells = kernel.ints(exports.frameValues(frame, register), into.length * 2);
    const nulls = kernel.bytes(exports.frameNulls(frame, register), into.length);
    const isText = isScalar(type) && type.kind === 'string';
    for (let row = 0; row < into.length; row++) {
      if (nulls[row]) continue;
      const [low, high] = [cells[row * 2]!, cells[row * 2 + 1]!];
      hashes[row] = isText ? hashText(kernel.bytes(low, high), hashes[row]!) : mixed(mixed(hashes[row]!, low), high);
    }
  }
  for (let row = 0; row < into.length; row++) into[row] = hashes[row]! % parts;
}

const SEED = 0x811c9dc5;
const PRIME = 0x01000193;

/** FNV-1a, byte by byte. */
function hashText(bytes: Uint8Array, seed: number): number {
  let hash = seed;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, PRIME);
  return scattered(hash ^ bytes.length);
}

function mixed(hash: number, word: number): number {
  return scattered(Math.imul(hash ^ word, PRIME));
}

/** All bits of a number in all of its bits: of a product the low ones hang on the low ones alone. */
function scattered(hash: number): number {
  const half = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (half ^ (half >>> 13)) >>> 0;
}
