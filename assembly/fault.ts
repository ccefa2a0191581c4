/**
 * What is said of an input that is faulty in an event which counts all the same: words that the glue has given, and in front of
 * them the place, where it is something in the input that is faulty:
 *
 *   expected int
 *   items[1].sku: required input missing
 *   tags['red']: expected float
 */
import { allocateZeroed, Bytes } from './memory';
import { Input, Kind, Shape, inputAt } from './event_type';
import { keepText, textRoom } from './nested_input';

/** What is wrong with a value. */
export enum Wrong {
  NONE,
  MISSING,
  NULL,
  /** It is of another type, and nothing can be made of it. */
  TYPE,
  /** A part of it was lost when it was made an int64. */
  LOSSY,
  /** It is among more values in lists, maps and structs than one event may have. */
  TOO_MANY,
}

/** Words, as texts' cells: first those of each Wrong, then what TYPE says for each Kind. */
const WRONGS: i32 = Wrong.TOO_MANY + 1;
const words: usize = allocateZeroed(<usize>(WRONGS + Kind.MAP + 1) << 3);

/** Gives the words of a Wrong, or behind them all those of a Kind. Takes over `text` (an allocated block). */
export function setFaultWords(index: i32, text: usize, length: usize): void {
  assert(index >= 0 && index < WRONGS + Kind.MAP + 1);
  store<u64>(words + (<usize>index << 3), <u64>text | (<u64>length << 32));
}

@inline
function wordsOf(wrong: i32, kind: i32): u64 {
  return load<u64>(words + (<usize>(wrong == Wrong.TYPE ? WRONGS + kind : wrong) << 3));
}

const spelling: Bytes = Bytes.make();

/** What is said of an input, or of what a fault in it is in: a text's cell, which stands until the next batch is decoded. */
export function faultText(input: Input, wrong: i32, within: usize): u64 {
  if (within == 0) return wordsOf(wrong, input.kind);
  spelling.length = 0;
  appendText(input.name);
  let place = input;
  for (let fault = within; fault != 0; fault = <usize>load<u32>(fault, 8)) place = enter(place, fault);
  append(COLON, 2);
  appendText(wordsOf(wrong, place.kind));
  const text = textRoom(spelling.length);
  memory.copy(text, spelling.start, spelling.length);
  keepText(spelling.length);
  return <u64>text | (<u64>spelling.length << 32);
}

/** `: `, `[`, `]`, `.`, `['` and `']`. */
const COLON: usize = memory.data<u8>([0x3a, 0x20]);
const OPEN: usize = memory.data<u8>([0x5b, 0x27]);
const CLOSE: usize = memory.data<u8>([0x27, 0x5d]);
const DOT: usize = memory.data<u8>([0x2e]);

/** Spells the step from a list, a map or a struct to what a fault (nested_input.ts) is in. */
function enter(place: Input, fault: usize): Input {
  const shape = changetype<Shape>(place.shape);
  if (place.kind == Kind.STRUCT) {
    const field = inputAt(shape, load<i32>(fault, 4));
    append(DOT, 1);
    appendText(field.name);
    return field;
  }
  if (place.kind == Kind.MAP) {
    append(OPEN, 2);
    appendText(load<u64>(fault, 16));
    append(CLOSE, 2);
  } else {
    append(OPEN, 1);
    appendNumber(<u32>load<i32>(fault, 4));
    append(CLOSE + 1, 1);
  }
  return inputAt(shape, 0);
}

@inline
function append(from: usize, length: usize): void {
  spelling.append(from, length);
}

@inline
function appendText(cell: u64): void {
  append(<usize><u32>cell, <usize>(cell >> 32));
}

const digits: usize = memory.data(10);

function appendNumber(value: u32): void {
  let at = digits + 10;
  do {
    store<u8>(--at, <u8>(0x30 + value % 10));
    value /= 10;
  } while (value != 0);
  append(at, digits + 10 - at);
}
