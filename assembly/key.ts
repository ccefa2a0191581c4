/**
 * Canonical key bytes, the same from events and from lookups: a string is its UTF-8, an int64 or a time its decimal
 * digits, a bool `true` or `false`; where an entity has several key columns each is prefixed by its length as a varint.
 */
import { Frame, registerOf } from './frame';
import { Bytes } from './memory';
import { writeVarint } from './varint';

export enum KeyKind {
  STRING,
  INT64,
  BOOL,
}

/** The key that was built last. A lone string is pointed at where it stands; others are in `built`, until the next. */
export let keyStart: usize = 0;
export let keyLength: usize = 0;

const built: Bytes = Bytes.make();

/** Room for a sign and the digits of any int64. */
const digits: usize = memory.data(32, 8);

/** Registers and kinds of an event's key columns: two i32 each. False where a column is null. */
export function buildKey(frame: Frame, row: usize, columns: usize, count: i32): bool {
  if (count == 1 && load<i32>(columns, 4) == KeyKind.STRING) return pointAtKey(frame, row, load<i32>(columns));
  built.length = 0;
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
  keyStart = built.start;
  keyLength = built.length;
  return true;
}

@inline
function pointAtKey(frame: Frame, row: usize, index: i32): bool {
  const register = registerOf(frame, index);
  const value = register.values + (row << 3);
  keyStart = <usize>load<u32>(value);
  keyLength = <usize>load<u32>(value, 4);
  return load<u8>(register.nulls + row) == 0;
}

@inline
function appendPart(start: usize, length: usize, count: i32): void {
  built.reserve(length + 10);
  if (count > 1) built.length += writeVarint(built.end, <u64>length);
  built.append(start, length);
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

/**
 * A hash of the entity kind and the key bytes, eight at a time: picks the shard and the place in hash tables. Nothing that
 * is stored depends on it.
 */
export function hashKey(entity: i32, start: usize, length: usize): u32 {
  let hash: u64 = (<u64>entity << 32) ^ <u64>length ^ HASH_SEED;
  const end = start + length;
  let at = start;
  for (; at + 8 <= end; at += 8) hash = mix(hash ^ load<u64>(at));
  // Of the last word only the bytes that are the key's.
  if (at < end) hash = mix(hash ^ (load<u64>(at) << (64 - (<u64>(end - at) << 3))));
  hash = mix(hash);
  return <u32>(hash ^ (hash >> 32));
}

const HASH_SEED: u64 = 0x243f6a8885a308d3;

@inline
function mix(hash: u64): u64 {
  const product = hash * 0x9e3779b97f4a7c15;
  return product ^ (product >> 29);
}
