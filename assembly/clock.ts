/**
 * Clocks of types: the latest event time seen, but for times that cannot be right. In the log's order each record moves its
 * type's clock, or its time is what is bad about it.
 */
import { recordBad, recordClock, recordCount, recordInput, recordRow, recordTime, recordType } from './batch';
import { Bad, CLOCK_NONE, EventType, forgetJumps, hasBefore, typeAt, typeCount } from './event_type';
import { countBehind, countOnTime } from './late';

let clockIsWall = false;
let jumpMaxMicros: i64 = 0;
export let aheadMaxMicros: i64 = 0;

/** For a source that does not know when its records arrived. */
const NO_ARRIVAL: i64 = i64.MIN_VALUE;

/** An event further than `aheadMs` ahead of its arrival is bad; with an event clock, one `jumpMs` ahead of its type's clock too. */
export function setClock(isWall: bool, jumpMs: f64, aheadMs: f64): void {
  clockIsWall = isWall;
  jumpMaxMicros = <i64>jumpMs * 1000;
  aheadMaxMicros = <i64>aheadMs * 1000;
}

/**
 * Moves the types' clocks past the batch's records, from where `setTypeClock` or the batch before has left them. An event
 * whose time is wrong loses its row, whatever else is wrong with it. Called once for each batch, before it is tiled.
 */
export function passClocks(arrivalMicros: i64): void {
  for (let i = 0; i < typeCount; i++) if (!hasBefore(typeAt(i))) countOnTime(typeAt(i).behind, typeAt(i).rows);
  for (let record: usize = 0; record < <usize>recordCount; record++) {
    const type = load<i32>(recordType + (record << 2));
    if (type < 0) continue;
    const eventType = typeAt(type);
    const isFirst = eventType.clock == CLOCK_NONE;
    const wrongTime = moveClock(eventType, load<i64>(recordTime + (record << 3)), arrivalMicros);
    if (isFirst) eventType.since = eventType.clock;
    store<i64>(recordClock + (record << 3), eventType.clock);
    if (load<i32>(recordRow + (record << 2)) >= 0) {
      // It may have two rows, and is one event.
      if (hasBefore(eventType)) countOnTime(eventType.behind, 1);
      const behindMicros = eventType.clock - load<i64>(recordTime + (record << 3));
      if (wrongTime != Bad.NONE) countOnTime(eventType.behind, -1);
      else if (behindMicros > 0) countBehind(eventType.behind, behindMicros);
    }
    if (wrongTime == Bad.NONE) continue;
    store<i32>(recordBad + (record << 2), wrongTime);
    store<i32>(recordInput + (record << 2), -1);
    store<i32>(recordRow + (record << 2), -1);
  }
}

/** What is bad about the event's time, if anything; a bad one leaves the clock as it was. */
function moveClock(type: EventType, timeMicros: i64, arrivalMicros: i64): i32 {
  const isKnown = arrivalMicros != NO_ARRIVAL;
  if (isKnown && timeMicros - arrivalMicros > aheadMaxMicros) return Bad.TIME_AHEAD;
  if (clockIsWall) {
    type.clock = max(type.clock, arrivalMicros);
    return Bad.NONE;
  }
  const jumps = type.clock != CLOCK_NONE && timeMicros - type.clock > jumpMaxMicros;
  if (jumps && !jumpsAgree(type, timeMicros)) return Bad.TIME_JUMP;
  type.clock = max(type.clock, timeMicros);
  forgetJumps(type);
  return Bad.NONE;
}

/**
 * Records in a row that jump to three times no further apart than the clock may jump are no mistake: the type was quiet
 * for long. A time again tells nothing new, for it may be the same wrong record, sent twice.
 */
function jumpsAgree(type: EventType, timeMicros: i64): bool {
  const jump = type.jump;
  const lastJump = type.lastJump;
  if (timeMicros == jump || timeMicros == lastJump) return false;
  const first = min(min(jump, lastJump), timeMicros);
  const last = max(max(jump, lastJump), timeMicros);
  if (jump != CLOCK_NONE && last - first <= jumpMaxMicros) return true;
  type.jump = lastJump;
  type.lastJump = timeMicros;
  return false;
}

export function typeClock(type: i32): i64 {
  return typeAt(type).clock;
}

export function typeSince(type: i32): i64 {
  return typeAt(type).since;
}

export function typeJump(type: i32): i64 {
  return typeAt(type).jump;
}

export function typeLastJump(type: i32): i64 {
  return typeAt(type).lastJump;
}

/** Decoding goes on with the clock as it stood. */
export function setTypeClock(type: i32, clock: i64, since: i64, jump: i64, lastJump: i64): void {
  const eventType = typeAt(type);
  eventType.clock = clock;
  eventType.since = since;
  eventType.jump = jump;
  eventType.lastJump = lastJump;
}

/** The greatest of all types' clocks, CLOCK_NONE before the first event. */
export function greatestClock(): i64 {
  let greatest = CLOCK_NONE;
  for (let i = 0; i < typeCount; i++) greatest = max(greatest, typeAt(i).clock);
  return greatest;
}
