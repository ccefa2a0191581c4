/** Lines into columns, batch by batch: by the form of a line (guess.ts) where it is known, else the long way (ndjson.ts). */
import { BATCH_ROWS } from './frame';
import { decodeStart } from './form';
import { guessLine, isNewForm, isResting, noteGuess } from './guess';
import { earnLessons, learnLine } from './lesson';
import { isFrameFull, lineCount, recordCount, rejectedCount } from './batch';
import { hasBefore, typeAt } from './event_type';
import { beginDecoding, commitGuess, decodeLine, findNewline, lineEnd } from './ndjson';
import { findType, isFlat } from './record';
import { isBatchFull } from './nested_input';

/**
 * Decodes lines from byte `from` of the input buffer until its `size` bytes or the batch are used up, and returns the
 * offset behind the last line taken. `position` is that of the batch's first record. Bytes behind the last newline are a
 * line only if `isEnd`.
 */
export function decode(from: usize, size: usize, position: i64, isEnd: bool): usize {
  const start = beginDecoding(from, size, position);
  const end = start + size;
  let at = start + from;
  while (at < end && recordCount < BATCH_ROWS && rejectedCount < BATCH_ROWS && !isBatchFull() && !isFrameFull) {
    let next: usize = isResting() ? 0 : decodeByForm(at, end);
    if (next == 0) next = decodeAnyLine(at, end, isEnd);
    if (next == at) break;
    at = next;
  }
  earnLessons(lineCount);
  return min(at, end) - start;
}

/** Returns where the next line starts; 0 where this one is to be read the long way. */
@inline
function decodeByForm(start: usize, blockEnd: usize): usize {
  const next = guessLine(decodeStart, start, blockEnd);
  const isRight = next != 0 && commitGuess(start);
  noteGuess(isRight);
  return isRight ? next : 0;
}

/** Returns where the next line starts: right here where this one is not whole. */
function decodeAnyLine(start: usize, blockEnd: usize, isEnd: bool): usize {
  const isNew = isNewForm;
  const newline = findNewline(start, blockEnd);
  if (newline == blockEnd && !isEnd) return start;
  const end = lineEnd(start, newline);
  if (decodeLine(start, end) && isNew && newline < blockEnd) learn(start, end, newline + 1);
  return newline + 1;
}

function learn(start: usize, end: usize, next: usize): void {
  const type = findType();
  if (type >= 0 && hasBefore(typeAt(type))) return;
  const eventType: usize = type < 0 ? 0 : changetype<usize>(typeAt(type));
  learnLine(start, end, next, eventType, type, isFlat, false);
}
