import { Fault } from '../base/fault.ts';
import type { TypeClock } from '../base/time.ts';
import { floorDiv, MICROS_PER_MS } from '../base/time.ts';
import { lastRowsHash, stateHash } from './canonical.ts';
import { ALL_KNOWN, ceilTile, isWhole, type Known, type KnownLevel, windowKnown } from './known.ts';
import { type Expression, walk } from './expression.ts';
import { aggregateExpressions } from './layers.ts';
import type { Aggregate, EventType, Feature, Plan } from './plan.ts';
import { lastRowsOf } from './upsert.ts';
import { floorTile, type KeptLevel, keptLevels, LIFETIME_LEVEL_MS, readsOf, WINDOWS_PER_ENTITY_MAX } from './window.ts';

/**
 * From the plan in force to another one, at a position of the log.
 *
 *   1. pair    aggregates of both that have the same states: under the same name, else under another one (renamed)
 *   2. keep    their numbers, and with them their rows; where tiles are wanted now that were not kept, since when they are whole
 *   3. add     all others, with numbers of their own: they count from the position on. The last rows of upserts (upsert.ts) go
 *              on where they are of the same keys
 *   4. refuse  what could not be told from a wrong number, unless it is asked for
 *
 * Pure: nothing of it depends on the rows but the clocks of the event types.
 */
export interface Transition {
  /** Of the next plan, by name. Those without a number are new. */
  members: Map<string, { id: number | null; known: Known }>;
  /** Names of aggregates. What is redefined is new under a name that stays. */
  added: string[];
  redefined: string[];
  removed: string[];
  renamed: { from: string; to: string }[];
  /** Go on, with tiles that were not kept before. */
  extended: string[];
  kept: number;
  refusals: Fault[];
}

/** The plan whose rows there are. */
export interface InForce {
  plan: Plan;
  /** By name of aggregate. */
  members: Map<string, Member>;
  /** By length of tile, how long a row stays where that is fixed when it is written: a plan that wants it for longer comes too late. */
  rowsLastMs?: Map<number, number>;
}

export interface Member {
  /** In rows. */
  id: number;
  known: Known;
}

export function knownOf(members: InForce['members']): Map<string, Known> {
  return new Map([...members].map(([name, { known }]) => [name, known]));
}

/** Where the next plan takes over. */
export interface Moment {
  /** The first record that it applies to. */
  position: number;
  clocks: Map<string, TypeClock>;
  /** The log's now. */
  nowMicros: bigint;
  /** So much later than its type's clock an event may have been. */
  aheadMs: number;
}

/** What becomes of new aggregates, whose earlier events are not in rows. */
export type Beginning =
  /** Only what warms up by itself may be added. */
  | 'warm'
  /** They answer from the position on, WARMING: lifetimes for good, and under names that stay too. */
  | 'since-now'
  /** All events of the log are brought into their rows before. */
  | 'whole';

/** How a plan may take over: as its new aggregates begin, or when all that they begin is whole, counted from now on. */
export type Start = Beginning | 'when-warm';

export function transition(current: InForce, next: Plan, at: Moment, beginning: Beginning): Transition {
  const pairs = pairsOf(current.plan, next);
  const result: Transition = {
    ...{ members: new Map(), added: [], redefined: [], removed: [], renamed: [], extended: [] },
    ...{ kept: 0, refusals: [] },
  };
  const left = new Set(current.plan.aggregates.map(({ name }) => name));
  const leaving = new Set<string>();
  for (const aggregate of next.aggregates) {
    const before = pairs.get(aggregate);
    const sides = before && sidesOf(before, aggregate, current, next);
    if (sides && leaveTooSoon(sides, current)) leaving.add(aggregate.name);
    if (sides && !leaving.has(aggregate.name) && goesOn(sides, beginning)) {
      keep(result, sides, at);
      left.delete(sides.before.name);
    } else begin(result, aggregate, current, at, beginning);
  }
  for (const { name } of next.aggregates) left.delete(name);
  result.removed = [...left];
  result.refusals.push(...keepLastRows(result, current, next, at, beginning));
  if (beginning === 'warm') result.refusals.push(...refused(result, next, leaving));
  if (beginning === 'whole' && at.position > 0) result.refusals.push(...refuseUncountable(result, next));
  result.refusals.push(...tooManyWindows(result, next));
  return result;
}

// --- 1. pair

/**
 * The aggregate of the plan in force whose rows each of the next one's takes. Under another name it is one that nothing
 * in the next plan is called like; of several that mean the same, which hold the same, the one that its set calls alike.
 */
export function pairsOf(current: Plan, next: Plan): Map<Aggregate, Aggregate> {
  const hashes = new Map(current.aggregates.map(aggregate => [aggregate.name, stateHash(aggregate, current)]));
  const pairs = new Map<Aggregate, Aggregate>();
  const left = new Set(current.aggregates);
  const unpaired: Aggregate[] = [];
  for (const aggregate of next.aggregates) {
    const before = current.aggregates.find(({ name }) => name === aggregate.name);
    if (before && hashes.get(before.name) === stateHash(aggregate, next)) {
      pairs.set(aggregate, before);
      left.delete(before);
    } else unpaired.push(aggregate);
  }
  for (const aggregate of unpaired) {
    const hash = stateHash(aggregate, next);
    const alike = [...left].filter(({ name }) => hashes.get(name) === hash);
    const before = alike.find(({ name }) => ownName(name) === ownName(aggregate.name)) ?? alike[0];
    if (!before) continue;
    pairs.set(aggregate, before);
    left.delete(before);
  }
  return pairs;
}

/** `set:name` without the set. */
function ownName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

// --- 2. keep

/** An aggregate that is in both plans. */
interface Sides {
  before: Aggregate;
  after: Aggregate;
  member: Member;
  /** By length. */
  levelsBefore: Map<number, KeptLevel>;
  levelsAfter: KeptLevel[];
}

function sidesOf(before: Aggregate, after: Aggregate, { plan, members }: InForce, next: Plan): Sides {
  const levelsBefore = new Map(keptLevels(before, plan).map(level => [level.levelMs, level]));
  return { before, after, member: members.get(before.name)!, levelsBefore, levelsAfter: keptLevels(after, next) };
}

/** Not where tiles are wanted that are not there and are to be, nor where its old lifetime would be taken for another one. */
function goesOn(sides: Sides, beginning: Beginning): boolean {
  const { member, levelsBefore, levelsAfter } = sides;
  const beginsLifetime = levelsAfter.some(isLifetime) && !levelsBefore.has(LIFETIME_LEVEL_MS);
  if (beginsLifetime && member.known.hasOldLifetime) return false;
  return beginning !== 'whole' || (isWhole(member.known) && !isExtended(sides));
}

/** Rows that are there will be gone before the next plan stops reading them. */
function leaveTooSoon({ levelsBefore, levelsAfter }: Sides, { rowsLastMs }: InForce): boolean {
  return levelsAfter.some(({ levelMs, ttlMs }) => {
    const [wasMs, lastMs] = [levelsBefore.get(levelMs)?.ttlMs, rowsLastMs?.get(levelMs)];
    return wasMs !== undefined && lastMs !== undefined && ttlMs > wasMs && ttlMs > lastMs;
  });
}

/** Does it want tiles that were not kept, or for longer? */
function isExtended({ levelsBefore, levelsAfter }: Sides): boolean {
  return levelsAfter.some(({ levelMs, ttlMs }) => ttlMs > (levelsBefore.get(levelMs)?.ttlMs ?? 0));
}

function isLifetime({ levelMs }: KeptLevel): boolean {
  return levelMs === LIFETIME_LEVEL_MS;
}

function keep(result: Transition, sides: Sides, at: Moment): void {
  const { before, after, member, levelsBefore, levelsAfter } = sides;
  const { id, known } = member;
  const levels = levelsAfter.flatMap(level => levelKnown(sides, level, at) ?? []);
  const losesLifetime = levelsBefore.has(LIFETIME_LEVEL_MS) && !levelsAfter.some(isLifetime);
  const hasOldLifetime = known.hasOldLifetime || losesLifetime;
  result.members.set(after.name, { id, known: { ...known, levels, hasOldLifetime } });
  if (before.name !== after.name) result.renamed.push({ from: before.name, to: after.name });
  if (isExtended(sides)) result.extended.push(after.name);
  result.kept++;
}

/** What of a level is whole, where that is not all. */
function levelKnown({ after, member, levelsBefore }: Sides, level: KeptLevel, at: Moment): KnownLevel | null {
  const { levelMs } = level;
  const { known } = member;
  const was = levelsBefore.get(levelMs);
  if (!was) {
    const sinceMicros = newSince(after, levelMs, at);
    return sinceMicros === null ? null : { levelMs, position: at.position, sinceMicros };
  }
  const knew = known.levels.find(one => one.levelMs === levelMs) ?? null;
  const since = longerSince(was, level, after, at);
  if (since === null || (knew && knew.sinceMicros > since)) return knew;
  return { levelMs, position: knew?.position ?? known.position, sinceMicros: since };
}

/** Tiles that were over by then are not whole: they have gone, or no longer took events. Null where none are missing. */
function longerSince(
  was: KeptLevel,
  { levelMs, ttlMs }: KeptLevel,
  { event, tiles }: Aggregate,
  at: Moment,
): bigint | null {
  const clock = at.clocks.get(event);
  if (ttlMs <= was.ttlMs || !clock) return null;
  const overMs = Number(floorDiv(clock.at, MICROS_PER_MS)) - was.ttlMs;
  return BigInt(floorTile(overMs, levelMs, tiles.offsetMs) + levelMs) * MICROS_PER_MS;
}

/** Tiles of a level that was not kept are whole from the first that begins later than all events before. */
function newSince({ event, tiles }: Aggregate, levelMs: number, at: Moment): bigint | null {
  const since = sinceOf(event, at, true);
  if (since === null || levelMs === LIFETIME_LEVEL_MS) return since;
  return BigInt(ceilTile(since, levelMs, tiles.offsetMs)) * MICROS_PER_MS;
}

// --- 3. add

function begin(result: Transition, aggregate: Aggregate, { plan, members }: InForce, at: Moment, beginning: Beginning) {
  const { name, event } = aggregate;
  const isDeclared = plan.events.some(one => one.name === event);
  const sinceMicros = beginning === 'whole' ? null : sinceOf(event, at, isDeclared);
  const known = sinceMicros === null ? ALL_KNOWN : { ...ALL_KNOWN, position: at.position, sinceMicros };
  result.members.set(name, { id: null, known });
  result[members.has(name) ? 'redefined' : 'added'].push(name);
}

/** What earlier records said of rows has to be known, or new ones would take back what was never added. */
function keepLastRows(
  { members }: Transition,
  current: InForce,
  next: Plan,
  at: Moment,
  beginning: Beginning,
): Fault[] {
  const hashes = new Map(lastRowsOf(current.plan).map(one => [one.name, lastRowsHash(one)]));
  return lastRowsOf(next).flatMap(one => {
    const { name, event } = one;
    // What is computed from the log goes through the rows from the beginning, and these are at its end.
    const isComputed =
      beginning === 'whole' &&
      next.aggregates.some(each => each.event === event.name && members.get(each.name)!.id === null);
    const isKept = hashes.get(name) === lastRowsHash(one) && !isComputed;
    members.set(name, isKept ? current.members.get(name)! : { id: null, known: ALL_KNOWN });
    if (isKept || beginning === 'whole' || at.position === 0) return [];
    const message = `${event.name} says only what a row is now, and what its rows were before is in the log: --backfill reads it from there`;
    return [new Fault('conflict', message, event.at)];
  });
}

/**
 * Later than every event of a type before the position, so that from then on all are known; null where there were none.
 * Of a type that the plan in force does not declare no clock is known: it is later than the log's now.
 */
function sinceOf(event: string, { position, clocks, nowMicros, aheadMs }: Moment, isDeclared: boolean): bigint | null {
  const latest = isDeclared ? (clocks.get(event)?.at ?? null) : nowMicros;
  if (position === 0 || latest === null) return null;
  return latest + BigInt(aheadMs) * MICROS_PER_MS + 1n;
}

/**
 * A plan of some aggregates alone, which keeps the tiles that all of it would keep of them. Nothing else can be read by it: of
 * events it has what these count by.
 */
export function planOnly(plan: Plan, names: Set<string>): Plan {
  const aggregates = plan.aggregates.filter(({ name }) => names.has(name));
  const features = aggregates.flatMap(({ name, entity, type }) =>
    readsOf(name, plan).map(({ window }, i): Feature => {
      const read = { aggregate: name, window, keys: null, after: null, exclusive: false };
      const expression: Expression = { kind: 'read', type, read, at: null };
      return { name: `${name}@${i}`, set: name, entity: entity!, expression, description: '', at: null };
    }),
  );
  const events = plan.events.map(({ features: _answered, ...event }) => {
    const needed = columnsUnder(aggregates, event);
    return { ...event, columns: event.columns.filter(column => needed.has(column)) };
  });
  return { ...plan, events, aggregates, features, sets: [] };
}

/** What the expressions of an event's aggregates are computed from. */
function columnsUnder(aggregates: Aggregate[], event: EventType): Set<EventType['columns'][number]> {
  const found = new Set<EventType['columns'][number]>();
  const visit = (expression: Expression): void =>
    walk(expression, node => {
      const column = node.kind === 'column' && event.columns.find(({ name }) => name === node.name);
      if (!column || found.has(column)) return;
      found.add(column);
      visit(column.expression);
    });
  for (const one of aggregates) if (one.event === event.name) aggregateExpressions(one).forEach(visit);
  if (event.weight) visit(event.weight);
  return found;
}

// --- 4. refuse

const WAYS =
  '--backfill computes it from the log before it answers, --since-now lets it answer at once, WARMING, with what comes from now on';
const WAIT = '--when-warm lets the old one answer until its windows are whole';

/**
 * What is added and never warms up, and what would change its meaning under a name that stays.
 *
 * @param leaving names of those that are not redefined, and whose rows would be gone too soon
 */
function refused(result: Transition, next: Plan, leaving: Set<string>): Fault[] {
  const refusals: Fault[] = [];
  const aggregateOf = (name: string) => next.aggregates.find(one => one.name === name)!;
  for (const name of result.redefined) {
    const what = leaving.has(name)
      ? `${name} wants tiles for longer than the database keeps those that it has, and so counts anew`
      : `${name} is redefined, and its rows are of the old definition`;
    if (result.members.get(name)!.known.sinceMicros !== null)
      refusals.push(refusal(`${what}: ${WAYS}, ${WAIT}`, aggregateOf(name)));
  }
  return [...refusals, ...neverWhole([...result.added, ...result.extended], result, next)];
}

/** Of aggregates that begin, those that would not be whole however long they wait: lifetimes. */
export function neverWhole(names: string[], { members }: Transition, next: Plan): Fault[] {
  return names.flatMap(name => {
    if (!lacksLifetime(members.get(name)!.known)) return [];
    if (!readsOf(name, next).some(({ window }) => window.kind === 'lifetime')) return [];
    const message = `${name} is new, and has a lifetime, which would count from now on only: ${WAYS}`;
    return [refusal(message, next.aggregates.find(one => one.name === name)!)];
  });
}

/** Alone it is computed from the log, without what those that go on have been as of each of its events. */
function refuseUncountable({ added, redefined }: Transition, next: Plan): Fault[] {
  const begun = new Set([...added, ...redefined]);
  return next.aggregates.flatMap(aggregate => {
    const { name, event: writer } = aggregate;
    if (!begun.has(name)) return [];
    const event = next.events.find(one => one.name === writer)!;
    const expressions = [...columnsUnder([aggregate], event)].map(column => column.expression);
    const read = readsIn([...aggregateExpressions(aggregate), ...expressions]).find(other => !begun.has(other));
    if (read === undefined) return [];
    const message = `${name} is new, and counts by ${read}, which goes on: it cannot be computed from the log beside it; --since-now lets it answer at once, with what comes from now on, ${WAIT}`;
    return refusal(message, aggregate);
  });
}

function readsIn(expressions: Expression[]): string[] {
  const names: string[] = [];
  for (const expression of expressions)
    walk(expression, node => {
      if (node.kind === 'read') names.push(node.read.aggregate);
    });
  return names;
}

function refusal(message: string, { at }: Aggregate): Fault {
  return new Fault('conflict', message, at);
}

function lacksLifetime({ sinceMicros, levels }: Known): boolean {
  return sinceMicros !== null || levels.some(({ levelMs }) => levelMs === LIFETIME_LEVEL_MS);
}

/** Windows that know different parts of the log are different ones, and a lookup reads only so many together. */
function tooManyWindows({ members }: Transition, next: Plan): Fault[] {
  return next.entities.flatMap(({ name: entity, at }) => {
    const distinct = new Set<string>();
    for (const aggregate of next.aggregates.filter(one => one.entity === entity))
      for (const { window } of readsOf(aggregate.name, next)) {
        const lacks = windowKnown(members.get(aggregate.name)!.known, window);
        distinct.add(JSON.stringify([window, aggregate.tiles, lacks && [String(lacks.sinceMicros), lacks.floorMs]]));
      }
    if (distinct.size <= WINDOWS_PER_ENTITY_MAX) return [];
    const message = `${entity} would have ${distinct.size} different windows while some are WARMING, and at most ${WINDOWS_PER_ENTITY_MAX} are read together: --backfill, or apply some of the changes later`;
    return [new Fault('too_large', message, at)];
  });
}
