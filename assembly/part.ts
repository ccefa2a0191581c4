/**
 * A part of the events that are picked: blocks that never move, filled one after the other. Of a buffer that grows as much again would
 * be lost to the smaller ones that it was before.
 */
import { allocate, roundedSize } from './memory';

/** Each block is twice as long as the one before it, so that a few events take little; a longer event has one of its own. */
const BLOCK_MIN: usize = 512;
const BLOCK_MAX: usize = 64 << 10;

/** At the head of a block: the next one, which may wait to be filled again, its size, and where its events end, which that of the last does not say. */
const HEAD_SIZE: usize = 16;

@unmanaged
export class Part {
  first: usize;
  /** The one that is being filled. */
  last: usize;
  /** Where the next event goes, and the end of its block. */
  at: usize;
  end: usize;

  /** Makes room for so many bytes where the next event goes. */
  @inline
  reserve(size: usize): void {
    if (this.at + size > this.end) this.goOn(size);
  }

  private goOn(size: usize): void {
    const before = this.last;
    let block: usize = before == 0 ? 0 : <usize>load<u32>(before);
    if (block == 0 || sizeOf(block) < size + HEAD_SIZE) block = this.addBlock(size);
    if (before != 0) store<u32>(before, <u32>this.at, 8);
    this.last = block;
    this.at = block + HEAD_SIZE;
    this.end = block + sizeOf(block);
  }

  /** Adds a block behind the one that is being filled. */
  private addBlock(size: usize): usize {
    const before = this.last;
    const usual = before == 0 ? BLOCK_MIN : min(sizeOf(before) << 1, BLOCK_MAX);
    const blockSize = roundedSize(max(usual, size + HEAD_SIZE));
    const block = allocate(blockSize);
    store<u32>(block, before == 0 ? 0 : load<u32>(before));
    store<u32>(block, <u32>blockSize, 4);
    if (before == 0) this.first = block;
    else store<u32>(before, <u32>block);
    return block;
  }

  /** There are no events in it any more. Its blocks stay: what was in them can be read until others come. */
  forget(): void {
    if (this.first == 0) return;
    this.last = this.first;
    this.at = this.first + HEAD_SIZE;
    this.end = this.first + sizeOf(this.first);
  }
}

@inline
function sizeOf(block: usize): usize {
  return <usize>load<u32>(block, 4);
}

/** The block with the events behind those of another; 0 behind the last. */
@inline
export function nextBlock(part: Part, block: usize): usize {
  return block == part.last ? 0 : <usize>load<u32>(block);
}

/** Where the events of a block begin. */
@inline
export function eventsStart(block: usize): usize {
  return block + HEAD_SIZE;
}

/** Where they end. */
@inline
export function eventsEnd(part: Part, block: usize): usize {
  return block == part.last ? part.at : <usize>load<u32>(block, 8);
}
