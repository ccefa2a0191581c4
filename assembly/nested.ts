/**
 * How lists and structs lie in memory. A register holds them as it holds strings, by address, and so do they each other:
 *
 *   cell   (address u32, count u32): where the block is, and how many elements or fields it has
 *   block  count cells of 8 bytes, as a column of their type holds them, then count null bytes (1 where it is null)
 *
 * Blocks begin at multiples of 8, and stand as long as the texts of their register do. Fields are in the order of their
 * type. A block of nothing may have any address. A map is a list of its keys, which ascend and are not null, and behind them of
 * what it has for each of them.
 */
import { Arena } from './arena';

@inline
export function nestedSize(count: usize): usize {
  return (count << 3) + ((count + 7) & ~(<usize>7));
}

/** The cell that says where a block is. */
@inline
export function nestedCell(block: usize, count: i32): u64 {
  return <u64>block | (<u64>(<u32>count) << 32);
}

@inline
export function blockOf(cell: usize): usize {
  return <usize>load<u32>(cell);
}

@inline
export function countOf(cell: usize): i32 {
  return load<i32>(cell, 4);
}

@inline
export function cellAt(block: usize, index: i32): usize {
  return block + (<usize>index << 3);
}

@inline
export function nullAt(block: usize, count: i32, index: i32): usize {
  return block + (<usize>count << 3) + <usize>index;
}

/** A block of `count` elements, none of them null. */
export function takeBlock(arena: Arena, count: i32): usize {
  const size = nestedSize(count);
  const at = arena.reserve(size + 7);
  const block = (at + 7) & ~(<usize>7);
  arena.keep(block + size - at);
  memory.fill(nullAt(block, count, 0), 0, count);
  return block;
}
