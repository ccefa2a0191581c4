import { assert } from '../base/assert.ts';
import { formatMicros } from '../base/time.ts';
import type { KeyInput, KeyPart } from '../kernel/key.ts';
import { type FeatureColumn, isList, itemType, type ScalarValues } from '../kernel/feature_column.ts';
import { STATUS } from '../kernel/window.ts';
import { type Type, typeName } from '../plan/value.ts';
import type { Answer, AnswerColumn, EntityAnswer } from '../read/read.ts';
import { ReplyBytes } from './reply.ts';

/** Room for the next reply: mostly they are about as long as the last one. */
let roomBytes = 0;

/**
 * The reply of a lookup as UTF-8, written straight from the columns: no value becomes an object on the way.
 *
 * `{"time", "position", "entities": {entity: {"keys": [...], "features": {name: {"values": [...], "statuses": [...], "since"}}}}}`
 *
 * `statuses` is there only where some value has one, and `since` only where one of them is WARMING. `position` is null for a lookup at a past moment.
 */
export function answerJson(answer: Answer): Uint8Array<ArrayBuffer> {
  const reply = new ReplyBytes(Math.max(roomBytes, ROOM_MIN_BYTES));
  reply.text(`{"time":"${formatMicros(answer.timeMicros)}","position":${answer.position},"entities":{`);
  for (const [i, entity] of answer.entities.entries()) {
    if (i > 0) reply.byte(COMMA);
    writeEntity(reply, entity);
  }
  reply.ascii('}}\n');
  roomBytes = Math.min(reply.length + ROOM_MIN_BYTES, ROOM_MAX_BYTES);
  return reply.view();
}

/** A small reply needs no more. */
const ROOM_MIN_BYTES = 4096;

/** Not more than this is taken on suspicion: one huge reply is no reason for small ones to take as much. */
const ROOM_MAX_BYTES = 1 << 20;

const COMMA = 0x2c;
const BRACKET_END = 0x5d;
const BRACE_END = 0x7d;

function writeEntity(reply: ReplyBytes, { entity, keys, features }: EntityAnswer): void {
  reply.text(`${JSON.stringify(entity)}:{"keys":[${keys.map(keyJson).join(',')}],"features":{`);
  for (const [i, column] of features.entries()) {
    if (i > 0) reply.byte(COMMA);
    reply.text(`${JSON.stringify(column.name)}:{"values":[`);
    writeValues(reply, column, keys.length);
    if (hasStatus(column.statuses, keys.length)) writeStatuses(reply, column.statuses, keys.length);
    reply.byte(BRACKET_END);
    if (column.sinceMicros !== null) reply.ascii(`,"since":"${formatMicros(column.sinceMicros)}"`);
    reply.byte(BRACE_END);
  }
  reply.ascii('}}');
}

function writeValues(reply: ReplyBytes, column: AnswerColumn, count: number): void {
  const { type, values, nulls } = column;
  if (type.kind === 'int64' && values instanceof BigInt64Array)
    reply.int64s(new Int32Array(values.buffer, values.byteOffset, values.length * 2), nulls, count);
  else if (type.kind === 'double' && values instanceof Float64Array) reply.doubles(values, nulls, count);
  else {
    const cell = cellJson(column);
    for (let i = 0; i < count; i++) {
      if (i > 0) reply.byte(COMMA);
      reply.text(cell(i));
    }
  }
}

/**
 * How one value of a column is written as JSON: int64 with all its digits, a double in the fewest digits that read
 * back the same, NaN and the infinities as null, time as RFC 3339, a list as an array, a map as an object, its keys as texts.
 */
export function cellJson({ name, type, values, nulls }: Omit<FeatureColumn, 'statuses'>): (index: number) => string {
  if (isList(values)) {
    const { offsets, items, itemNulls, mapped } = values;
    if (mapped) {
      const key = keyOf(itemType(type), items);
      return i => (nulls[i] ? 'null' : objectJson(key, mapped, itemNulls, offsets[i]!, offsets[i + 1]!));
    }
    const item = cellJson({ name, type: itemType(type), values: items, nulls: itemNulls });
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
      assert(Array.isArray(values), `feature ${name} has type ${typeName(type)}, which no column holds`);
      return i => (nulls[i] ? 'null' : String(values[i]));
  }
}

function arrayJson(item: (index: number) => string, from: number, to: number): string {
  let text = '[';
  for (let i = from; i < to; i++) text += i === from ? item(i) : `,${item(i)}`;
  return `${text}]`;
}

/** The keys of a map as texts in quotes: NaN and the infinities have theirs too. */
function keyOf({ kind }: Type, keys: ScalarValues): (index: number) => string {
  switch (kind) {
    case 'string':
      return i => JSON.stringify(keys[i]);
    case 'time':
      return i => `"${formatMicros(keys[i] as bigint)}"`;
    case 'bool':
      return i => (keys[i] ? '"true"' : '"false"');
    default:
      return i => `"${keys[i]}"`;
  }
}

function objectJson(
  key: (index: number) => string,
  values: BigInt64Array,
  nulls: Uint8Array,
  from: number,
  to: number,
): string {
  let text = '{';
  for (let i = from; i < to; i++) text += `${i === from ? '' : ','}${key(i)}:${nulls[i] ? 'null' : values[i]}`;
  return `${text}}`;
}

function doubleJson(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  return Object.is(value, -0) ? '-0' : String(value);
}

function hasStatus(statuses: Uint8Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (statuses[i]) return true;
  return false;
}

const STATUS_TEXTS = STATUS.map(status => JSON.stringify(status));

function writeStatuses(reply: ReplyBytes, statuses: Uint8Array, count: number): void {
  reply.ascii('],"statuses":[');
  for (let i = 0; i < count; i++) {
    if (i > 0) reply.byte(COMMA);
    reply.ascii(STATUS_TEXTS[statuses[i]!]!);
  }
}

export function keyJson(key: KeyInput): string {
  return Array.isArray(key) ? `[${key.map(partJson).join(',')}]` : partJson(key);
}

function partJson(part: KeyPart): string {
  return typeof part === 'string' ? JSON.stringify(part) : String(part);
}
