/**
 * Topologies and logs that a seed decides: events whose columns read what events have written, whose keys, values and
 * conditions are such columns again.
 */
import { Fault } from '../../src/base/fault.ts';
import type { Expression, Window } from '../../src/plan/expression.ts';
import { Layers } from '../../src/plan/layers.ts';
import type { Aggregate, AggregateFunction, EventType, Plan } from '../../src/plan/plan.ts';
import { BOOL, DOUBLE, INT64, REQUIRED, STRING, TIME, type Type } from '../../src/plan/value.ts';
import {
  aggregate,
  call,
  column,
  DAY_MS,
  HOUR_MS,
  LIFETIME,
  literal,
  optional,
  plan,
} from '../oracle/fixtures/spell.ts';
import type { Random } from './random.ts';

const EXACT_TILES = { levelsMs: [1, 1000, 60_000, 1_800_000, DAY_MS], offsetMs: 0 };
const TYPES = ['login', 'payment', 'reset'];

/** A column that later ones may be made of. */
interface Known {
  name: string;
  type: Type;
}

interface Draft {
  plan: Plan;
  rng: Random;
  /** Columns and inputs of each event, those that are there by now. */
  known: Map<string, Known[]>;
  /** With `after` times are whole milliseconds, as it is. */
  hasAfter: boolean;
}

export function randomTopology(rng: Random, columnCount: number): Plan {
  const events = TYPES.slice(0, 1 + rng.below(TYPES.length)).map(name => emptyEvent(name, rng));
  const known = new Map(events.map(({ name, inputs }) => [name, inputs.map(({ name, type }) => ({ name, type }))]));
  const draft: Draft = { plan: plan({ events }), rng, known, hasAfter: hasAfter(rng) };
  for (const event of events) if (event.onFault !== 'reject') addFaults(event);
  for (let i = 0; i < columnCount; i++) addColumn(draft, i);
  for (const event of events)
    event.features = [...event.inputs, ...event.columns].map(({ name }) => ({
      ...{ column: name, description: '', at: null },
      error: errorOf(event, name),
    }));
  return draft.plan;
}

/** Columns that say what is wrong with inputs, but for one that nobody asks about. */
function addFaults({ inputs, columns }: EventType): void {
  for (const { name, type } of inputs.slice(1)) {
    const of: Expression & { kind: 'column' } = { kind: 'column', name, type, at: null };
    columns.push({ name: `${name}_fault`, expression: { kind: 'fault', of, type: STRING, at: null } });
  }
}

/** Of a value that is read or an input, the column that says what is wrong with it. */
function errorOf({ columns }: EventType, name: string): Expression | null {
  return columns.some(one => one.name === `${name}_fault`) ? column(`${name}_fault`, STRING) : null;
}

function hasAfter(rng: Random): boolean {
  return rng.chance(0.6);
}

function emptyEvent(name: string, rng: Random): EventType {
  const inputs = [
    ...[optional('k', STRING), optional('m', STRING), optional('n', INT64), optional('y', DOUBLE)],
    ...[optional('ok', BOOL), optional('since', TIME)],
  ];
  return { name, inputs, columns: [], onFault: rng.pick(['reject', 'null', 'convert']), weight: null, at: null };
}

function addColumn(draft: Draft, index: number): void {
  const { plan, rng } = draft;
  const event = rng.pick(plan.events);
  const name = `c${index}`;
  if (rng.chance(0.3)) {
    push(draft, event, name, randomExpression(draft, event));
    return;
  }
  const expression = randomRead(draft, event, `a${index}`);
  if (!expression) return;
  push(draft, event, name, expression);
  push(draft, event, `${name}_fault`, { kind: 'fault', of: expression, type: STRING, at: null });
}

function push({ known }: Draft, event: EventType, name: string, expression: Expression): void {
  event.columns.push({ name, expression });
  known.get(event.name)!.push({ name, type: expression.type });
}

/** Of what the event knows, so that a read is in it as likely as not. */
function randomExpression({ known, rng }: Draft, event: EventType): Expression {
  const of = (...kinds: Type['kind'][]) => anyOf(known.get(event.name)!, rng, kinds)!;
  switch (rng.below(5)) {
    case 0:
      return call('greater', BOOL, of('int64'), literal(BigInt(rng.below(4))));
    case 1:
      return call('add', INT64, of('int64'), of('int64'));
    case 2:
      return call('concat', STRING, of('string'), literal('!'));
    case 3:
      return call('toText', STRING, call('modulo', INT64, of('int64'), literal(3n)));
    default:
      return call('coalesce', INT64, of('int64'), literal(7n));
  }
}

function anyOf(known: Known[], rng: Random, kinds: Type['kind'][]): Expression | null {
  const fitting = known.filter(({ type }) => kinds.includes(type.kind));
  // Later ones are those that are made of others.
  const found = rng.chance(0.5) ? fitting.at(-1) : fitting[rng.below(fitting.length)];
  return found ? column(found.name, found.type) : null;
}

/** A read of a new aggregate or of one that there is; null where its layers are none. */
function randomRead(draft: Draft, event: EventType, name: string): (Expression & { kind: 'read' }) | null {
  const { plan, rng, known } = draft;
  const isNew = plan.aggregates.length === 0 || rng.chance(0.7);
  const of = isNew ? randomAggregate(draft, name) : rng.pick(plan.aggregates);
  const windows: Window[] = [LIFETIME, exact(1_000), exact(10_000), exact(180_000), exact(HOUR_MS), exact(3 * DAY_MS)];
  const others: Window[] = [
    { kind: 'sliding', lengthMs: HOUR_MS, resolutionMs: 60_000 },
    { kind: 'offset', lengthMs: 600_000, resolutionMs: 60_000, agoMs: 60_000 },
    { kind: 'hopping', lengthMs: 120_000, resolutionMs: 60_000, everyMs: 60_000, agoMs: 0 },
  ];
  const window = rng.pick(rng.chance(0.2) ? others : windows);
  const isBound = window.kind === 'exact' && draft.hasAfter && rng.chance(0.4);
  const keys = of.keys.map(key => anyOf(known.get(event.name)!, rng, [key.type.kind])!);
  const read = {
    aggregate: of.name,
    window,
    keys,
    after: isBound ? column('since', TIME) : null,
    exclusive: rng.chance(0.3),
  };
  if (isNew) plan.aggregates.push(of);
  const expression: Expression & { kind: 'read' } = { kind: 'read', read, type: of.type, at: null };
  if (isLayered(plan, event, expression)) return expression;
  if (isNew) plan.aggregates.pop();
  return null;
}

/** Leaving the event out where it has been seen already is nothing that layers can do. */
function isLayered(plan: Plan, event: EventType, expression: Expression): boolean {
  const tried = { ...event, columns: [...event.columns, { name: 'tried', expression }] };
  try {
    const layers = new Layers(plan, tried);
    for (const { expression } of tried.columns) layers.of(expression);
    for (const one of plan.aggregates) if (one.event === event.name) layers.write(one);
    return true;
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
}

function exact(lengthMs: number): Window {
  return { kind: 'exact', lengthMs, resolutionMs: 1 };
}

function randomAggregate({ plan, rng, known }: Draft, name: string): Aggregate {
  const writer = rng.pick(plan.events);
  const of = (...kinds: Type['kind'][]) => anyOf(known.get(writer.name)!, rng, kinds)!;
  const keys = rng.pick([
    () => [of('string')],
    () => [of('string')],
    () => [of('int64')],
    () => [of('string'), of('bool')],
    () => [],
  ])();
  const where = rng.chance(0.4) ? of('bool') : null;
  const more = { where, tiles: EXACT_TILES };
  const list = (type: Type): Type => ({ kind: 'list', of: { type, presence: REQUIRED } });
  const make = (fn: Partial<AggregateFunction> & { name: AggregateFunction['name'] }, args: Expression[], type: Type) =>
    aggregate(name, writer.name, keys, fn.name, args[0] ?? null, {
      ...more,
      fn: { limit: null, params: [], ...fn, args },
      type,
    });
  switch (rng.below(14)) {
    case 0:
    case 1:
      return make({ name: 'count' }, [], INT64);
    case 2:
      return make({ name: 'count' }, [of('int64', 'string')], INT64);
    case 3:
    case 4:
      return make({ name: 'sum' }, [of('int64')], INT64);
    case 5:
      return make({ name: 'sum' }, [of('double')], DOUBLE);
    case 6:
      return make({ name: 'sum' }, [call('multiply', INT64, of('int64'), literal(4n * 10n ** 18n))], INT64);
    case 7:
      return make({ name: 'avg' }, [of('double')], DOUBLE);
    case 8: {
      const argument = of('int64', 'string', 'time');
      return make({ name: rng.pick(['min', 'max']) }, [argument], argument.type);
    }
    case 9: {
      const argument = of('int64', 'string', 'double');
      return make({ name: rng.pick(['first', 'last']) }, [argument], argument.type);
    }
    case 10:
      return make({ name: 'countUnique', limit: rng.pick([3, 100]) }, [of('int64', 'string')], INT64);
    case 11: {
      const argument = of('int64', 'string');
      return make({ name: rng.pick(['lastN', 'firstN', 'list']), limit: 3 }, [argument], list(argument.type));
    }
    case 12:
      return make({ name: 'stddevPop' }, [of('double')], DOUBLE);
    default:
      return make({ name: 'approxCountDistinct', limit: 10 }, [of('string')], INT64);
  }
}

const START_MS = Date.UTC(2024, 0, 1);

/** What is of another type than it should be, and may be converted. */
const ODD = ['"five"', '"5"', '5.5', '"5.5"', '"null"', 'true', '"true"', '[1]', '{}', '"2024-01-01"', '1704067200000'];

/** Some of the same moment, some late, some far too late; keys that repeat, and nulls; some that are bad, and of no type. */
export function randomTopologyLines(rng: Random, count: number, lateMaxMs = 2 * DAY_MS): string[] {
  let clockMs = START_MS;
  return Array.from({ length: count }, () => {
    clockMs += rng.pick([
      0,
      0,
      1,
      7,
      999,
      1000,
      1001,
      60_000,
      rng.below(200_000),
      rng.chance(0.1) ? rng.below(DAY_MS) : 0,
    ]);
    const lateMs = rng.chance(0.15) ? rng.pick([1, 1000, 60_000, rng.below(HOUR_MS), rng.below(lateMaxMs)]) : 0;
    const maybe = (text: string) => (rng.chance(0.12) ? 'null' : rng.chance(0.02) ? rng.pick(ODD) : text);
    const since = new Date(clockMs - rng.pick([0, 1, 1000, 60_000, rng.below(HOUR_MS), -5_000])).toISOString();
    const data = {
      k: maybe(`"${rng.pick(['a', 'a', 'a', 'b', 'ç', ''])}"`),
      m: maybe(`"${rng.pick(['a', 'b', 'x'])}"`),
      n: maybe(String(rng.below(6) - 1)),
      y: maybe(String(rng.below(100) / 7)),
      ok: maybe(String(rng.chance(0.6))),
      since: maybe(`"${since}"`),
    };
    const fields = Object.entries(data).map(([name, value]) => `"${name}":${value}`);
    const type = rng.chance(0.03) ? 'unknown' : rng.pick(TYPES);
    return `{"type":"${type}","time":"${new Date(clockMs - lateMs).toISOString()}","data":{${fields.join(',')}}}`;
  });
}
