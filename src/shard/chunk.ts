import { NEWLINE } from '../source/segment.ts';

/**
 * What one worker decodes at a time, at most: some milliseconds of work, which is what a lookup waits behind. So many
 * lines fit one batch of the kernel.
 */
export const CHUNK_LINES_MAX = 2048;
export const CHUNK_BYTES = 256 << 10;

/** The end of whole lines from `from` on, at least one of them, and how many they are. */
export function cutChunk(lines: Uint8Array, from: number): { end: number; count: number } {
  let end = from;
  let count = 0;
  while (end < lines.length && count < CHUNK_LINES_MAX && end - from < CHUNK_BYTES) {
    const newline = lines.indexOf(NEWLINE, end);
    end = newline < 0 ? lines.length : newline + 1;
    count++;
  }
  return { end, count };
}
