/** Records of changes in envelopes: a row for what one takes back, and one for what it adds. */
import { noteFullFrame, recordBad, recordBefore, recordInput, recordRow } from './batch';
import { Op, afterStart, beforeStart, changeOp, isRowAt, isUnavailable, openEnvelope } from './envelope';
import { Bad, EventType, Kind, inputAt } from './event_type';
import { BATCH_ROWS } from './frame';
import { fillRow } from './fill';
import { beginInputs } from './project';
import { dataStart, isBare, isFlat, objectStart, projectRow } from './record';
import { Slot } from './slot';

/** Fills a row for what a change takes back, and one for what it adds; none for what is neither. Returns why it is bad, if it is. */
export function commitChange(type: EventType, index: usize): i32 {
  const first = type.rows;
  store<i32>(recordBefore + (index << 2), -1);
  const bad = judgeChange(type, index);
  store<i32>(recordBad + (index << 2), bad);
  if (bad != Bad.NONE) type.rows = first;
  else if (type.rows > first) store<i32>(recordRow + (index << 2), type.rows - 1);
  if (type.rows - first == 2) store<i32>(recordBefore + (index << 2), first);
  if (type.rows + 2 > BATCH_ROWS) noteFullFrame();
  return bad;
}

function judgeChange(type: EventType, index: usize): i32 {
  const opened = openChange(type);
  if (opened != Bad.NONE) return opened;
  const before = beforeStart;
  const after = afterStart;
  if ((openedOp & Op.TAKES) != 0) {
    if (!isRowAt(before)) return Bad.NO_BEFORE;
    const bad = fillSide(type, index, before, -1);
    if (bad != Bad.NONE) return bad == Bad.MISSING ? Bad.NO_BEFORE : bad;
  }
  if ((openedOp & Op.ADDS) == 0) return Bad.NONE;
  return isRowAt(after) ? fillSide(type, index, after, 1) : Bad.NO_AFTER;
}

/** What the change that was opened last does: an Op, and 0 where the record has none. */
export let openedOp: i32 = 0;

/** Opens the envelope that the record has, where it has one. Returns why it is bad, if it is. */
export function openChange(type: EventType): i32 {
  beginInputs(type);
  openedOp = 0;
  const object = isFlat || isBare ? objectStart : dataStart;
  if (object == 0 || load<u8>(object) == 0x6e) return Bad.NONE;
  if (load<u8>(object) != 0x7b) return Bad.DATA_NOT_OBJECT;
  if (!openEnvelope(object)) return Bad.NONE;
  openedOp = changeOp();
  return openedOp == Op.UNKNOWN ? Bad.UNKNOWN_OP : Bad.NONE;
}

/** Projects a row of an envelope into the frame's next one, or says what is bad about it. */
function fillSide(type: EventType, index: usize, start: usize, weight: i64): i32 {
  projectRow(type, start);
  const bad = fillAvailable(type, index, weight);
  if (bad == Bad.NONE) type.rows++;
  return bad;
}

export function fillAvailable(type: EventType, index: usize, weight: i64): i32 {
  const bad = fillRow(type, index, weight);
  if (bad != Bad.NONE) return bad;
  for (let i = 0; i < type.inputCount; i++) {
    const input = inputAt(type, i);
    if (input.kind != Kind.STRING || input.slot != Slot.VALUE || !isUnavailable(input.value)) continue;
    store<i32>(recordInput + (index << 2), i);
    return Bad.UNAVAILABLE;
  }
  return Bad.NONE;
}
