/**
 * Canonical key bytes, the same from events and from lookups: a string is its UTF-8, an int64 or a time its decimal
 * digits, a bool `true` or `false`; where an entity has several key columns each is prefixed by its length as a varint.
 */
import { Frame, registerOf } from './expression';
import { Bytes } from './memory';
import { writeVarint } from './varint';

export enum KeyKind {
  STRING,
  INT64,
  BOOL,
}

/** The key of one row, rebuilt for each. */
export const key: Bytes = Bytes.make();

/** Room for a sign and the digits of any int64. */
const digits: usize = memory.data(32, 8);

/** Registers and kinds of an event's key columns: two i32 each. False where a column is null. */
export function buildKey(frame: Frame, row: usize, columns: usize, count: i32): bool {
  key.length = 0;
  for (let i = 0; i < count; i++) {
    const register = registerOf(frame, load<i32>(columns + (<usize>i << 3)));
    if (load<u8>(register.nulls + row) != 0) return false;
    const value = register.values + (row << 3);
    switch (load<i32>(columns + (<usize>i << 3), 4)) {
      case KeyKind.STRING:
        appendPart(<usize>load<u32>(value), <usize>load<u32>(value, 4), count);
        break;
      case KeyKind.INT64:
        appendInt(load<i64>(value), count);
        break;
      default:
        if (load<i64>(value) != 0) appendWord(0x65757274, 4, 0, count);
        else appendWord(0x736c6166, 5, 0x65, count);
    }
  }
  return true;
}

@inline
function appendPart(start: usize, length: usize, count: i32): void {
  key.reserve(length + 10);
  if (count > 1) key.length += writeVarint(key.end, <u64>length);
  memory.copy(key.end, start, length);
  key.length += length;
}

function appendInt(value: i64, count: i32): void {
  let rest: u64 = value < 0 ? <u64>0 - <u64>value : <u64>value;
  let at = digits + 32;
  do {
    store<u8>(--at, <u8>(0x30 + rest % 10));
    rest /= 10;
  } while (rest != 0);
  if (value < 0) store<u8>(--at, 0x2d);
  appendPart(at, digits + 32 - at, count);
}

function appendWord(word: u32, length: usize, tail: u8, count: i32): void {
  store<u32>(digits, word);
  store<u8>(digits, tail, 4);
  appendPart(digits, length, count);
}

/** FNV-1a over the entity kind and the key bytes, its bits mixed: picks the shard and the place in hash tables. */
export function hashKey(entity: i32, start: usize, length: usize): u32 {
  let hash: u32 = 0x811c9dc5 ^ <u32>entity;
  hash *= 0x01000193;
  for (let at = start; at < start + length; at++) hash = (hash ^ load<u8>(at)) * 0x01000193;
  hash ^= hash >> 16;
  hash *= 0x85ebca6b;
  return hash ^ (hash >> 13);
}
