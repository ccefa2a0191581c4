/**
 * Texts that a program makes, side by side in blocks that never move: registers hold their addresses. Every frame has
 * an arena of its own, for one program's texts are still read when the next one runs.
 */
import { allocate, allocateZeroed, release } from './memory';

/** Most batches need no more; a longer text gets a block of its own. */
const BLOCK_SIZE: usize = 64 << 10;

/** At the head of a block: the block before it, and its size. */
const HEAD_SIZE: usize = 16;

@unmanaged
export class Arena {
  block: usize;
  at: usize;
  end: usize;
}

let current: Arena = changetype<Arena>(0);

export function makeArena(): Arena {
  return changetype<Arena>(allocateZeroed(offsetof<Arena>()));
}

/** Where texts go from now on. `isEmpty` forgets those that are in it, and gives back all of its blocks but one. */
export function useArena(arena: Arena, isEmpty: bool): void {
  current = arena;
  if (!isEmpty || arena.block == 0) return;
  let block = arena.block;
  while (load<usize>(block) != 0 || <usize>load<u32>(block, 8) != BLOCK_SIZE) {
    const before = load<usize>(block);
    release(block, <usize>load<u32>(block, 8));
    block = before;
    if (block == 0) break;
  }
  arena.block = block;
  arena.at = block == 0 ? 0 : block + HEAD_SIZE;
  arena.end = block == 0 ? 0 : block + BLOCK_SIZE;
}

/** Room for `size` bytes, not taken yet: write there, then `keep` what is needed of it. */
export function reserve(size: usize): usize {
  if (current.at + size > current.end) {
    const blockSize = max(BLOCK_SIZE, size + HEAD_SIZE);
    const block = allocate(blockSize);
    store<usize>(block, current.block);
    store<u32>(block, <u32>blockSize, 8);
    current.block = block;
    current.at = block + HEAD_SIZE;
    current.end = block + blockSize;
  }
  return current.at;
}

@inline
export function keep(size: usize): void {
  current.at += size;
}
