import { assert } from '../base/assert.ts';
import { formatMicros } from '../base/time.ts';
import type { KeyInput, KeyPart } from '../kernel/key.ts';
import { type FeatureColumn, isList, STATUS } from '../kernel/window.ts';
import { typeName } from '../plan/value.ts';
import type { Answer, AnswerColumn, EntityAnswer } from '../read/read.ts';

/**
 * The reply of a lookup, written straight from the columns: no value becomes an object on the way.
 *
 * `{"time", "position", "entities": {entity: {"keys": [...], "features": {name: {"values": [...], "statuses": [...], "since"}}}}}`
 *
 * `statuses` is there only where some value has one, and `since` only where one of them is WARMING. `position` is null for a lookup at a past moment.
 */
export function answerJson(answer: Answer): string {
  const entities = answer.entities.map(entityJson).join(',');
  return `{"time":"${formatMicros(answer.timeMicros)}","position":${answer.position},"entities":{${entities}}}\n`;
}

function entityJson({ entity, keys, features }: EntityAnswer): string {
  const columns = features.map(column => `${JSON.stringify(column.name)}:${columnJson(column, keys.length)}`);
  return `${JSON.stringify(entity)}:{"keys":[${keys.map(keyJson).join(',')}],"features":{${columns.join(',')}}}`;
}

function columnJson(column: AnswerColumn, count: number): string {
  const cell = cellJson(column);
  const cells = new Array<string>(count);
  for (let i = 0; i < count; i++) cells[i] = cell(i);
  const statuses = statusesJson(column.statuses, count);
  const since = column.sinceMicros === null ? '' : `,"since":"${formatMicros(column.sinceMicros)}"`;
  return `{"values":[${cells.join(',')}]${statuses ? `,"statuses":[${statuses}]` : ''}${since}}`;
}

/**
 * How one value of a column is written as JSON: int64 with all its digits, a double in the fewest digits that read
 * back the same, NaN and the infinities as null, time as RFC 3339, a list as an array.
 */
export function cellJson({ name, type, values, nulls }: Omit<FeatureColumn, 'statuses'>): (index: number) => string {
  if (isList(values)) {
    assert(type.kind === 'list', `feature ${name} is ${type.kind} and holds lists`);
    const { offsets, items, itemNulls } = values;
    const item = cellJson({ name, type: type.of.type, values: items, nulls: itemNulls });
    return i => (nulls[i] ? 'null' : arrayJson(item, offsets[i]!, offsets[i + 1]!));
  }
  switch (type.kind) {
    case 'int64':
      return i => (nulls[i] ? 'null' : String(values[i]));
    case 'double':
      return i => (nulls[i] ? 'null' : doubleJson(values[i] as number));
    case 'bool':
      return i => (nulls[i] ? 'null' : values[i] ? 'true' : 'false');
    case 'time':
      return i => (nulls[i] ? 'null' : `"${formatMicros(values[i] as bigint)}"`);
    case 'string':
      return i => (nulls[i] ? 'null' : JSON.stringify(values[i]));
    default:
      assert(false, `feature ${name} has type ${typeName(type)}, which no column holds`);
  }
}

function arrayJson(item: (index: number) => string, from: number, to: number): string {
  let text = '[';
  for (let i = from; i < to; i++) text += i === from ? item(i) : `,${item(i)}`;
  return `${text}]`;
}

function doubleJson(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  return Object.is(value, -0) ? '-0' : String(value);
}

function statusesJson(statuses: Uint8Array, count: number): string | null {
  let any = 0;
  for (let i = 0; i < count; i++) any |= statuses[i]!;
  if (any === 0) return null;
  const texts = STATUS.map(status => JSON.stringify(status));
  return Array.from(statuses.subarray(0, count), status => texts[status]).join(',');
}

export function keyJson(key: KeyInput): string {
  return Array.isArray(key) ? `[${key.map(partJson).join(',')}]` : partJson(key);
}

function partJson(part: KeyPart): string {
  return typeof part === 'string' ? JSON.stringify(part) : String(part);
}
