/**
 * The forms that lines have had: lines of a log mostly differ in their values alone. What stands between two values
 * (punctuation, names, white space, the name of the event's type) is a stretch, and a stop is where a value has just
 * ended:
 *
 *   {"type":"view","time":"2026-03-01T00:00:00Z","data":{"user":"u7","ms":12}}
 *   '----- stretch -----'                      '-- stretch ---'  '-----'   '-- (with its newline)
 *
 * From a stop the next stretch is guessed among those that were seen there, and found by comparing 16 bytes. A stop is
 * known by the member that ended, by whether that was a string, and by all that it stands in. So whatever follows a path
 * of stretches is JSON where its values are: order and presence of members may vary, and every mixture of lines that
 * were learnt is known.
 *
 * lesson.ts learns forms of lines that were read the long way; guess.ts reads by them. What a stretch is followed by is
 * said by an action of guess.ts, and written where its target says.
 */
import { allocate } from './memory';

/** Stops and stretches together are below 512 KiB: room for some hundred forms with optional members. */
const STOPS_MAX: i32 = 1024;
const STRETCHES_MAX: i32 = 2048;
/** What stretches and names are written down in. */
const LITERALS_MAX_BYTES: usize = 128 << 10;

/** A longer stretch is not learnt: it would be an event whose names outweigh its values by far. */
export const STRETCH_MAX_BYTES: usize = 512;

/** Members of one object: with more, its names are rather keys, which no line after will have. */
const MEMBERS_MAX: i32 = 256;

/** Alternatives at one stop: each one that fails to match costs a comparison. */
const ALTERNATIVES_MAX: i32 = 48;

@unmanaged
export class Stretch {
  /** Its first 16 bytes, and which of them count. */
  head0: u64;
  head1: u64;
  mask0: u64;
  mask1: u64;
  /** All of it. */
  literal: usize;
  length: usize;
  /** What it must not come after, and what it enters, as bits: members that must not come twice. */
  forbidden: u64;
  entered: u64;
  /** The value behind it: how it is read, at which depth, and where it goes (0: nowhere). */
  action: i32;
  depth: i32;
  values: usize;
  nulls: usize;
  mark: usize;
  /** The place of its type's row count, of its type's number at the end of a line. */
  rows: usize;
  type: i32;
  /** The inputs on its path, for values that are read the long way. */
  node: usize;
  /** Of the last one of a line: the bytes of its line end. */
  tail: usize;
  sibling: usize;
  target: usize;
}

/** A member whose value has ended, a string before its closing quote; as well an object that members stand in. */
@unmanaged
export class Stop {
  parent: usize;
  name: usize;
  nameLength: usize;
  isText: bool;
  /** An event's type, by number, where it has become known here; else -1. */
  type: i32;
  isFlat: bool;
  /** For an object on the way to inputs: its own bit, and how many bits its type has used. */
  bit: u64;
  bitCount: i32;
  child: usize;
  sibling: usize;
  stretches: usize;
  stretchCount: i32;
}

const stops: usize = allocate(<usize>STOPS_MAX * offsetof<Stop>());
let stopCount: i32 = 0;
const stretches: usize = allocate(<usize>STRETCHES_MAX * offsetof<Stretch>());
let stretchCount: i32 = 0;
const literals: usize = allocate(LITERALS_MAX_BYTES);
let literalsLength: usize = 0;

/** Has there been no room at one place, while there is some elsewhere? What is there may be of lines long gone. */
export let isCrowded: bool = false;

function crowd(): usize {
  isCrowded = true;
  return 0;
}

/** Where lines begin that are decoded, and those that are only let in: these know no types. */
export let decodeStart: Stop = changetype<Stop>(0);
export let admitStart: Stop = changetype<Stop>(0);

/** Forgets all forms: when event types change, and when there is no room for more. */
export function forgetForms(): void {
  stopCount = stretchCount = 0;
  isCrowded = false;
  literalsLength = 0;
  decodeStart = changetype<Stop>(newStop());
  admitStart = changetype<Stop>(newStop());
}

forgetForms();

/** Is there room for one more line of ordinary size? */
export function hasRoom(): bool {
  const hasLiterals = literalsLength + 4096 <= LITERALS_MAX_BYTES;
  return hasLiterals && stopCount + 64 <= STOPS_MAX && stretchCount + 64 <= STRETCHES_MAX;
}

/** 0 where there is no room. */
function newStop(): usize {
  if (stopCount == STOPS_MAX) return 0;
  const at = stops + <usize>(stopCount++) * offsetof<Stop>();
  memory.fill(at, 0, offsetof<Stop>());
  changetype<Stop>(at).type = -1;
  return at;
}

function keepLiteral(from: usize, length: usize): usize {
  if (length > LITERALS_MAX_BYTES - literalsLength) return 0;
  const at = literals + literalsLength;
  memory.copy(at, from, length);
  literalsLength += length;
  return at;
}

/** The stop of a member of `parent`, made where there is none; 0 where there is no room. */
export function stopIn(parent: Stop, name: usize, nameLength: usize, isText: bool): usize {
  let count = 0;
  for (let at = parent.child; at != 0; at = changetype<Stop>(at).sibling) {
    const stop = changetype<Stop>(at);
    if (++count == MEMBERS_MAX) return crowd();
    if (stop.type != -1 || stop.isText != isText || stop.nameLength != nameLength) continue;
    if (memory.compare(stop.name, name, nameLength) == 0) return at;
  }
  const kept = keepLiteral(name, nameLength);
  const made: usize = kept == 0 ? 0 : newStop();
  if (made == 0) return 0;
  const stop = changetype<Stop>(made);
  stop.name = kept;
  stop.nameLength = nameLength;
  stop.isText = isText;
  return addChild(parent, stop);
}

/** What a record's own members stand in once its type is known; `UNDECLARED` is a type too. */
export function stopOfType(start: Stop, type: i32, isFlat: bool): usize {
  for (let at = start.child; at != 0; at = changetype<Stop>(at).sibling) {
    const stop = changetype<Stop>(at);
    if (stop.type == type && stop.isFlat == isFlat) return at;
  }
  const made = newStop();
  if (made == 0) return 0;
  const stop = changetype<Stop>(made);
  stop.type = type;
  stop.isFlat = isFlat;
  return addChild(start, stop);
}

/** The number of types that no plan declares, among stops. */
export const UNDECLARED: i32 = -2;

function addChild(parent: Stop, stop: Stop): usize {
  stop.parent = changetype<usize>(parent);
  stop.sibling = parent.child;
  parent.child = changetype<usize>(stop);
  return changetype<usize>(stop);
}

/** The stretch [from, from + length) behind a stop, or 0. */
export function stretchAt(stop: Stop, from: usize, length: usize): usize {
  for (let at = stop.stretches; at != 0; at = changetype<Stretch>(at).sibling) {
    const stretch = changetype<Stretch>(at);
    if (stretch.length == length && memory.compare(stretch.literal, from, length) == 0) return at;
  }
  return 0;
}

/** A new stretch behind a stop, all else of it zero; 0 where there is no room. */
export function addStretch(stop: Stop, from: usize, length: usize): usize {
  if (stretchCount == STRETCHES_MAX) return 0;
  if (stop.stretchCount == ALTERNATIVES_MAX) return crowd();
  const literal = keepLiteral(from, length);
  if (literal == 0) return 0;
  const at = stretches + <usize>(stretchCount++) * offsetof<Stretch>();
  memory.fill(at, 0, offsetof<Stretch>());
  const stretch = changetype<Stretch>(at);
  stretch.literal = literal;
  stretch.length = length;
  memory.copy(at + offsetof<Stretch>('head0'), literal, min<usize>(length, 16));
  memory.fill(at + offsetof<Stretch>('mask0'), 0xff, min<usize>(length, 16));
  insert(stop, stretch);
  return at;
}

/** Longer ones are compared first: one may begin as another that is longer does. */
function insert(stop: Stop, stretch: Stretch): void {
  let link = changetype<usize>(stop) + offsetof<Stop>('stretches');
  while (load<usize>(link) != 0) {
    const next = changetype<Stretch>(load<usize>(link));
    if (next.length <= stretch.length) break;
    link = changetype<usize>(next) + offsetof<Stretch>('sibling');
  }
  stretch.sibling = load<usize>(link);
  store<usize>(link, changetype<usize>(stretch));
  stop.stretchCount++;
}

/** Does the stretch stand at `at`? At most 16 bytes are read beyond what is the same. */
@inline
export function standsAt(stretch: Stretch, at: usize): bool {
  if (ASC_FEATURE_SIMD) {
    const head = changetype<usize>(stretch);
    const differing = v128.and(v128.xor(v128.load(at), v128.load(head)), v128.load(head, 16));
    if (v128.any_true(differing)) return false;
  } else {
    if (((load<u64>(at) ^ stretch.head0) & stretch.mask0) != 0) return false;
    if (stretch.length > 8 && ((load<u64>(at, 8) ^ stretch.head1) & stretch.mask1) != 0) return false;
  }
  return stretch.length <= 16 || restStandsAt(stretch, at);
}

/** The last eight bytes overlap with those before them. */
function restStandsAt(stretch: Stretch, at: usize): bool {
  const literal = stretch.literal;
  const last = stretch.length - 8;
  for (let i: usize = 16; i < last; i += 8) if (load<u64>(at + i) != load<u64>(literal + i)) return false;
  return load<u64>(at + last) == load<u64>(literal + last);
}
