/**
 * Rows that are changed and not read back: what memory has of them is only what has changed, and the store adds that to what it has
 * (addends.ts). Reading a row back costs many times what merging it does, and where many events are folded together that nobody
 * waits for, the rows of most keys are changed once and not wanted before the next of them.
 *
 * There are such rows only while gathered events are folded: at the end all of them are put away, and leave memory, which knows
 * nothing of what the store has under their addresses.
 */
import { lacks } from './come_back';
import { Level, Row, copyRow, giveBlock, isUnread, keepRows, newestRow, noteUnread, olderRow } from './entity';

/** Rows that may lie in the store are not read back now. */
export let isUnreadOn: bool = false;

/** So many rows in memory are unread, and so many have been made since `leaveUnread` was called. */
export let unreadRows: i32 = 0;
export let unreadMade: i32 = 0;

export function leaveUnread(isOn: bool): void {
  isUnreadOn = isOn;
  unreadMade = 0;
}

/** Asked before there is such a row in memory. */
@inline
export function isLeftUnread(level: Level, hash: u32, tileStart: i64): bool {
  return isUnreadOn && lacks(level, hash, tileStart);
}

/** A row has just been made, of which the store may have more. */
export function makeUnread(row: Row): void {
  noteUnread(row);
  unreadRows++;
  unreadMade++;
}

/** Those of a level leave memory: they are put away. */
export function dropUnread(level: Level): void {
  const older = level.count - 1;
  let kept = 0;
  for (let i = 0; i < older; i++) {
    const row = olderRow(level, i);
    if (drops(row)) continue;
    if (kept != i) copyRow(olderRow(level, kept), row);
    kept++;
  }
  // With the newest gone, the last of the others takes its place.
  if (!drops(newestRow(level))) kept++;
  else if (kept > 0) copyRow(newestRow(level), olderRow(level, kept - 1));
  keepRows(level, kept);
}

@inline
function drops(row: Row): bool {
  if (!isUnread(row)) return false;
  giveBlock(row);
  unreadRows--;
  return true;
}
