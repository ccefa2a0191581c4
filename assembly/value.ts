/** JSON values that have been checked, once more for what they say: names, texts, times. */
import { holdSide, sideRoom } from './batch';
import {
  moveTo,
  readEpochMs,
  readString,
  readTime,
  stringEnd,
  stringEscaped,
  stringStart,
  takeMoment,
  unescape,
} from './json';
import { keepText, textRoom } from './nested_input';

export let plainLength: usize = 0;

/** The name that `readString` has just read, unescaped into spare room where it has to be. */
@inline
export function plainName(): usize {
  if (!stringEscaped) {
    plainLength = stringEnd - stringStart;
    return stringStart;
  }
  const room = sideRoom(stringEnd - stringStart);
  plainLength = unescape(stringStart, stringEnd, room);
  return room;
}

/** The name that `plainName` has unescaped stands until the next line. */
@inline
export function keepName(): void {
  holdSide(plainLength);
}

/** A checked string's place and whether it has escapes; mostly it is the one that was read last. */
@inline
function rereadString(start: usize): void {
  if (stringStart == start + 1) return;
  moveTo(start);
  readString();
}

let lastTextStart: usize = 0;
let lastText: u64 = 0;

/** Another input begins. */
@inline
export function forgetText(): void {
  lastTextStart = 0;
}

/** A checked JSON string as a column holds it. Several inputs on one path share what was unescaped. */
export function textOf(start: usize): u64 {
  if (start == lastTextStart) return lastText;
  rereadString(start);
  let text = stringStart;
  let length = stringEnd - stringStart;
  if (stringEscaped) {
    text = textRoom(length);
    length = unescape(stringStart, stringEnd, text);
    keepText(length);
  }
  lastTextStart = start;
  lastText = <u64>text | (<u64>length << 32);
  return lastText;
}

/** 2001-03-05T00:00:00Z: the shortest spelling that is read by `takeMoment`. */
const MOMENT_MIN_BYTES: usize = 20;

/** A checked JSON value as a time. */
export function readTimeValue(start: usize, end: usize): bool {
  const byte = load<u8>(start);
  if (byte == 0x22) {
    rereadString(start);
    const text = plainName();
    const textEnd = text + plainLength;
    return (plainLength >= MOMENT_MIN_BYTES && takeMoment(text) == textEnd) || readTime(text, textEnd);
  }
  return isNumber(byte) && readEpochMs(start, end);
}

@inline
export function isNumber(byte: u8): bool {
  return byte == 0x2d || (byte >= 0x30 && byte <= 0x39);
}

/** Is a stretch a null, and nothing else? */
@inline
export function isNull(start: usize, end: usize): bool {
  return end - start == 4 && load<u32>(start) == 0x6c6c756e;
}

@inline
export function isNullText(text: u64): bool {
  return text >> 32 == 4 && load<u32>(<usize><u32>text) == 0x6c6c756e;
}
