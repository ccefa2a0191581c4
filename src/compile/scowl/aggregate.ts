import { Fault, type Position } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import { formatDuration } from '../../base/time.ts';
import type { Expression, Read, Window } from '../../plan/expression.ts';
import type { Tiles } from '../../plan/plan.ts';
import { BOOL, isScalar, sameType, STRING } from '../../plan/value.ts';
import { EXACT_TILE_MS } from '../../plan/window.ts';
import { HALF_LIVES_KEPT } from '../aggregates.ts';
import { isComputed } from '../bind.ts';
import { coverCountMax, TILES_PER_WINDOW_MAX } from '../set/windows.ts';
import { KEY_COLUMNS_MAX } from '../declare.ts';
import { literal } from '../typing.ts';
import { AGGREGATES, type Given, type ScowlAggregate, type Stored, wantedOf } from './aggregates.ts';
import { bind } from './bind.ts';
import { adapt, type Bound, ERRORS, firstError, made, refuse, type Scope, wantBool } from './bound.ts';
import { UNITS } from './parser.ts';
import { typeText } from './slot.ts';
import type { Desk } from './desk.ts';
import type { CallNode, Clause, KeySpec, Length } from './tree.ts';

/** Where an aggregate is read. */
export interface Reading {
  reader: string;
  scope: Scope;
  scopeOf(writer: string): Scope;
  desk: Desk;
  /** Gives the next aggregate its name. */
  naming(): string;
}

/** Levels of tiles: windows are exact to the millisecond. */
export const LEVELS_MS = [1, 1_000, 60_000, 30 * 60_000, 86_400_000];

const NANOS_PER_MS = 1_000_000n;
const HALF_LIFE_MAX_MS = 36_500 * 86_400_000;

/**
 * `Fn<event>(value by key as name where condition after time last duration)`:
 *
 *   1. clauses   those that the aggregate has, each as it has to be
 *   2. reader    keys and `after`, in the event at hand
 *   3. writers   value, condition and keys, in each event that writes them
 *   4. store     one aggregate of the plan for each that it is made of, and a read of it
 *   5. over      of what was read, one value
 */
export function bindAggregate(node: CallNode, reading: Reading): Bound | null {
  const { scope, desk } = reading;
  const at = scope.place(node.start, node.end);
  const spec = AGGREGATES.get(node.fn.name)!;
  const given = readClauses(node, spec, scope, at);
  const keys = readerKeys(node, scope);
  const after = node.clauses.after && bindAfter(node.clauses.after.value, scope);
  const writers = writersOf(node, spec, reading);
  const written = writers?.map(writer => bindWriter(node, spec, writer, keys, reading)) ?? null;
  if (!given || !keys || (node.clauses.after && !after) || !written || written.includes(null)) return null;
  const sides = written as WriterSide[];
  if (!sameSides(sides, node, scope)) return null;
  const how = { ...given, isSeveral: sides.length > 1 };
  const reads = sides.map(side => storeSide(side, spec, how, keys, after, reading, at));
  const parts = reads[0]!.map((_, i) => reads.map(ofWriter => ofWriter[i]!));
  const value = spec.over ? spec.over(parts, at) : parts[0]![0]!;
  const overflow = sides.length > 1 && value.type.kind === 'int64' ? ERRORS.int : null;
  const args = parts.flat().map(read => ({ value: read, error: faultOf(read) }));
  const { error } = made(value, args, overflow, at);
  return { value, error: firstError([...keys.map(key => key.error), after?.error ?? null, error], at) };

  function faultOf(read: Expression): Expression {
    desk.reads.push((read as Expression & { kind: 'read' }).read);
    return { kind: 'fault', of: read as Expression & { kind: 'read' }, type: STRING, at };
  }
}

interface Settings {
  window: Window;
  tiles: Tiles;
  limit: number;
  halfLifeMs: number;
  exclusive: boolean;
}

function readClauses(node: CallNode, spec: ScowlAggregate, scope: Scope, at: Position): Settings | null {
  const { after, last, limit, exclusive } = node.clauses;
  const before = scope.faults.length;
  const place = ({ start, end }: { start: number; end: number }) => scope.place(start, end);
  const most = spec.value === 'wanted' ? 'one value' : 'one value or none';
  if (node.args.length > 1 || (node.args.length === 0 && spec.value === 'wanted'))
    refuse(`${spec.name} is of ${most}, got ${node.args.length}`, at, scope);
  if (after && spec.isApproximate) refuse(`after clause is not supported by ${spec.name}`, at, scope);
  else if (after && !last)
    refuse('after wants last: say how far back it may reach, like last 30 days', place(after), scope);
  if (spec.last === 'halfLife' && !last)
    refuse(`${spec.name} wants last: the time in which what it counts halves, like last 1 day`, at, scope);
  const lengthMs = last && lengthOf(last, spec, scope);
  if (limit && !spec.limit) refuse(`limit clause is not supported by ${spec.name}`, place(limit), scope);
  if (!limit && spec.limit?.isWanted) refuse(`${spec.name} wants limit: ${spec.limit.means}`, at, scope);
  const kept = limit ? Number(limit.value) : (spec.limit?.byDefault ?? 0);
  if (limit && spec.limit && (kept < 1 || kept > spec.limit.max))
    refuse(
      `limit of ${spec.name} is a whole number from 1 to ${spec.limit.max}, got ${limit.value}`,
      place(limit),
      scope,
    );
  if (scope.faults.length > before) return null;
  const decays = spec.last === 'halfLife';
  const windowMs = decays ? HALF_LIVES_KEPT * lengthMs! : lengthMs;
  const window: Window =
    windowMs === null ? { kind: 'lifetime' } : { kind: 'exact', lengthMs: windowMs, resolutionMs: EXACT_TILE_MS };
  // What decays is counted from the start of a tile, which has to be within reach.
  const levelsMs = decays ? LEVELS_MS.filter(levelMs => levelMs <= windowMs!) : LEVELS_MS;
  return {
    ...{ window, tiles: { levelsMs, offsetMs: 0 }, limit: kept, halfLifeMs: lengthMs ?? 0 },
    exclusive: exclusive !== null,
  };
}

/** In milliseconds; null where it is faulty. */
function lengthOf(clause: Clause<Length>, spec: ScowlAggregate, scope: Scope): number | null {
  const { nanos, unit } = clause.value;
  const at = scope.place(clause.start, clause.end);
  if (nanos === null) {
    const hint =
      didYouMean(unit.name, [...UNITS, ...UNITS.map(name => `${name}s`)]) || `; units are ${UNITS.join(', ')}`;
    return refuse(`unknown unit "${unit.name}"${hint}`, scope.place(unit.start, unit.end), scope);
  }
  if (nanos <= 0n || nanos % NANOS_PER_MS !== 0n)
    return refuse('last wants a whole number of milliseconds, at least one', at, scope);
  const lengthMs = Number(nanos / NANOS_PER_MS);
  if (spec.last === 'halfLife') {
    if (lengthMs <= HALF_LIFE_MAX_MS) return lengthMs;
    return refuse(`${spec.name} halves in at most ${formatDuration(HALF_LIFE_MAX_MS)}`, at, scope);
  }
  if (coverCountMax(lengthMs, EXACT_TILE_MS, LEVELS_MS, true) <= TILES_PER_WINDOW_MAX) return lengthMs;
  const daysMax = TILES_PER_WINDOW_MAX - coverCountMax(0, EXACT_TILE_MS, LEVELS_MS, false) * 2;
  const message = `last reaches too far: at most ${daysMax} days are read; without last it is all that there ever was`;
  scope.faults.push(new Fault('too_large', message, at));
  return null;
}

/** Without `by` there is one key, which all events have. */
function readerKeys(node: CallNode, scope: Scope): Bound[] | null {
  const at = scope.place(node.start, node.end);
  const { by } = node.clauses;
  if (!by) return [{ value: literal(true, BOOL, at), error: null }];
  if (by.length > KEY_COLUMNS_MAX)
    return refuse(`by has ${by.length} keys, and at most ${KEY_COLUMNS_MAX} are read`, at, scope);
  const keys = by.map(key => bindKey(key, scope));
  return keys.includes(null) ? null : (keys as Bound[]);
}

function bindKey(key: KeySpec, scope: Scope): Bound | null {
  const bound = bind(key.of, scope);
  if (!bound) return null;
  const { type } = bound.value;
  if (isScalar(type) && type.kind !== 'double') return bound;
  const hint = type.kind === 'double' ? ': take Int of it' : '';
  const message = `a key is bool, int, string or time, got ${typeText(type)}${hint}`;
  return refuse(message, scope.place(key.start, key.end), scope);
}

function bindAfter(node: NonNullable<CallNode['clauses']['after']>['value'], scope: Scope): Bound | null {
  const bound = bind(node, scope);
  const value = bound && adapt(bound.value, { kind: 'time' }, scope);
  if (!bound || !value) return null;
  if (value.type.kind === 'time') return { ...bound, value };
  return refuse(`after wants a time, got ${typeText(value.type)}`, scope.place(node.start, node.end), scope);
}

function writersOf(node: CallNode, spec: ScowlAggregate, { reader, scope, desk }: Reading): string[] | null {
  if (!node.events) return [reader];
  const known = [...desk.topics.keys(), ...desk.declared.events.keys()];
  const before = scope.faults.length;
  for (const { name, start, end } of node.events)
    if (!known.includes(name))
      refuse(`unknown event "${name}"${didYouMean(name, known)}`, scope.place(start, end), scope);
  const names = node.events.map(({ name }) => name);
  const twin = node.events.find(({ name }, i) => names.indexOf(name) < i);
  if (twin) refuse(`event ${twin.name} is there twice`, scope.place(twin.start, twin.end), scope);
  if (names.length > 1 && !spec.over) {
    const message = `${spec.name} of several events is not supported: write one for each`;
    scope.faults.push(new Fault('unsupported', message, scope.place(node.start, node.end)));
  }
  return scope.faults.length > before ? null : names;
}

/** What an event writes. */
interface WriterSide {
  event: string;
  value: Expression | null;
  where: Expression | null;
  keys: Expression[];
  /** As far as they are plain names. */
  keyNames: string[] | null;
}

function bindWriter(
  node: CallNode,
  spec: ScowlAggregate,
  event: string,
  readerKeys: Bound[] | null,
  reading: Reading,
): WriterSide | null {
  const { reader, desk } = reading;
  const scope = event === reader ? reading.scope : reading.scopeOf(event);
  const { by, where } = node.clauses;
  if (!desk.topics.has(event) && desk.declared.events.get(event) === null) return null;
  const value = node.args[0] ? bind(node.args[0], scope) : null;
  const condition = where && bind(where.value, scope);
  const isTrue = where && condition && wantBool(condition, where.value, 'where', scope);
  const keys = by?.map((key, i) => {
    if (key.as) return scope.name({ kind: 'name', ...key.as });
    return event === reader ? (readerKeys?.[i] ?? null) : bindKey(key, scope);
  });
  if ((node.args[0] && !value) || (where && !isTrue) || keys?.includes(null)) return null;
  const wanted = value && wantedOf(spec, value.value.type);
  if (wanted) {
    const { start, end } = node.args[0]!;
    const message = `${spec.name} wants ${wanted}, got ${typeText(value.value.type)}`;
    return refuse(message, scope.place(start, end), scope);
  }
  const at = scope.place(node.start, node.end);
  const own = (keys as Bound[] | undefined)?.map(key => key.value) ?? [literal(true, BOOL, at)];
  const { faults } = scope;
  const all = [...own, ...(value ? [value.value] : []), ...(isTrue ? [isTrue.value] : [])];
  if (!all.every(each => isComputed(each, at, faults))) return null;
  if (readerKeys && !sameKeys(own, readerKeys, by ?? [], event, reading)) return null;
  const named = (by ?? []).map(key => key.as?.name ?? (key.of.kind === 'name' ? key.of.name : null));
  const keyNames = named.includes(null) || named.length === 0 ? null : (named as string[]);
  return { event, value: value?.value ?? null, where: isTrue?.value ?? null, keys: own, keyNames };
}

function sameKeys(own: Expression[], readers: Bound[], by: KeySpec[], event: string, reading: Reading): boolean {
  const odd = own.findIndex(({ type }, i) => type.kind !== readers[i]!.value.type.kind);
  if (odd < 0) return true;
  const { scope, reader } = reading;
  const [mine, theirs] = [readers[odd]!.value, own[odd]!].map(({ type }) => typeText(type));
  const { start, end } = by[odd]!;
  refuse(`the key is ${mine} in ${reader} and ${theirs} in ${event}`, scope.place(start, end), scope);
  return false;
}

/** Several events write values of one type. */
function sameSides(sides: WriterSide[], node: CallNode, scope: Scope): boolean {
  const [first, ...others] = sides;
  const odd = others.find(({ value }) => value && !sameType(value.type, first!.value!.type));
  if (!odd) return true;
  const [a, b] = [first!, odd].map(side => `${typeText(side.value!.type)} in ${side.event}`);
  const { start, end } = node.args[0]!;
  refuse(`the value is ${a} and ${b}`, scope.place(start, end), scope);
  return false;
}

function storeSide(
  side: WriterSide,
  spec: ScowlAggregate,
  settings: Settings & { isSeveral: boolean },
  keys: Bound[],
  after: Bound | null,
  { desk, naming }: Reading,
  at: Position,
): Expression[] {
  const { limit, halfLifeMs, tiles, window, exclusive, isSeveral } = settings;
  const given: Given = { at, limit, halfLifeMs, isSeveral };
  return spec.store(side.value, given).map((stored: Stored) => {
    const name = naming();
    const { event, where } = side;
    desk.aggregates.push({
      aggregate: { name, event, entity: null, keys: side.keys, where, ...stored, tiles, at },
      keyNames: side.keyNames ? [side.keyNames] : [],
    });
    const read: Read = {
      ...{ aggregate: name, window, exclusive, after: after?.value ?? null },
      keys: keys.map(key => key.value),
    };
    return { kind: 'read', read, type: stored.type, at };
  });
}
