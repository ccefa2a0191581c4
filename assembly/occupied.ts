/** What rows, entities and their index occupy: blocks that are counted. */
import { allocate, release, roundedSize } from './memory';

/** Bytes that rows and entities occupy; frames, programs and buffers are not among them. */
export let stateBytes: usize = 0;

export function foldBytes(): f64 {
  return <f64>stateBytes;
}

export function take(size: usize): usize {
  stateBytes += roundedSize(size);
  return allocate(size);
}

export function give(block: usize, size: usize): void {
  if (block == 0) return;
  stateBytes -= roundedSize(size);
  release(block, size);
}
