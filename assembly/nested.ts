/**
 * Values that hold values. The cell of a list is (address u32, count u32); at the address, which is a multiple of 8, stand
 *
 *   count cells of 8 bytes   as a column of the elements' type holds them
 *   count null bytes         1 is null
 *
 * A struct's cell is the same with one cell for each of its fields, in the order of its type. A block lives as long as
 * the texts of the register that points at it.
 */
import { Arena } from './arena';

/** Bytes of the block of `count` cells. */
@inline
export function nestedSize(count: usize): usize {
  return count * 9;
}

@inline
export function nestedCell(block: usize, index: usize): usize {
  return block + (index << 3);
}

@inline
export function nestedNull(block: usize, count: usize, index: usize): usize {
  return block + (count << 3) + index;
}

/** A block of `count` cells in an arena, with its cells not set and its nulls all 0. */
export function takeNested(arena: Arena, count: usize): usize {
  const size = nestedSize(count);
  const at = arena.reserve(size + 7);
  const block = (at + 7) & ~(<usize>7);
  arena.keep(block + size - at);
  memory.fill(nestedNull(block, count, 0), 0, count);
  return block;
}

/** Points the cell of a list or a struct at its block. */
@inline
export function storeNested(cell: usize, block: usize, count: usize): void {
  store<u32>(cell, <u32>block);
  store<u32>(cell, <u32>count, 4);
}
