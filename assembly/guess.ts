/**
 * Reads a line by the forms that lines before it had (form.ts): stretch, value, stretch, value, ... up to its newline.
 * Every byte is checked, as one of a stretch or of a value, so what is read so is what the long way (ndjson.ts) would
 * have made of it. Whatever does not fit is left to the long way, from the line's start.
 *
 * Values are written into the next row of their type as they come: the row counts only if its event does. Those that
 * are not in their plainest spelling are left for later, as spans of checked JSON.
 */
import { takeDouble, double } from './decimal';
import { Stop, Stretch, standsAt } from './form';
import {
  cursor,
  integer,
  openText,
  passNumber,
  plainStringEnd,
  readEpochMs,
  readString,
  readTime,
  skipValue,
  stringEnd,
  stringEscaped,
  takeInt,
  takeMoment,
} from './json';

/** How the value behind a stretch is read. A string's opening quote is the stretch's, its closing one the next one's. */
export enum Action {
  /** A string that nobody wants. */
  SKIP_TEXT,
  /** Any value that nobody wants. */
  SKIP,
  /** As TEXT, where the text `null` is null. */
  TEXT_OR_NULL,
  TEXT,
  INT,
  DOUBLE,
  BOOL,
  MOMENT,
  /** Any other value of an input. */
  LATER,
  /** The event's own time. */
  TIME,
  EPOCH_MS,
  /** There is none: the line has ended. */
  END,
}

/** Members of a record that must not come twice, or not before its type. Objects on the way to inputs have later bits. */
export enum Member {
  TYPE = 1,
  TIME = 2,
  DATA = 4,
  /** `data` before the type: it was passed over. */
  EARLY_DATA = 8,
  /** Any other but `_id` before the type: in the flat form it could be an input. */
  EARLY = 16,
}
export const MEMBER_BITS: i32 = 5;

/** `null`, as a word of four bytes. */
const NULL_WORD: u32 = 0x6c6c756e;

/** Spans that are left for later: node, start, end of each. More in one line are read the long way. */
export const LATER_MAX: i32 = 64;
export const later: usize = memory.data(64 * 12, 8);
export let laterCount: i32 = 0;

/** The line that was read: its type (negative: not declared), time, values in the row, end without its newline. */
export let guessedType: i32 = 0;
export let guessedMicros: i64 = 0;
export let guessedCount: i32 = 0;
export let guessedEnd: usize = 0;
/** Inputs with this mark have had a value, or null, in this line. */
export let serial: u64 = 0;
/** Was there no stretch to go on with? Then there is something to be learnt of this line. */
export let isNewForm: bool = false;

/**
 * Guesses are worth it where one in four is right: each right one pays for three that are wrong. Where they are not,
 * some lines are read the long way at once, before a few are tried again.
 */
const PATIENCE_MAX: i32 = 96;
const PATIENCE_AGAIN: i32 = 16;
const REST_LINES: i32 = 512;
let patience: i32 = PATIENCE_MAX;
let restingLines: i32 = 0;

/** Notes how a guess went: a line that was read by its form, or one that was not. */
@inline
export function noteGuess(isRight: bool): void {
  if (isRight) patience = min(patience + 3, PATIENCE_MAX);
  else if (--patience == 0) rest();
}

function rest(): void {
  patience = PATIENCE_AGAIN;
  restingLines = REST_LINES;
}

/** Is this line not worth a guess? */
@inline
export function isResting(): bool {
  if (restingLines == 0) return false;
  restingLines--;
  isNewForm = false;
  return true;
}

/**
 * Reads the line at `at` of a text that ends at `end` with a NUL byte behind it, which no string, number or stretch
 * goes on over. Returns where the next line starts; 0 where this one is to be read the long way.
 */
export function guessLine(start: Stop, at: usize, end: usize): usize {
  let seen: u64 = 0;
  let count = 0;
  let stop = start;
  isNewForm = false;
  laterCount = 0;
  serial++;
  while (true) {
    let next = stop.stretches;
    while (next != 0 && !standsAt(changetype<Stretch>(next), at)) next = changetype<Stretch>(next).sibling;
    if (next == 0) {
      isNewForm = true;
      return 0;
    }
    const stretch = changetype<Stretch>(next);
    if ((seen & stretch.forbidden) != 0) return 0;
    seen |= stretch.entered;
    at += stretch.length;
    stop = changetype<Stop>(stretch.target);
    if (stretch.mark != 0) {
      if (load<u64>(stretch.mark) == serial) return 0;
      store<u64>(stretch.mark, serial);
    }
    switch (stretch.action) {
      case Action.SKIP_TEXT: {
        at = stringEndAt(at, end);
        if (at == 0) return 0;
        continue;
      }
      case Action.TEXT_OR_NULL:
        if (load<u32>(at) == NULL_WORD && load<u8>(at, 4) == 0x22) {
          if (!leave(stretch, at - 1, at + 5)) return 0;
          at += 4;
          continue;
        }
      // Any other text is one.
      case Action.TEXT: {
        const from = at;
        at = plainStringEnd(from);
        if (load<u8>(at) != 0x22) {
          at = stringEndAt(from, end);
          if (at == 0) return 0;
          if (stringEscaped) {
            if (!leave(stretch, from - 1, at + 1)) return 0;
            continue;
          }
        }
        put(stretch, <u64>from | (<u64>(at - from) << 32));
        count++;
        continue;
      }
      case Action.INT: {
        const to = takeInt(at);
        if (to != 0) {
          put(stretch, <u64>integer);
          at = to;
          count++;
          continue;
        }
        break;
      }
      case Action.DOUBLE: {
        const to = takeDouble(at);
        if (to != 0) {
          put(stretch, reinterpret<u64>(double));
          at = to;
          count++;
          continue;
        }
        break;
      }
      case Action.BOOL: {
        const word = load<u32>(at);
        if (word == 0x65757274 || (word == 0x736c6166 && load<u8>(at, 4) == 0x65)) {
          const isTrue = word == 0x65757274;
          put(stretch, isTrue ? 1 : 0);
          at += isTrue ? 4 : 5;
          count++;
          continue;
        }
        break;
      }
      case Action.TIME: {
        at = momentEndAt(at, end);
        if (at == 0) return 0;
        guessedMicros = integer;
        continue;
      }
      case Action.MOMENT: {
        at = momentEndAt(at, end);
        if (at == 0) return 0;
        put(stretch, <u64>integer);
        count++;
        continue;
      }
      case Action.EPOCH_MS: {
        const from = at;
        at = valueEndAt(from, stretch.depth, end);
        if (at == 0 || !isNumberAt(from) || !readEpochMs(from, at)) return 0;
        guessedMicros = integer;
        continue;
      }
      case Action.END: {
        if ((seen & Member.TIME) == 0 || at > end) return 0;
        guessedType = stretch.type;
        guessedCount = count;
        guessedEnd = at - stretch.tail;
        return at;
      }
    }
    // Any other value: it is checked here, and read later where an input wants it.
    const from = at;
    at = valueEndAt(from, stretch.depth, end);
    if (at == 0) return 0;
    if (stretch.node != 0 && !leave(stretch, from, at)) return 0;
  }
}

@inline
function put(stretch: Stretch, value: u64): void {
  const row = <usize>load<i32>(stretch.rows);
  store<u64>(stretch.values + (row << 3), value);
  store<u8>(stretch.nulls + row, 0);
}

function leave(stretch: Stretch, from: usize, to: usize): bool {
  if (laterCount == LATER_MAX) return false;
  const at = later + <usize>(laterCount++) * 12;
  store<usize>(at, stretch.node);
  store<usize>(at, from, 4);
  store<usize>(at, to, 8);
  return true;
}

/** The closing quote of the string whose opening one stands before `at`; 0 where it is no string. */
@inline
function stringEndAt(at: usize, end: usize): usize {
  const to = plainStringEnd(at);
  return load<u8>(to) == 0x22 ? to : anyStringEndAt(at, end);
}

function anyStringEndAt(at: usize, end: usize): usize {
  openText(at - 1, end);
  return readString() ? stringEnd : 0;
}

/** The closing quote of a time, with `integer` as its microseconds; 0 where it is none. */
@inline
function momentEndAt(at: usize, end: usize): usize {
  const to = takeMoment(at);
  return to != 0 && load<u8>(to) == 0x22 ? to : anyMomentEndAt(at, end);
}

function anyMomentEndAt(at: usize, end: usize): usize {
  openText(at - 1, end);
  return readString() && !stringEscaped && readTime(at, stringEnd) ? stringEnd : 0;
}

@inline
function isNumberAt(at: usize): bool {
  const byte = load<u8>(at);
  return byte == 0x2d || (byte >= 0x30 && byte <= 0x39);
}

/** The end of any value; 0 where it is none, or goes on over the line's end. */
@inline
function valueEndAt(at: usize, depth: i32, end: usize): usize {
  const to = passNumber(at);
  return to != 0 ? to : anyValueEndAt(at, depth, end);
}

function anyValueEndAt(at: usize, depth: i32, end: usize): usize {
  openText(at, end);
  if (!skipValue(depth)) return 0;
  // To the reader of values a newline is white space.
  const byte = load<u8>(at);
  if (byte == 0x5b || byte == 0x7b) for (let i = at; i < cursor; i++) if (load<u8>(i) == 0x0a) return 0;
  return cursor;
}
