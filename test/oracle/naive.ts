/**
 * The oracle: what a feature's value is, with no tiles and no state. Every fast path is judged by it.
 *
 *     A value is a function of (log prefix up to position p, read time t).
 *
 *   value(feature, key, p, t)
 *     1. counted   the events that the aggregate counts at all: good, `where` true, no key null; by key
 *     2. asked     of those, the key asked for, records 0..p, inside the window as of t
 *     3. finish    one fold over them, from the beginning, for each question
 *
 * Step 1 asks nothing about p, t or windows, so it is done once for each aggregate and log and kept; step 2 and 3 are
 * done afresh each time. It holds the whole log in memory and shares no code with src, only the types of the plan.
 * Where p appears it is a position that the prefix includes; -1 is the empty prefix. Times are microseconds.
 *
 * Decided here, where nothing else says: a null `after` and a null key read null; an event whose weight is null
 * counts nowhere; lateness holds for exact windows as for sliding ones, which are exact to the millisecond, and no tile expires under them.
 */
import type { Expression, Read, Window } from '../../src/plan/expression.ts';
import type { Known } from '../../src/plan/known.ts';
import type { Aggregate, AggregateFunction, EventType, Plan } from '../../src/plan/plan.ts';
import type { Field, Value } from '../../src/plan/value.ts';
import { approximateCount } from './hyperloglog.ts';
import type { Log, LogRecord, LogRow } from './log.ts';
import { compareReals, decayed, exactQuotient, exactVariance, int64, roundedQuotient } from './number.ts';
import { bucketMiddle } from './sketch.ts';
import { compare, evaluate, type Scope } from './terms.ts';

/** Gravest last. */
const STATUSES = [null, 'WARMING', 'NOT_FOUND', 'EXPIRED', 'OVERFLOW'] as const;
export type Status = (typeof STATUSES)[number];

export interface Answer {
  value: Value;
  status: Status;
}

/** Of aggregates that came later than the first record, by name, what was recorded of them when they came. */
export type Recorded = Map<string, Known>;

/** A feature (`set:name`) of the entity with these keys, read at t over records 0..p. */
export function value(
  plan: Plan,
  log: Log,
  feature: string,
  key: Value[],
  p: number,
  t: bigint,
  recorded: Recorded = new Map(),
): Answer {
  const readAnswer = (read: Read) => answer(plan, log, read, key, { p, t, after: null, without: null }, recorded);
  const columnAnswer = once((name: string) => answerOf(named(plan.features, name).expression));
  const scope: Scope = { now: t, column: name => columnAnswer(name).value, read: read => readAnswer(read).value };
  const answerOf = (of: Expression): Answer => {
    if (of.kind === 'read') return readAnswer(of.read);
    if (of.kind === 'call' && of.fn === 'list') return seriesOf(of.args.map(answerOf));
    const derived = evaluate(of, scope);
    const beneath = leaves(of).map(leaf =>
      leaf.kind === 'read' ? readAnswer(leaf.read).status : columnAnswer(leaf.name).status,
    );
    if (derived !== null) return { value: derived, status: beneath.includes('WARMING') ? 'WARMING' : null };
    return { value: null, status: gravest(beneath) };
  };
  return columnAnswer(feature);
}

/** Asked twice, it answers what it answered: what several others are made of is made once, however they are woven. */
function once<T>(answerOf: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>();
  return name => {
    if (!known.has(name)) known.set(name, answerOf(name));
    return known.get(name)!;
  };
}

/** A window without events is a part of any series; one of nothing but such windows says so. */
function seriesOf(elements: Answer[]): Answer {
  const statuses = elements.map(element => element.status);
  if (statuses.every(status => status === 'EXPIRED')) return { value: null, status: 'EXPIRED' };
  const value = elements.map(element => element.value);
  if (statuses.every(status => status === 'NOT_FOUND')) return { value, status: 'NOT_FOUND' };
  return { value, status: gravest(statuses.filter(status => status !== 'NOT_FOUND')) };
}

function gravest(statuses: Status[]): Status {
  return STATUSES.findLast(status => statuses.includes(status)) ?? null;
}

/** The log's now at p. */
export function now(log: Log, p: number): bigint {
  return p < 0 ? 0n : log.records[p]!.now;
}

/** Every column of the event at p, inputs and computed ones, as of that event; null where there is no good event. */
export function eventRow(plan: Plan, log: Log, p: number): { [column: string]: Value } | null {
  const record = log.records[p]!;
  const row = record.rows.at(-1);
  if (record.bad !== null || !row) return null;
  const event = named(plan.events, record.type);
  const scope = eventScope(plan, log, event, record, row);
  const names = [...event.inputs, ...event.columns].map(column => column.name);
  return Object.fromEntries(names.map(name => [name, scope.column(name)]));
}

/** What went wrong where the features of the event at p were made, by name; null where there is no good event. */
export function eventErrors(plan: Plan, log: Log, p: number): { [feature: string]: string } | null {
  const record = log.records[p]!;
  const row = record.rows.at(-1);
  if (record.bad !== null || !row) return null;
  const event = named(plan.events, record.type);
  const scope = eventScope(plan, log, event, record, row);
  const errors = (event.features ?? []).map(({ column, error }) => [column, error && evaluate(error, scope)]);
  return Object.fromEntries(errors.filter(([, error]) => error !== null));
}

/** What an event's expressions see: its inputs, its other columns, and aggregates as of (its position, its time). */
function eventScope(plan: Plan, log: Log, event: EventType, record: LogRecord, row: LogRow): Scope {
  const scope: Scope = {
    column: once(name => {
      const column = event.columns.find(c => c.name === name);
      if (column) return evaluate(column.expression, scope);
      if (name === '_time' && !event.inputs.some(input => input.name === name)) return row.time;
      if (!Object.hasOwn(row.inputs, name)) throw new Error(`event ${event.name} has no column ${name}`);
      return row.inputs[name]!;
    }),
    read: read => readBy(read).value,
    fault(of) {
      if (of.kind === 'read') return WRONG_READS[readBy(of.read).status ?? ''] ?? null;
      return faultOf(record, event.inputs.find(one => one.name === of.name)!);
    },
  };
  const readBy = (read: Read): Answer => {
    const after = read.after && evaluate(read.after, scope);
    if (read.after && after === null) return { value: null, status: null };
    const key = read.keys!.map(k => evaluate(k, scope));
    const without = read.exclusive ? record.position : null;
    return answer(plan, log, read, key, { p: record.position, t: record.time, after: after as bigint, without });
  };
  return scope;
}

/** Statuses of reads that are errors of the event that reads. */
const WRONG_READS: Record<string, string> = { OVERFLOW: 'overflow', EXPIRED: 'expired' };

/** The first fault of an input, or of what is nested in it, which is named then. */
function faultOf({ faults }: LogRecord, { name, path }: Field): string | null {
  const found = faults.find(fault => fault.input === name);
  return found ? (found.path === path.join('.') ? found.text : `${found.path}: ${found.text}`) : null;
}

interface AsOf {
  p: number;
  t: bigint;
  /** Only events strictly later than this count. */
  after: bigint | null;
  /** A position left out. */
  without: number | null;
}

/** One aggregate over one window, for one key. */
function answer(plan: Plan, log: Log, read: Read, key: Value[], asOf: AsOf, recorded: Recorded = new Map()): Answer {
  if (key.includes(null)) return { value: null, status: 'NOT_FOUND' };
  const { window } = read;
  const aggregate = named(plan.aggregates, read.aggregate);
  const { clock, since } = clockAt(log, aggregate.event, asOf.p);
  const tooLate = clock !== null && asOf.t < clock - micros(plan.latenessMs);
  if (tooLate && window.kind !== 'lifetime') return { value: null, status: 'EXPIRED' };
  const { byKey, ttls } = prepare(plan, log, aggregate);
  const holds = windowTest(aggregate, window, ttls, asOf.t);
  const later = laterOf(recorded.get(aggregate.name), window);
  const asked: Counted[] = [];
  for (const event of byKey.get(keyText(key)) ?? []) {
    if (event.position > asOf.p) break;
    if (event.position === asOf.without || (asOf.after !== null && event.time <= asOf.after)) continue;
    if (event.position < later.position || event.time < later.from) continue;
    if (holds(event)) asked.push(event);
  }
  const finished = finish(aggregate, asked, asOf.t);
  if (asked.length === 0) return { value: finished.value, status: 'NOT_FOUND' };
  const isLater =
    later.since !== null && (window.kind === 'lifetime' || boundsOf(aggregate, window, asOf.t).from < later.since);
  if (finished.status === null && (isLater || warms(aggregate, window, since, asOf.t)))
    return { ...finished, status: 'WARMING' };
  return finished;
}

/**
 * What a window lacks whose aggregate came later, or some tiles of it: the first record and the first moment that count, and since when all
 * is there.
 */
function laterOf(known: Known | undefined, window: Window): { position: number; from: bigint; since: bigint | null } {
  if (!known) return { position: 0, from: -(2n ** 63n), since: null };
  const isRead = (levelMs: number) =>
    window.kind === 'lifetime' ? levelMs === 0 : window.kind !== 'exact' && levelMs >= window.resolutionMs;
  let { position, sinceMicros: since } = known;
  let from = -(2n ** 63n);
  for (const level of known.levels) {
    if (!isRead(level.levelMs)) continue;
    if (since === null || level.sinceMicros > since) since = level.sinceMicros;
    if (window.kind === 'lifetime') position = Math.max(position, level.position);
    else if (level.sinceMicros > from) from = level.sinceMicros;
  }
  return { position, from, since };
}

/** The clock of an event type over records 0..p, and what it showed first; null before its first. */
function clockAt(log: Log, type: string, p: number): { clock: bigint | null; since: bigint | null } {
  for (let q = p; q >= 0; q--) if (log.records[q]!.type === type) return log.records[q]!;
  return { clock: null, since: null };
}

/** Does the window reach back to where nothing of the event type is known? */
function warms(aggregate: Aggregate, window: Window, since: bigint | null, t: bigint): boolean {
  if (window.kind === 'lifetime' || since === null) return false;
  return boundsOf(aggregate, window, t).from < since;
}

interface Bounds {
  from: bigint;
  /** Events of this time and later are out; null where the prefix is the only end. */
  to: bigint | null;
}

function boundsOf({ tiles }: Aggregate, window: Exclude<Window, { kind: 'lifetime' }>, t: bigint): Bounds {
  const length = micros(window.lengthMs);
  const floor = (time: bigint, stepMs: number) => floorTo(time, micros(stepMs), micros(tiles.offsetMs));
  switch (window.kind) {
    case 'exact':
      return { from: floorTo(t, 1000n, 0n) - length, to: floorTo(t, 1000n, 0n) + 1000n };
    case 'sliding':
      return { from: floor(t - length, window.resolutionMs), to: null };
    case 'offset': {
      const end = t - micros(window.agoMs);
      return { from: floor(end - length, window.resolutionMs), to: floor(end, window.resolutionMs) };
    }
    case 'hopping': {
      const end = floor(t - micros(window.agoMs), window.everyMs);
      return { from: end - length, to: end };
    }
  }
}

/** Is an event of the prefix inside the window as of t? */
function windowTest(aggregate: Aggregate, window: Window, ttls: Map<number, bigint>, t: bigint) {
  if (window.kind === 'lifetime') return () => true;
  const { from, to } = boundsOf(aggregate, window, t);
  const isInside = ({ time }: Counted) => from <= time && (to === null || time < to);
  if (window.kind === 'exact') return isInside;
  const ttl = ttls.get(window.resolutionMs)!;
  const tileStart = (time: bigint) => floorTo(time, micros(window.resolutionMs), micros(aggregate.tiles.offsetMs));
  // An event whose tile its type's clock had already left behind was dropped.
  return (event: Counted) => isInside(event) && event.clock < tileStart(event.time) + ttl;
}

/** Longer texts are not kept, but where there is one value alone: the first or the last. */
const TEXT_MAX_BYTES = 1024;

function finish(aggregate: Aggregate, asked: Counted[], t: bigint): Answer {
  const { fn } = aggregate;
  const present = asked.filter(event => event.value !== null);
  const weights = present.reduce((sum, { weight }) => sum + weight, 0n);
  const total = () => present.reduce((sum, { weight, value }) => sum + weight * (value as bigint), 0n);
  const best = (beats: (a: Counted, b: Counted) => boolean) =>
    present.reduce<Counted | null>((a, b) => (a === null || beats(b, a) ? b : a), null)?.value ?? null;
  switch (fn.name) {
    case 'count':
      return good(weights);
    case 'sum': {
      if (fn.args[0]!.type.kind === 'double') return realQuotient(present, 1n);
      const sum = int64(total());
      return sum === null ? { value: null, status: 'OVERFLOW' } : good(sum);
    }
    case 'avg':
      if (weights === 0n) return good(null);
      if (fn.args[0]!.type.kind === 'double') return realQuotient(present, weights);
      return good(roundedQuotient(total(), weights));
    case 'varPop':
    case 'varSamp':
    case 'stddevPop':
    case 'stddevSamp': {
      const terms = present.map(({ value, weight }) => ({ value: value as number | bigint, weight }));
      const variance = exactVariance(terms, fn.name.endsWith('Samp'));
      if (variance === 'overflow') return { value: null, status: 'OVERFLOW' };
      if (variance === null || fn.name.startsWith('var')) return good(variance);
      return good(variance < 0 ? null : Math.sqrt(variance));
    }
    case 'min':
    case 'max': {
      const sign = fn.name === 'min' ? 1 : -1;
      const ordered = present.map(event => event.value).toSorted((a, b) => sign * order(a, b));
      if (fn.limit !== null) return kept(ordered.slice(0, fn.limit));
      return isTooLong(ordered[0]!) ? OVERFLOW : good(ordered[0] ?? null);
    }
    // Ties of time break by position, and `present` is in the order of positions.
    case 'first':
      return good(best((a, b) => a.time < b.time));
    case 'last':
      return good(best((a, b) => a.time >= b.time));
    case 'lastN':
      return kept(valuesOf(present.toSorted(byMoment).reverse()).slice(0, fn.limit!));
    case 'firstN':
      return kept(valuesOf(present.toSorted(byMoment)).slice(0, fn.limit!));
    case 'lastDistinct':
      return kept(distinct(valuesOf(present.toSorted(byMoment).reverse())).slice(0, fn.limit!));
    case 'list':
      return present.length > fn.limit! ? OVERFLOW : kept(valuesOf(present.toSorted(byMoment)));
    case 'set': {
      const values = distinct(valuesOf(present)).sort(order);
      return values.length > fn.limit! ? OVERFLOW : kept(values);
    }
    case 'argMax':
    case 'argMin': {
      const sign = fn.name === 'argMin' ? 1 : -1;
      const ranked = present
        .filter(event => event.rank !== null)
        .toSorted((a, b) => sign * order(a.rank, b.rank) || byMoment(a, b))
        .slice(0, fn.limit ?? 1);
      if (ranked.some(({ value, rank }) => isTooLong(value) || isTooLong(rank))) return OVERFLOW;
      return good(fn.limit === null ? (ranked[0]?.value ?? null) : valuesOf(ranked));
    }
    case 'approxCountDistinct':
      return good(approximateCount(valuesOf(present), fn.limit!));
    case 'vectorAvg': {
      const vectors = present.filter(({ value }) => {
        const list = value as Value[];
        return list.length === fn.limit && !list.includes(null);
      });
      const count = vectors.reduce((sum, { weight }) => sum + weight, 0n);
      if (count === 0n) return good(null);
      const averages = Array.from({ length: fn.limit! }, (_, i) =>
        realQuotient(
          vectors.map(event => ({ ...event, value: (event.value as Value[])[i]! })),
          count,
        ),
      );
      return averages.some(({ status }) => status !== null) ? OVERFLOW : good(averages.map(({ value }) => value));
    }
    case 'countUnique':
    case 'mode':
    case 'topK':
    case 'valueCounts':
    case 'bucketCounts':
    case 'quantile': {
      const times = timesOf(present);
      const isTooLong = times.some(
        ({ value }) => typeof value === 'string' && Buffer.byteLength(value) > TEXT_MAX_BYTES,
      );
      if (isTooLong || (fn.limit !== null && times.length > fn.limit)) return { value: null, status: 'OVERFLOW' };
      return good(finishTimes(fn, times));
    }
    case 'decayedSum':
    case 'decayedCount': {
      const halfLife = micros(fn.limit!);
      const coarsest = micros(aggregate.tiles.levelsMs.at(-1)!);
      const cut = floorTo(floorTo(t - 64n * halfLife, 1000n, 0n), coarsest, micros(aggregate.tiles.offsetMs));
      const terms = present.filter(({ time }) => time >= cut);
      const sum = decayed(
        terms.map(({ value, time, weight }) => ({ value: Number(value), time, weight })),
        halfLife,
        t,
      );
      return sum === null ? { value: null, status: 'OVERFLOW' } : good(sum);
    }
  }
}

interface Times {
  value: Value;
  times: bigint;
}

/** Each value once, ascending, with the sum of its weights; -0 is 0. */
function timesOf(present: Counted[]): Times[] {
  const net = new Map<string, Times>();
  for (const { value, weight } of present) {
    const plain = value === 0 ? 0 : value;
    const known = net.get(keyText([plain])) ?? { value: plain, times: 0n };
    net.set(keyText([plain]), { value: plain, times: known.times + weight });
  }
  return [...net.values()].sort((a, b) => order(a.value, b.value));
}

function finishTimes({ name, params }: AggregateFunction, all: Times[]): Value {
  const present = all.filter(({ times }) => times > 0n);
  const frequent = present.toSorted((a, b) => Number(b.times - a.times));
  switch (name) {
    case 'countUnique':
      return BigInt(all.filter(({ times }) => times !== 0n).length);
    case 'mode':
      return frequent[0]?.value ?? null;
    case 'topK':
      return frequent.slice(0, params[0]).map(({ value }) => value);
    case 'valueCounts':
      return Object.fromEntries(
        all.filter(({ times }) => times !== 0n).map(({ value, times }) => [String(value), times]),
      );
    case 'bucketCounts':
      return Array.from({ length: params[0]! }, (_, i) => all.find(({ value }) => value === BigInt(i))?.times ?? 0n);
    default: {
      const [accuracy, isList, ...quantiles] = params as [number, number, ...number[]];
      const total = present.reduce((sum, { times }) => sum + times, 0n);
      if (total === 0n) return null;
      const values = quantiles.map(q => {
        const rank = BigInt(Math.floor(q * Number(total - 1n)));
        const upTo = (i: number) => present.slice(0, i + 1).reduce((sum, { times }) => sum + times, 0n);
        const found = present.find((_, i) => upTo(i) > rank)!;
        return bucketMiddle(found.value as bigint, accuracy);
      });
      return isList === 1 ? values : values[0]!;
    }
  }
}

const OVERFLOW: Answer = { value: null, status: 'OVERFLOW' };

function isTooLong(value: Value): boolean {
  return typeof value === 'string' && Buffer.byteLength(value) > TEXT_MAX_BYTES;
}

/** A list, unless there is a text in it that is not kept. */
function kept(values: Value[]): Answer {
  return values.some(isTooLong) ? OVERFLOW : good(values);
}

function valuesOf(events: Counted[]): Value[] {
  return events.map(event => event.value);
}

function byMoment(a: Counted, b: Counted): number {
  return a.time === b.time ? a.position - b.position : a.time < b.time ? -1 : 1;
}

/** Each value where it stands first; -0 is 0, and NaN is itself. */
function distinct(values: Value[]): Value[] {
  return [...new Set(values.map(value => (value === 0 ? 0 : value)))];
}

/** Of doubles, with NaN and the infinities as IEEE 754 would add them; null beyond the largest double. */
function realQuotient(present: Counted[], divisor: bigint): Answer {
  const terms = present.map(({ value, weight }) => ({ value: value as number, weight }));
  const quotient = exactQuotient(terms, divisor);
  return quotient === null ? { value: null, status: 'OVERFLOW' } : good(quotient);
}

function order(a: Value, b: Value): number {
  return typeof a === 'number' && typeof b === 'number' ? compareReals(a, b) : compare(a, b);
}

function good(value: Value): Answer {
  return { value, status: null };
}

/** An event that an aggregate counts. */
interface Counted {
  position: number;
  time: bigint;
  /** Its type's clock when it arrived, itself included. */
  clock: bigint;
  /** The aggregate's argument; true where it has none. */
  value: Value;
  /** What the value is ranked by; null where it is not. */
  rank: Value;
  weight: bigint;
}

interface Prepared {
  /** In the order of positions. */
  byKey: Map<string, Counted[]>;
  /** How long past its start a tile is kept, in microseconds, by tile length in milliseconds. */
  ttls: Map<number, bigint>;
}

const prepared = new WeakMap<Log, Map<Aggregate, Prepared>>();

function prepare(plan: Plan, log: Log, aggregate: Aggregate): Prepared {
  const ofLog = prepared.get(log) ?? new Map<Aggregate, Prepared>();
  prepared.set(log, ofLog);
  const known = ofLog.get(aggregate);
  if (known) return known;
  const ttls = new Map(aggregate.tiles.levelsMs.map(levelMs => [levelMs, tileTtl(plan, aggregate, levelMs)]));
  const made = { byKey: countedByKey(plan, log, aggregate), ttls };
  ofLog.set(aggregate, made);
  return made;
}

export function countedByKey(plan: Plan, log: Log, aggregate: Aggregate): Map<string, Counted[]> {
  const event = named(plan.events, aggregate.event);
  const byKey = new Map<string, Counted[]>();
  const rows = log.records.flatMap(record => record.rows.map(row => ({ record, row })));
  for (const { record, row } of rows) {
    if (record.type !== event.name || record.bad !== null) continue;
    const scope = eventScope(plan, log, event, record, row);
    const key = aggregate.keys.map(k => evaluate(k, scope));
    if (key.includes(null)) continue;
    if (aggregate.where && evaluate(aggregate.where, scope) !== true) continue;
    const weight = row.weight ?? evaluate(event.weight!, scope);
    if (weight === null) continue;
    const [argument, rank] = aggregate.fn.args;
    const counted: Counted = {
      position: record.position,
      time: row.time,
      clock: record.clock!,
      value: argument ? evaluate(argument, scope) : true,
      rank: rank ? evaluate(rank, scope) : null,
      weight: weight as bigint,
    };
    const ofKey = byKey.get(keyText(key));
    if (ofKey) ofKey.push(counted);
    else byKey.set(keyText(key), [counted]);
  }
  return byKey;
}

/** A tile lives for the window that reaches back furthest of those that use its level, and one tile, and the lateness. */
export function tileTtl(plan: Plan, aggregate: Aggregate, levelMs: number): bigint {
  const reaches = readsIn(plan)
    .filter(({ aggregate: name }) => name === aggregate.name)
    .map(({ window }) => {
      // A window uses the level of its resolution and the coarser ones.
      if (window.kind === 'lifetime' || window.kind === 'exact' || window.resolutionMs > levelMs) return 0;
      const ago = window.kind === 'sliding' ? 0 : window.agoMs;
      return window.lengthMs + ago + (window.kind === 'hopping' ? window.everyMs : 0);
    });
  return micros(Math.max(0, ...reaches) + levelMs + plan.latenessMs);
}

/** Every read anywhere in a plan, however deep. */
export function readsIn(node: unknown): Read[] {
  if (typeof node !== 'object' || node === null) return [];
  const below = Object.values(node).flatMap(readsIn);
  return 'kind' in node && node.kind === 'read' ? [(node as Expression & { kind: 'read' }).read, ...below] : below;
}

/** The reads and columns that an expression refers to. */
function leaves(expression: Expression): (Expression & { kind: 'read' | 'column' })[] {
  switch (expression.kind) {
    case 'literal':
    case 'now':
      return [];
    case 'read':
    case 'column':
      return [expression];
    case 'field':
      return leaves(expression.of);
    case 'index':
      return [...leaves(expression.of), ...leaves(expression.by)];
    case 'call':
      return expression.args.flatMap(leaves);
    case 'fault':
      return leaves(expression.of);
  }
}

/** Two keys have the same text where they are the same key. */
function keyText(key: Value[]): string {
  return JSON.stringify(key.map(part => [typeof part, String(part)]));
}

export function floorTo(time: bigint, step: bigint, offset: bigint): bigint {
  const past = (time - offset) % step;
  return time - (past < 0n ? past + step : past);
}

export function micros(ms: number): bigint {
  return BigInt(ms) * 1000n;
}

function named<T extends { name: string }>(list: T[], name: string): T {
  const found = list.find(one => one.name === name);
  if (!found) throw new Error(`the plan has no ${name}`);
  return found;
}
