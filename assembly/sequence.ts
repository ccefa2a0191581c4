/**
 * Records of a topology, one after the other: what events read is what all records before them have written, and they
 * themselves.
 *
 *   record -> its clock is seen -> for each step of its type:
 *     columns   expressions over what was read by now
 *     write     one group: tile -> fold
 *     read      one answer: key -> what runs along with its rows, or cover -> rows -> values, into registers of the event
 *
 * Which steps there are, and in which order, the glue says (src/plan/layers.ts). Where memory lacks rows the run stops, says
 * which, and goes on from there.
 */
import { Program, runRow } from './expression';
import { Frame, registerOf } from './frame';
import { listedCount, missingMade } from './come_back';
import { FOLD_MALFORMED, FOLD_OK, foldMade } from './fold';
import { foldBytes } from './occupied';
import { Bytes } from './memory';
import { recordCount, recordRow, recordType } from './batch';
import { typeFrame } from './event_type';
import { Status } from './register';
import { RUN_COVER, RUN_LACKS, beginRunning, enterRunning, runOn } from './running';
import { tileSequenced } from './tile';
import { textBytes } from './cell';
import { READ_OK } from './merge';
import { seeRecords } from './seen';
import { answerStarted, coverRecord, keyRecord, lacksRows } from './window';

enum StepKind {
  COLUMNS,
  WRITE,
  READ,
  /** What has become of a read, as a text. */
  FAULT,
}

@unmanaged
class Step {
  kind: StepKind;
  /** A program, a group, an answer; of a fault the register that was read into. */
  handle: i32;
  /** Of a fault its own register. */
  into: i32;
}

const TYPES_MAX: i32 = 4096;
/** Steps of each type of event. */
const stepsOf: usize = memory.data(4096 * sizeof<usize>(), 8);

function addStep(type: i32, kind: StepKind, handle: i32, into: i32): void {
  assert(<u32>type < <u32>TYPES_MAX);
  const place = stepsOf + <usize>type * sizeof<usize>();
  if (load<usize>(place) == 0) store<usize>(place, changetype<usize>(Bytes.make()));
  const steps = changetype<Bytes>(load<usize>(place));
  steps.reserve(offsetof<Step>());
  const step = changetype<Step>(steps.end);
  step.kind = kind;
  step.handle = handle;
  step.into = into;
  steps.length += offsetof<Step>();
}

export function addColumnsStep(type: i32, program: i32): void {
  addStep(type, StepKind.COLUMNS, program, 0);
}

export function addWriteStep(type: i32, group: i32): void {
  addStep(type, StepKind.WRITE, group, 0);
}

export function addReadStep(type: i32, answer: i32): void {
  addStep(type, StepKind.READ, answer, 0);
}

/** A register that says what is wrong with the value of a read: nothing, mostly. */
export function addFaultStep(type: i32, read: i32, into: i32): void {
  addStep(type, StepKind.FAULT, read, into);
}

/** All records are through that were to be. */
export const SEQUENCE_DONE: i32 = 0;
/** The rows that fold.ts has listed are to be loaded. */
export const SEQUENCE_WANTS_CHANGED: i32 = 1;
/** The rows of the key at hand that gap.ts lists as gaps of `sequenceAnswer` are to be loaded. */
export const SEQUENCE_WANTS_READ: i32 = 2;
/** Some records are through: rows or texts take more than they may. */
export const SEQUENCE_FULL: i32 = 3;
/** As fold.ts has these two. */
export const SEQUENCE_MALFORMED: i32 = 4;
export const SEQUENCE_UNKNOWN_CASE: i32 = 5;

/** The next record, and the next step of it. */
export let sequenceRecord: i32 = 0;
let nextStep: usize = 0;
/** The changes of the step are made, and what memory lacked for them is loaded. */
let isTiled: bool = false;
/** What lacks rows. */
export let sequenceAnswer: i32 = 0;

export function beginSequence(from: i32): void {
  assert(from >= 0 && from <= recordCount);
  sequenceRecord = from;
  nextStep = 0;
  isTiled = false;
}

/**
 * Goes on up to record `to` of the batch.
 *
 * @param mayLack memory may not have all rows
 * @param stateBytesMax of rows and @param textBytesMax of texts that were read: beyond either the run stops behind a record
 */
export function runSequence(to: i32, mayLack: bool, stateBytesMax: f64, textBytesMax: f64): i32 {
  assert(to <= recordCount);
  while (sequenceRecord < to) {
    const outcome = runRecord(sequenceRecord, mayLack);
    if (outcome != SEQUENCE_DONE) return outcome;
    sequenceRecord++;
    nextStep = 0;
    if (foldBytes() > stateBytesMax || textBytes() > textBytesMax) return SEQUENCE_FULL;
  }
  return SEQUENCE_DONE;
}

function runRecord(record: i32, mayLack: bool): i32 {
  const type = load<i32>(recordType + (<usize>record << 2));
  const row = load<i32>(recordRow + (<usize>record << 2));
  if (nextStep == 0) seeRecords(record, record + 1);
  if (type < 0 || row < 0) return SEQUENCE_DONE;
  const place = load<usize>(stepsOf + <usize>type * sizeof<usize>());
  if (place == 0) return SEQUENCE_DONE;
  const steps = changetype<Bytes>(place);
  for (; nextStep < steps.length; nextStep += offsetof<Step>()) {
    const outcome = runStep(changetype<Step>(steps.start + nextStep), record, typeFrame(type), row, mayLack);
    if (outcome != SEQUENCE_DONE) return outcome;
  }
  return SEQUENCE_DONE;
}

function runStep(step: Step, record: i32, frame: Frame, row: i32, mayLack: bool): i32 {
  switch (step.kind) {
    case StepKind.COLUMNS:
      runRow(changetype<Program>(<usize>step.handle), frame, row);
      return SEQUENCE_DONE;
    case StepKind.WRITE:
      return write(step.handle, record, mayLack);
    case StepKind.READ:
      return read(step.handle, record, row, mayLack);
    default:
      sayFault(frame, step.handle, step.into, <usize>row);
      return SEQUENCE_DONE;
  }
}

function write(group: i32, record: i32, mayLack: bool): i32 {
  if (!isTiled) {
    tileSequenced(group, record);
    if (mayLack) {
      missingMade();
      isTiled = true;
      if (listedCount() > 0) return SEQUENCE_WANTS_CHANGED;
    }
  }
  isTiled = false;
  const outcome = foldMade();
  if (outcome == FOLD_OK) return enterRunning() ? SEQUENCE_DONE : SEQUENCE_MALFORMED;
  return outcome == FOLD_MALFORMED ? SEQUENCE_MALFORMED : SEQUENCE_UNKNOWN_CASE;
}

function read(answer: i32, record: i32, row: i32, mayLack: bool): i32 {
  if (!keyRecord(answer, record, row)) return SEQUENCE_DONE;
  const outcome = runOn(answer, record, row, mayLack);
  if (outcome == RUN_COVER) return readCover(answer, record, row, mayLack);
  return outcome == RUN_LACKS ? wantRead(answer) : SEQUENCE_DONE;
}

function readCover(answer: i32, record: i32, row: i32, mayLack: bool): i32 {
  coverRecord(answer, record);
  if (mayLack && lacksRows(answer)) return wantRead(answer);
  if (answerStarted(answer, row) != READ_OK) return SEQUENCE_MALFORMED;
  beginRunning(answer);
  return SEQUENCE_DONE;
}

function wantRead(answer: i32): i32 {
  sequenceAnswer = answer;
  return SEQUENCE_WANTS_READ;
}

const OVERFLOW_TEXT: usize = memory.data<u8>([0x6f, 0x76, 0x65, 0x72, 0x66, 0x6c, 0x6f, 0x77], 8);
const EXPIRED_TEXT: usize = memory.data<u8>([0x65, 0x78, 0x70, 0x69, 0x72, 0x65, 0x64, 0x00], 8);

function sayFault(frame: Frame, read: i32, into: i32, row: usize): void {
  const status = load<u8>(registerOf(frame, read).statuses + row);
  const register = registerOf(frame, into);
  const value = register.values + (row << 3);
  const isOverflow = status == <u8>Status.OVERFLOW;
  store<u32>(value, <u32>(isOverflow ? OVERFLOW_TEXT : EXPIRED_TEXT));
  store<u32>(value, isOverflow ? 8 : 7, 4);
  store<u8>(register.nulls + row, isOverflow || status == <u8>Status.EXPIRED ? 0 : 1);
}
