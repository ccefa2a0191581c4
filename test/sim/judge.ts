import { expect } from 'bun:test';
import { type FeatureColumn, isList, itemType, type ScalarValues } from '../../src/kernel/feature_column.ts';
import { STATUS } from '../../src/kernel/window.ts';
import type { Refusal } from '../../src/base/refusal.ts';
import { formatMicros } from '../../src/base/time.ts';
import type { Enriched } from '../../src/ingest/enrich.ts';
import type { Meta } from '../../src/meta/meta.ts';
import type { EventType, Plan } from '../../src/plan/plan.ts';
import type { Type, Value } from '../../src/plan/value.ts';
import type { Answer, Lookup } from '../../src/read/read.ts';
import type { Late } from '../oracle/late.ts';
import type { Log } from '../oracle/log.ts';
import { eventErrors, eventRow, now, type Recorded, value } from '../oracle/naive.ts';
import type { Engine } from './engine.ts';

/** Keys by entity. */
export type Keys = Map<string, Value[][]>;

/** Every key that a good flight bears, and one that none does, by entity. */
export function keysOf(log: Log): Keys {
  const found = new Map<string, Map<string, Value[]>>(
    ['origin', 'destination', 'route'].map(entity => [entity, new Map()]),
  );
  for (const { bad, inputs } of log.records) {
    if (bad !== null) continue;
    const { origin, destination } = inputs as { origin: string; destination: string };
    found.get('origin')!.set(origin, [origin]);
    found.get('destination')!.set(destination, [destination]);
    found.get('route')!.set(`${origin} ${destination}`, [origin, destination]);
  }
  const none: Record<string, Value[]> = { origin: ['???'], destination: ['???'], route: ['???', '???'] };
  return new Map([...found].map(([entity, keys]) => [entity, [...keys.values(), none[entity]!]]));
}

/** Looks everything up now and compares it with the oracle; returns how many values there were. */
export function compareLookups(engine: Engine, log: Log, keys: Keys): number {
  const { plan, ingest, reader } = engine;
  const p = ingest.position;
  const answer = reader.lookup(everything(plan, keys));
  expect(answer.position).toBe(p);
  return compareAnswer(plan, log, keys, answer);
}

export function everything(plan: Plan, keys: Keys): Lookup {
  const entities = Object.fromEntries(keys) as Record<string, string[][]>;
  return { features: plan.sets.map(set => `${set.name}:*`), entities, at: null };
}

/** An answer for now, as of the position that it says; returns how many values there were. */
export function compareAnswer(
  plan: Plan,
  log: Log,
  keys: Keys,
  answer: Answer,
  recorded: Recorded = new Map(),
): number {
  const p = answer.position!;
  const t = now(log, p);
  expect(answer.timeMicros).toBe(t);
  let count = 0;
  for (const { entity, features } of answer.entities)
    for (const column of features)
      for (const [row, key] of keys.get(entity)!.entries()) {
        compareValue(plan, column, row, log, key, p, t, recorded);
        count++;
      }
  return count;
}

export function compareValue(
  plan: Plan,
  column: FeatureColumn,
  row: number,
  log: Log,
  key: Value[],
  p: number,
  t: bigint,
  recorded: Recorded = new Map(),
): void {
  const wanted = value(plan, log, column.name, key, p, t, recorded);
  const got = { value: valueAt(column, row), status: STATUS[column.statuses[row]!] };
  if (isSame(got.value, wanted.value) && got.status === wanted.status) return;
  expect({ feature: column.name, key, p, ...got }).toEqual({ feature: column.name, key, p, ...wanted });
}

/** One value of a column as the oracle has it. */
export function valueAt({ type, values, nulls }: FeatureColumn, row: number): Value {
  if (nulls[row]) return null;
  if (!isList(values)) return scalarAt(type, values, row);
  const { offsets, items, itemNulls, mapped } = values;
  const item = itemType(type);
  const indices = Array.from({ length: offsets[row + 1]! - offsets[row]! }, (_, i) => offsets[row]! + i);
  const listed = indices.map(index => (itemNulls[index] ? null : scalarAt(item, items, index)));
  // As the oracle has a map: by the text of its keys.
  return mapped ? Object.fromEntries(listed.map((key, i) => [String(key), mapped[indices[i]!]!])) : listed;
}

function scalarAt({ kind }: Type, values: ScalarValues, row: number): Value {
  return kind === 'bool' ? values[row] === 1 : values[row]!;
}

/** To the last bit. */
export function isSame(x: Value, y: Value): boolean {
  if (isMap(x) && isMap(y)) return isSame(Object.entries(x).flat(), Object.entries(y).flat());
  if (!Array.isArray(x) || !Array.isArray(y)) return Object.is(x, y);
  return x.length === y.length && x.every((item, i) => isSame(item, y[i]!));
}

function isMap(value: Value): value is { [key: string]: Value } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** What events are answered with, from `position` on, none left out: each as the oracle has it, to the last digit. */
export function compareEnriched(plan: Plan, log: Log, parts: Enriched[], position: number): void {
  for (const { position: first, count, spelt, faults } of parts) {
    expect(first).toBe(position);
    position += count;
    for (let i = 0; i < count; i++) {
      const record = log.records[first + i]!;
      const text = DECODER.decode(spelt.bytes.subarray(i === 0 ? 0 : spelt.ends[i - 1]!, spelt.ends[i]!));
      const event = plan.events.find(({ name }) => name === record.type);
      expect([record.position, faults.get(i)?.code === 'undeclared']).toEqual([record.position, !event]);
      expect([record.position, faults.has(i)]).toEqual([record.position, record.bad !== null]);
      const wanted = { event_time: formatMicros(record.time), position: { digits: String(record.position) } };
      const row = eventRow(plan, log, record.position);
      const features = row && event ? spelledFeatures(event, row) : {};
      const errors = eventErrors(plan, log, record.position) ?? {};
      expect(parseDigits(`{${text.slice(1)}}`)).toEqual({ ...wanted, features, errors });
    }
  }
}

const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });

/** JSON with what is written of each number. */
function parseDigits(text: string): unknown {
  const digits = (_name: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? { digits: context!.source } : value;
  return JSON.parse(text, digits);
}

function spelledFeatures({ inputs, columns, features }: EventType, row: { [column: string]: Value }) {
  const typeOf = (name: string) =>
    columns.find(column => column.name === name)?.expression.type ?? inputs.find(input => input.name === name)!.type;
  return Object.fromEntries((features ?? []).map(({ column }) => [column, spelled(typeOf(column), row[column]!)]));
}

/** A value of the oracle as JSON has it: of a number the digits. */
export function spelled(type: Type, value: Value): unknown {
  if (value === null) return null;
  switch (type.kind) {
    case 'int64':
      return { digits: String(value) };
    case 'double':
      return Number.isFinite(value) ? { digits: Object.is(value, -0) ? '-0' : String(value) } : null;
    case 'time':
      return formatMicros(value as bigint);
    case 'list':
      return (value as Value[]).map(item => spelled(type.of.type, item));
    case 'struct':
      return Object.fromEntries(
        type.fields.map(field => [field.name, spelled(field.type, (value as { [name: string]: Value })[field.name]!)]),
      );
    case 'map': {
      const keyOf = (key: string) => (type.key.kind === 'time' ? formatMicros(BigInt(key)) : key);
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [keyOf(key), spelled(type.of.type, item as Value)]),
      );
    }
    default:
      return value;
  }
}

/** What barriers have written of late events, in the oracle's words. */
export function writtenLate(meta: Pick<Meta, 'late'>): Late[] {
  const text = ({ position, timeMicros, clockMicros }: Refusal) => `${position} ${timeMicros} ${clockMicros}`;
  return meta.late().map(({ first, latest, ...row }) => ({ ...row, first: text(first), latest: latest.map(text) }));
}
