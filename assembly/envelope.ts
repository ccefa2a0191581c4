/**
 * The envelope that Debezium puts around a change of a table's row:
 *
 *   {"before": row or null, "after": row or null, "source": {"table", "ts_ms", ...}, "op": "c", "ts_ms": ...}
 *
 * or the same as `payload` of an object with its schema beside it. `op` is c (created), r (read: there when the table was
 * first looked at), u (updated) or d (deleted). Where a null stands for all of it, a deleted row is only forgotten.
 *
 * All that is read here is JSON that has been checked: nothing of it is malformed.
 */
import {
  cursor,
  integer,
  moveTo,
  peek,
  readEpochMs,
  readString,
  skipSpace,
  skipValue,
  stringEnd,
  stringEscaped,
  stringStart,
  take,
  unescape,
} from './json';
import { headOf, isSame } from './memory';

/** What a change does to the two rows of its envelope. */
export enum Op {
  UNKNOWN = 0,
  TAKES = 1,
  ADDS = 2,
  REPLACES = 3,
}

/** Of the envelope opened last: where the values of its members start, and end; 0 where there are none. The last of a name counts. */
export let beforeStart: usize = 0;
export let afterStart: usize = 0;
let opStart: usize = 0;
let sourceStart: usize = 0;
let payloadStart: usize = 0;
let tsStart: usize = 0;
let tsEnd: usize = 0;
let tableStart: usize = 0;

// Names as the words that they are, with zeros behind them.
const OP: u64 = 0x706f;
const BEFORE: u64 = 0x65726f666562;
const AFTER: u64 = 0x7265746661;
const SOURCE: u64 = 0x656372756f73;
const PAYLOAD: u64 = 0x64616f6c796170;
const TS_MS: u64 = 0x736d5f7374;
const TABLE: u64 = 0x656c626174;

/** Opens the envelope in an object. False where there is a null in its place. */
export function openEnvelope(object: usize): bool {
  readMembers(object);
  if (payloadStart == 0) return true;
  const byte = load<u8>(payloadStart);
  if (byte == 0x6e) return false;
  if (byte == 0x7b) readMembers(payloadStart);
  return true;
}

/** Finds the members of an object: the cursor is left anywhere. */
function readMembers(object: usize): void {
  beforeStart = afterStart = opStart = sourceStart = payloadStart = tsStart = tableStart = 0;
  moveTo(object + 1);
  skipSpace();
  while (peek() != 0x7d) {
    skipSpace();
    readString();
    readName();
    take(0x3a);
    skipSpace();
    const start = cursor;
    skipValue(0);
    noteMember(start, cursor);
    skipSpace();
    if (peek() == 0x2c) moveTo(cursor + 1);
    skipSpace();
  }
}

/** The string read last, where it is no longer than a word: a member's name, or what `op` says. */
let name: u64 = 0;
let length: usize = 0;

/** Spelled with escapes throughout a name of eight bytes is six times as long. */
const NAME_SPELLED_MAX: usize = 48;
const spelled: usize = memory.data(64, 8);

function readName(): void {
  const at: usize = stringEscaped ? spelled : stringStart;
  length = stringEnd - stringStart;
  if (stringEscaped) length = length > NAME_SPELLED_MAX ? length : unescape(stringStart, stringEnd, spelled);
  name = length > 8 ? 0 : headOf(at, length);
}

function noteMember(start: usize, end: usize): void {
  if (name == OP && length == 2) {
    opStart = start;
  } else if (name == BEFORE && length == 6) {
    beforeStart = start;
  } else if (name == AFTER && length == 5) {
    afterStart = start;
  } else if (name == SOURCE && length == 6) {
    sourceStart = start;
  } else if (name == PAYLOAD && length == 7) {
    payloadStart = start;
  } else if (name == TS_MS && length == 5) {
    tsStart = start;
    tsEnd = end;
  } else if (name == TABLE && length == 5) {
    tableStart = start;
  }
}

/** What the envelope's `op` says. */
export function changeOp(): i32 {
  if (opStart == 0 || load<u8>(opStart) != 0x22) return Op.UNKNOWN;
  moveTo(opStart);
  readString();
  readName();
  if (length != 1) return Op.UNKNOWN;
  if (name == CREATED || name == READ) return Op.ADDS;
  if (name == UPDATED) return Op.REPLACES;
  return name == DELETED ? Op.TAKES : Op.UNKNOWN;
}

const CREATED: u64 = 0x63;
const READ: u64 = 0x72;
const UPDATED: u64 = 0x75;
const DELETED: u64 = 0x64;

/** Is there a row at a member's place? */
@inline
export function isRowAt(start: usize): bool {
  return start != 0 && load<u8>(start) == 0x7b;
}

/** Of a record that is an envelope itself: the place of its table's name and of its time; 0 for none. */
export let nameAt: usize = 0;
export let timeAt: usize = 0;
export let timeEnd: usize = 0;

/**
 * Is the object a record in an envelope? One that has `op` and `source` is. Its time is when the table was changed, and
 * where that is not known (some say 0 of rows that were there before) when the change was seen.
 */
export function isEnvelope(object: usize): bool {
  if (!openEnvelope(object)) return false;
  if (opStart == 0 || load<u8>(opStart) != 0x22 || !isRowAt(sourceStart)) return false;
  const seenAt = tsStart;
  const seenEnd = tsEnd;
  readMembers(sourceStart);
  const isKnown = tsStart != 0 && load<u8>(tsStart) != 0x6e && !isZero(tsStart, tsEnd);
  nameAt = tableStart;
  timeAt = isKnown ? tsStart : seenAt;
  timeEnd = isKnown ? tsEnd : seenEnd;
  return true;
}

function isZero(start: usize, end: usize): bool {
  const byte = load<u8>(start);
  return (byte == 0x2d || byte == 0x30) && readEpochMs(start, end) && integer == 0;
}

/** What Debezium writes in place of a text that the database did not hand over. */
const UNAVAILABLE: usize = memory.data<u8>([
  0x5f, 0x5f, 0x64, 0x65, 0x62, 0x65, 0x7a, 0x69, 0x75, 0x6d, 0x5f, 0x75, 0x6e, 0x61, 0x76, 0x61,
  0x69, 0x6c, 0x61, 0x62, 0x6c, 0x65, 0x5f, 0x76, 0x61, 0x6c, 0x75, 0x65,
  0, 0, 0, 0,
]);
const UNAVAILABLE_LENGTH: usize = 28;

/** Is a text, as columns hold it, no value but the word that there is one? */
export function isUnavailable(text: u64): bool {
  return text >> 32 == UNAVAILABLE_LENGTH && isSame(<usize><u32>text, UNAVAILABLE, UNAVAILABLE_LENGTH);
}
