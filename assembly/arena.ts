/**
 * Texts that are made, side by side in blocks that never move: registers and states hold their addresses. All of an
 * arena's texts go at once. Every frame has an arena of its own, for one program's texts are still read when the next one
 * runs; answers have one for the texts of finished values.
 */
import { allocate, allocateZeroed, copyLoosely, release } from './memory';

/** Most batches need no more; a longer text gets a block of its own. */
const BLOCK_SIZE: usize = 64 << 10;

/** At the head of a block: the block before it, and its size. */
const HEAD_SIZE: usize = 16;

@unmanaged
export class Arena {
  block: usize;
  at: usize;
  end: usize;
  /** Of all texts. */
  size: usize;

  static make(): Arena {
    return changetype<Arena>(allocateZeroed(offsetof<Arena>()));
  }

  /** Room for `size` bytes, not taken yet: write there, then `keep` what is needed of it. */
  reserve(size: usize): usize {
    if (this.at + size > this.end) {
      const blockSize = max(BLOCK_SIZE, size + HEAD_SIZE);
      const block = allocate(blockSize);
      store<usize>(block, this.block);
      store<u32>(block, <u32>blockSize, 8);
      this.block = block;
      this.at = block + HEAD_SIZE;
      this.end = block + blockSize;
    }
    return this.at;
  }

  @inline
  keep(size: usize): void {
    this.at += size;
    this.size += size;
  }

  /** A copy of `size` bytes. */
  copy(from: usize, size: usize): usize {
    const copy = this.reserve(size);
    memory.copy(copy, from, size);
    this.keep(size);
    return copy;
  }

  /** The same of what is short: a few bytes more are read and written. */
  @inline
  copyShort(from: usize, size: usize): usize {
    const copy = this.reserve(size + 16);
    copyLoosely(copy, from, size);
    this.keep(size);
    return copy;
  }

  /** Forgets the texts, and gives back all blocks but one of the usual size. */
  reset(): void {
    let block = this.block;
    while (block != 0 && (load<usize>(block) != 0 || <usize>load<u32>(block, 8) != BLOCK_SIZE)) {
      const before = load<usize>(block);
      release(block, <usize>load<u32>(block, 8));
      block = before;
    }
    this.size = 0;
    this.block = block;
    this.at = block == 0 ? 0 : block + HEAD_SIZE;
    this.end = block == 0 ? 0 : block + BLOCK_SIZE;
  }
}

let current: Arena = changetype<Arena>(0);

/** Where texts go from now on. `isEmpty` forgets those that are in it. */
export function useArena(arena: Arena, isEmpty: bool): void {
  current = arena;
  if (isEmpty) arena.reset();
}

@inline
export function reserve(size: usize): usize {
  return current.reserve(size);
}

@inline
export function keep(size: usize): void {
  current.keep(size);
}
