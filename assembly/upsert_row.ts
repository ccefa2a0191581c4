/** Records that say what the row of their key is now: that row, and the one that it takes back once it is known (upsert.ts). */
import {
  noteFullFrame,
  recordBad,
  recordBefore,
  recordInput,
  recordRow,
  recordText,
  recordTextLength,
  recordTime,
  recordType,
  recordWithin,
  widenSide,
} from './batch';
import { Op, afterStart, beforeStart, isRowAt } from './envelope';
import { fillAvailable, openChange, openedOp } from './envelope_row';
import { Bad, EventType, Form, Input, Kind, inputAt, typeAt } from './event_type';
import { BATCH_ROWS, registerOf } from './frame';
import { MINUS_D, fillRow, fillTime, fillWeight, weightOf } from './fill';
import { cursor, openText } from './json';
import { beginInputs, clearSlots, project } from './project';
import { projectData, projectRow, projectedStart, recordMicros, setRecordTime } from './record';
import { cellOf, faultOf, fillCell, isNullSlot, withinOf } from './slot';
import { forgetText } from './value';

/** The last row of each key is kept, and a batch may take back as many rows as it has records: what those take is bounded. */
export const UPSERT_MAX_BYTES: usize = 64 << 10;

/** Is the row gone? Then its record has a row in the frame all the same, with the key alone, until it is known what it was. */
let isGone: bool = false;

/** Where the row stands; 0 where nothing is said of it. */
let upsertStart: usize = 0;
let upsertEnd: usize = 0;

export function commitUpsert(type: EventType, index: usize, size: usize): i32 {
  store<i32>(recordBefore + (index << 2), -1);
  const bad = size > UPSERT_MAX_BYTES ? Bad.ROW_TOO_LONG : judgeUpsert(type, index);
  store<i32>(recordBad + (index << 2), bad);
  if (bad == Bad.NONE && upsertStart != 0) {
    store<i32>(recordRow + (index << 2), type.rows++);
    store<usize>(recordText + (index << 2), upsertStart);
    store<usize>(recordTextLength + (index << 2), isGone ? 0 : upsertEnd - upsertStart);
  }
  // For each of them there may be one more.
  if (type.rows * 2 + 2 > BATCH_ROWS) noteFullFrame();
  return bad;
}

function judgeUpsert(type: EventType, index: usize): i32 {
  isGone = false;
  if (type.form == Form.ENVELOPES) return judgeEnvelope(type, index);
  if (!projectData(type)) return Bad.DATA_NOT_OBJECT;
  upsertStart = projectedStart;
  upsertEnd = cursor;
  const word: i32 = type.opInput < 0 ? Said.THERE : wordOf(inputAt(type, type.opInput), type.form);
  if (word == Said.NOTHING) {
    upsertStart = 0;
    return Bad.NONE;
  }
  isGone = word == Said.GONE;
  if (isGone) return fillKey(type, index);
  return fillRow(type, index, word == Said.UNKNOWN ? 0 : 1);
}

/** What an input says of its row. */
enum Said {
  /** It is what the record says. */
  THERE,
  GONE,
  /** Nothing that was not known. */
  NOTHING,
  UNKNOWN,
}

/** A faulty input is none of the words: the row is judged, and the input in it. */
function wordOf(input: Input, form: i32): i32 {
  if (faultOf(input) != Bad.NONE) return Said.UNKNOWN;
  if (isNullSlot(input) != 0) return Said.THERE;
  const cell = cellOf(input);
  if (input.kind == Kind.BOOL) return cell != 0 ? Said.GONE : Said.THERE;
  const at = <usize><u32>cell;
  const length = <usize>(cell >> 32);
  if (form == Form.OPS) {
    const weight = weightOf(at, length);
    if (weight >= 0) return weight == 0 ? Said.UNKNOWN : Said.THERE;
    return load<u16>(at) == MINUS_D ? Said.GONE : Said.NOTHING;
  }
  if (length == 4 && load<u32>(at) == 0x65757274) return Said.GONE;
  return length == 5 && load<u32>(at) == 0x736c6166 && load<u8>(at, 4) == 0x65 ? Said.THERE : Said.UNKNOWN;
}

function judgeEnvelope(type: EventType, index: usize): i32 {
  upsertStart = 0;
  const opened = openChange(type);
  if (opened != Bad.NONE || openedOp == 0) return opened;
  isGone = openedOp == Op.TAKES;
  const start = isGone ? beforeStart : afterStart;
  if (!isRowAt(start)) return isGone ? Bad.NO_BEFORE : Bad.NO_AFTER;
  upsertStart = start;
  projectRow(type, start);
  upsertEnd = cursor;
  return isGone ? fillKey(type, index) : fillAvailable(type, index, 1);
}

/** Fills the frame's next row with the key alone, or says what is bad about that. */
function fillKey(type: EventType, index: usize): i32 {
  for (let i = 0; i < type.inputCount; i++) {
    const input = inputAt(type, i);
    const register = registerOf(type.frame, i);
    store<u64>(register.values + (<usize>type.rows << 3), 0);
    store<u8>(register.nulls + <usize>type.rows, 1);
    if (!isKeyInput(type, i)) continue;
    const bad = faultOf(input);
    if (bad != Bad.NONE) {
      store<i32>(recordInput + (index << 2), i);
      store<usize>(recordWithin + (index << 2), withinOf(input));
      return bad;
    }
    fillCell(input, register, <usize>type.rows);
  }
  fillTime(type, recordMicros);
  fillWeight(type, -1);
  return Bad.NONE;
}

function isKeyInput(type: EventType, input: i32): bool {
  for (let i = 0; i < type.keyCount; i++) if (load<i32>(type.keyColumns + (<usize>i << 3)) == input) return true;
  return false;
}

/**
 * Gives a record of the batch the row that it takes back: a frame's row of its own, or that of its key where the row is gone.
 * What was good once is not judged again: what an input finds no value in is null. `text` is a row as `recordText` has them,
 * and stands until the next batch is decoded.
 */
export function takeBack(index: usize, text: usize, length: usize): void {
  const type = typeAt(load<i32>(recordType + (index << 2)));
  const own = load<i32>(recordRow + (index << 2));
  const rows = type.rows;
  beginInputs(type);
  clearSlots(type);
  openText(text, text + length);
  widenSide(length);
  forgetText();
  project(type, type.root, 0);
  setRecordTime(load<i64>(recordTime + (index << 3)));
  // Filling goes by the next row.
  if (load<u32>(recordTextLength + (index << 2)) == 0) type.rows = own;
  for (let i = 0; i < type.inputCount; i++) fillCell(inputAt(type, i), registerOf(type.frame, i), <usize>type.rows);
  fillTime(type, timeOfRow(type));
  fillWeight(type, -1);
  if (type.rows == own) {
    type.rows = rows;
    return;
  }
  store<i32>(recordBefore + (index << 2), rows);
  type.rows = rows + 1;
}

/** A record takes nothing back: where its row is gone, it has none. */
export function takeNothing(index: usize): void {
  if (load<u32>(recordTextLength + (index << 2)) == 0) store<i32>(recordRow + (index << 2), -1);
}

/** The next row's own time, where it has one. */
function timeOfRow(type: EventType): i64 {
  if (type.timeInput == 0) return recordMicros;
  const times = registerOf(type.frame, type.timeInput - 1);
  const row = <usize>type.rows;
  return load<u8>(times.nulls + row) != 0 ? recordMicros : load<i64>(times.values + (row << 3));
}
