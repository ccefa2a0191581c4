/**
 * What a value can be. Every value may be null: presence belongs to the place a value is read from (a `Slot`),
 * not to its type. A struct's `name` is only how users call it; two structs with the same fields are the same type.
 */
export type Type =
  | { kind: 'bool' }
  | { kind: 'int64' }
  | { kind: 'double' }
  | { kind: 'string' }
  | { kind: 'time' }
  | { kind: 'list'; of: Slot }
  /** Of scalars to values: `key` is never a list, a map or a struct. */
  | { kind: 'map'; key: Type; of: Slot }
  | { kind: 'struct'; name: string | null; fields: Field[] };

/** Types whose values are one machine word or one string: what aggregates, keys and features are of. */
export type ScalarKind = 'bool' | 'int64' | 'double' | 'string' | 'time';

/**
 * What stands where a value is missing or null: a fault (`required`), null (`optional`), or a literal (`default`).
 */
export type Presence = { kind: 'required' } | { kind: 'optional' } | { kind: 'default'; value: Value };

/** A place a value is read from: a list's element, a struct's field, an event's input. */
export interface Slot {
  type: Type;
  presence: Presence;
}

/** Elements and fields of all lists and structs of one event, at most; the kernels hold to it. */
export const NESTED_VALUES_MAX = 1 << 20;

export interface Field extends Slot {
  name: string;
  /** Member names from the enclosing object down; usually just `[name]`. */
  path: string[];
}

/**
 * A value outside the hot path (literals, the oracle, tests): int64 and time (microseconds since 1970 UTC) are
 * bigint, double is number, a struct is a record by field name, a map a record by key.
 */
export type Value = null | boolean | bigint | number | string | Value[] | { [name: string]: Value };

export const BOOL: Type = { kind: 'bool' };
export const INT64: Type = { kind: 'int64' };
export const DOUBLE: Type = { kind: 'double' };
export const STRING: Type = { kind: 'string' };
export const TIME: Type = { kind: 'time' };
export const REQUIRED: Presence = { kind: 'required' };
export const OPTIONAL: Presence = { kind: 'optional' };

export function isScalar(type: Type): type is { kind: ScalarKind } {
  return type.kind !== 'list' && type.kind !== 'map' && type.kind !== 'struct';
}

/** Do their values lie alike? Presence and the names of structs do not matter, the order of fields does. */
export function sameType(a: Type, b: Type): boolean {
  switch (a.kind) {
    case 'list':
      return b.kind === 'list' && sameType(a.of.type, b.of.type);
    case 'map':
      return b.kind === 'map' && sameType(a.key, b.key) && sameType(a.of.type, b.of.type);
    case 'struct':
      return (
        b.kind === 'struct' &&
        a.fields.length === b.fields.length &&
        a.fields.every(({ name, type }, i) => name === b.fields[i]!.name && sameType(type, b.fields[i]!.type))
      );
    default:
      return a.kind === b.kind;
  }
}

/** How a type is written in definitions: `int64`, `[string?]`, `crew_member`, `{name: string}`. */
export function typeName(type: Type): string {
  switch (type.kind) {
    case 'list':
      return `[${slotName(type.of)}]`;
    case 'map':
      return `map{${typeName(type.key)}: ${slotName(type.of)}}`;
    case 'struct':
      return type.name ?? `{${type.fields.map(field => `${field.name}: ${slotName(field)}`).join(', ')}}`;
    default:
      return type.kind;
  }
}

function slotName(slot: Slot): string {
  return typeName(slot.type) + (slot.presence.kind === 'optional' ? '?' : '');
}
