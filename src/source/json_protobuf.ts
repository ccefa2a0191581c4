/** JSON as a message: what protobuf_json.ts has written, and whatever else means the same. */
import { type DescEnum, type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { reflect, type ReflectList, type ReflectMap, type ReflectMessage } from '@bufbuild/protobuf/reflect';
import { didYouMean } from '../base/name.ts';
import { floorDiv, parseMicros } from '../base/time.ts';
import { Unsayable } from './partition.ts';

/** A number of JSON, as the digits that it has there. */
export class Digits {
  constructor(readonly text: string) {}
}

/** @param at how the value is called. @throws Unsayable */
export function jsonMessage(type: DescMessage, value: unknown, at: string): ReflectMessage {
  const message = reflect(type);
  const known = WELL_KNOWN[type.typeName];
  if (known) known(message, value, at);
  else setMembers(message, objectIn(value, at), at);
  return message;
}

/** Sets the fields that an object names. @throws Unsayable */
export function setMembers(message: ReflectMessage, object: Record<string, unknown>, at: string): void {
  for (const [name, value] of Object.entries(object)) {
    const field = message.fields.find(one => one.name === name);
    if (!field) {
      const hint = didYouMean(
        name,
        message.fields.map(one => one.name),
      );
      throw new Unsayable(`${at}.${name}: ${message.desc.typeName} has no such field${hint}`);
    }
    setField(message, field, value, `${at}.${name}`);
  }
}

/** A null leaves it as it is: not set. @throws Unsayable */
export function setField(message: ReflectMessage, field: DescField, value: unknown, at: string): void {
  if (value === null || value === undefined) return;
  switch (field.fieldKind) {
    case 'list': {
      const list = message.get(field) as ReflectList;
      const of = field.listKind === 'scalar' ? field.scalar : (field.enum ?? field.message);
      for (const [i, one] of arrayIn(value, at).entries()) list.add(item(of, one, `${at}[${i}]`));
      return;
    }
    case 'map': {
      const map = message.get(field) as ReflectMap;
      const of = field.mapKind === 'scalar' ? field.scalar : (field.enum ?? field.message);
      for (const [key, one] of Object.entries(objectIn(value, at)))
        map.set(mapKey(field.mapKey, key, at), item(of, one, `${at}['${key}']`));
      return;
    }
    default:
      message.set(field, item(field.fieldKind === 'scalar' ? field.scalar : (field.enum ?? field.message), value, at));
  }
}

function item(of: ScalarType | DescEnum | DescMessage, value: unknown, at: string): unknown {
  if (typeof of === 'number') return scalar(of, value, at);
  if (of.kind === 'message') return jsonMessage(of, value, at);
  if (value instanceof Digits) return Number(integer(value, at, INT32));
  const named = of.values.find(({ name }) => name === value);
  if (named) return named.number;
  throw unsayable(value, `a name of ${of.typeName}`, at);
}

function mapKey(type: ScalarType, key: string, at: string): unknown {
  if (type === ScalarType.STRING) return key;
  return type === ScalarType.BOOL ? key === 'true' : scalar(type, new Digits(key), at);
}

const INT32: [bigint, bigint] = [-(2n ** 31n), 2n ** 31n - 1n];
const UINT32: [bigint, bigint] = [0n, 2n ** 32n - 1n];
const INT64: [bigint, bigint] = [-(2n ** 63n), 2n ** 63n - 1n];
const UINT64: [bigint, bigint] = [0n, 2n ** 64n - 1n];

function scalar(type: ScalarType, value: unknown, at: string): unknown {
  switch (type) {
    case ScalarType.STRING:
      if (typeof value === 'string') return value.toWellFormed();
      throw unsayable(value, 'a string', at);
    case ScalarType.BYTES:
      if (typeof value === 'string' && /^[\w+/-]*={0,2}$/.test(value))
        return new Uint8Array(Buffer.from(value, 'base64'));
      throw unsayable(value, 'a string of base64', at);
    case ScalarType.BOOL:
      if (typeof value === 'boolean') return value;
      throw unsayable(value, 'true or false', at);
    case ScalarType.DOUBLE:
      return real(value, at);
    case ScalarType.FLOAT:
      return Math.fround(real(value, at));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return Number(integer(value, at, UINT32));
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return integer(value, at, INT64);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return integer(value, at, UINT64);
    default:
      return Number(integer(value, at, INT32));
  }
}

/** A null within a list is what was no number (protobuf_json.ts). */
function real(value: unknown, at: string): number {
  if (value === null) return Number.NaN;
  if (value instanceof Digits) return Number(value.text);
  throw unsayable(value, 'a number', at);
}

/** Whatever the digits look like: `1.0` and `1e2` are integers too. */
function integer(value: unknown, at: string, [min, max]: [bigint, bigint]): bigint {
  const whole = value instanceof Digits ? wholeOf(value.text) : null;
  if (whole !== null && whole >= min && whole <= max) return whole;
  throw unsayable(value, `an integer from ${min} to ${max}`, at);
}

function wholeOf(digits: string): bigint | null {
  if (/^-?\d{1,20}$/.test(digits)) return BigInt(digits);
  const number = Number(digits);
  return Number.isSafeInteger(number) ? BigInt(number) : null;
}

type Read = (message: ReflectMessage, value: unknown, at: string) => void;

const WELL_KNOWN: Record<string, Read> = {
  'google.protobuf.Timestamp': (message, value, at) => setMicros(message, microsIn(value, at)),
  'google.protobuf.Duration': setDuration,
  'google.protobuf.FieldMask': refuse,
  'google.protobuf.Any': refuse,
  'google.protobuf.Struct': only,
  'google.protobuf.ListValue': only,
  'google.protobuf.Value': (message, value, at) => setKind(message, value, at, GOOGLES),
  'tilefold.v1.ValueList': only,
  'tilefold.v1.ValueMap': only,
  'tilefold.v1.Value': (message, value, at) => setKind(message, value, at, OURS),
};
for (const name of ['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'])
  WELL_KNOWN[`google.protobuf.${name}Value`] = only;

function refuse({ desc }: ReflectMessage, value: unknown, at: string): never {
  throw unsayable(value, `nothing: ${desc.typeName} is read, and not written`, at);
}

function only(message: ReflectMessage, value: unknown, at: string): void {
  setField(message, message.fields[0]!, value, at);
}

/** Which field of a value has what. */
interface Kinds {
  null: string | null;
  boolean: string;
  real: string;
  integer: string | null;
  text: string;
  list: string;
  map: string;
}

const GOOGLES: Kinds = {
  ...{ null: 'null_value', boolean: 'bool_value', real: 'number_value', integer: null },
  ...{ text: 'string_value', list: 'list_value', map: 'struct_value' },
};
const OURS: Kinds = {
  ...{ null: null, boolean: 'boolean', real: 'real', integer: 'integer', text: 'text', list: 'list', map: 'map' },
};

function setKind(message: ReflectMessage, value: unknown, at: string, kinds: Kinds): void {
  const kind = kindOf(value, kinds);
  const field = message.fields.find(({ name }) => name === kind);
  if (field) setField(message, field, value ?? NULL, at);
}

/** As the number of the enum that says it. */
const NULL = new Digits('0');

function kindOf(value: unknown, kinds: Kinds): string | null {
  if (value === null) return kinds.null;
  if (typeof value === 'boolean') return kinds.boolean;
  if (typeof value === 'string') return kinds.text;
  if (Array.isArray(value)) return kinds.list;
  if (!(value instanceof Digits)) return kinds.map;
  return kinds.integer !== null && isExact(value.text) ? kinds.integer : kinds.real;
}

/** Digits of an int64: -0 is none, which a double tells from 0. */
function isExact(digits: string): boolean {
  if (!/^-?\d{1,19}$/.test(digits) || digits === '-0') return false;
  const whole = BigInt(digits);
  return whole >= INT64[0] && whole <= INT64[1];
}

/** RFC 3339, or epoch milliseconds. @throws Unsayable */
export function microsIn(value: unknown, at: string): bigint {
  const micros = typeof value === 'string' ? parseMicros(value) : value instanceof Digits ? wholeOf(value.text) : null;
  if (micros !== null) return typeof value === 'string' ? micros : micros * 1000n;
  throw unsayable(value, 'a time in RFC 3339 or epoch milliseconds', at);
}

export function setMicros(message: ReflectMessage, micros: bigint): void {
  const [seconds, nanos] = message.fields as [DescField, DescField];
  const whole = floorDiv(micros, 1_000_000n);
  message.set(seconds, whole);
  message.set(nanos, Number(micros - whole * 1_000_000n) * 1_000);
}

function setDuration(message: ReflectMessage, value: unknown, at: string): void {
  const [, sign, whole, digits = ''] = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(String(value)) ?? [];
  if (whole === undefined || typeof value !== 'string') throw unsayable(value, 'a duration like 1.5s', at);
  const [seconds, nanos] = message.fields as [DescField, DescField];
  const direction = sign === '-' ? -1 : 1;
  message.set(seconds, BigInt(whole) * BigInt(direction));
  message.set(nanos, Number(digits.padEnd(9, '0')) * direction || 0);
}

export function objectIn(value: unknown, at: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Digits))
    return value as Record<string, unknown>;
  throw unsayable(value, 'an object', at);
}

function arrayIn(value: unknown, at: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw unsayable(value, 'an array', at);
}

function unsayable(value: unknown, wanted: string, at: string): Unsayable {
  const found =
    value instanceof Digits
      ? value.text
      : typeof value === 'object' && value !== null
        ? 'an object or an array'
        : JSON.stringify(value);
  return new Unsayable(`${at}: got ${found}, wanted ${wanted}`);
}
