import { Fault, type Position } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import { parseMicros } from '../../base/time.ts';
import type { Field, Presence, Slot, Type, Value } from '../../plan/value.ts';
import { BOOL, DOUBLE, INT64, isScalar, OPTIONAL, REQUIRED, STRING, TIME } from '../../plan/value.ts';
import { extent, TYPE_DEPTH_MAX, TYPE_FIELDS_MAX } from '../declare.ts';
import type { Place } from '../place.ts';
import { unquote } from './parser.ts';
import type { FieldSpec, Node, PathText, SlotSpec, Statement, TypeSpec } from './tree.ts';

/** The built-in types, as topologies call them. */
export const SCALARS = new Map<string, Type>([
  ['bool', BOOL],
  ['int', INT64],
  ['float', DOUBLE],
  ['string', STRING],
  ['time', TIME],
]);

/** What others call them. */
const OTHER_NAMES: Record<string, string> = {
  ...{ int64: 'int', integer: 'int', long: 'int', double: 'float', number: 'float', boolean: 'bool' },
  ...{ text: 'string', str: 'string', timestamp: 'time', datetime: 'time' },
};

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** User-defined types by name; null where one is faulty, so that whatever uses it is not blamed. */
export type UserTypes = Map<string, Type | null>;

export interface SlotScope {
  place: Place;
  types: UserTypes;
  faults: Fault[];
}

/** A type as topologies write it. */
export function typeText(type: Type): string {
  switch (type.kind) {
    case 'int64':
      return 'int';
    case 'double':
      return 'float';
    case 'list':
      return `[${slotText(type.of)}]`;
    case 'map':
      return `map{${typeText(type.key)}: ${slotText(type.of)}}`;
    case 'struct':
      return type.name ?? `{${type.fields.map(field => `${field.name}: ${slotText(field)}`).join(', ')}}`;
    default:
      return type.kind;
  }
}

function slotText(slot: Slot): string {
  return typeText(slot.type) + (slot.presence.kind === 'required' ? '' : '?');
}

export interface TypeStatement {
  statement: Statement & { kind: 'type' };
  place: Place;
}

/**
 * The types that `type` statements define, in any order and any file.
 *
 * @param known those of YAML; those that are defined here are added
 */
export function resolveTypes(statements: TypeStatement[], known: UserTypes, faults: Fault[]): void {
  const waiting = new Map<string, TypeStatement>();
  for (const one of statements) {
    const { name, start, end } = one.statement.name;
    const fault = (message: string) => faults.push(new Fault('definition', message, one.place(start, end)));
    const first = waiting.get(name);
    if (SCALARS.has(name)) fault(`${name} is a built-in type; call yours something else`);
    else if (known.has(name)) fault(`type "${name}" is there twice: YAML declares one under types:`);
    else if (first) fault(`type "${name}" is there twice: first at ${lineText(placeOfName(first))}`);
    else waiting.set(name, one);
  }
  for (const name of waiting.keys()) if (!known.has(name)) resolveType(name, [], waiting, known, faults);
}

function placeOfName({ statement: { name }, place }: TypeStatement): Position {
  return place(name.start, name.end);
}

export function lineText({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

function resolveType(
  name: string,
  trail: string[],
  waiting: Map<string, TypeStatement>,
  known: UserTypes,
  faults: Fault[],
): void {
  const { statement, place } = waiting.get(name)!;
  known.set(name, null);
  const names = [...trail, name];
  for (const spec of namedIn(statement.fields)) {
    const cycle = names.indexOf(spec.name);
    const fault = (message: string) => faults.push(new Fault('definition', message, place(spec.start, spec.end)));
    if (cycle >= 0) {
      fault(`a type cannot hold itself: ${[...names.slice(cycle), spec.name].join(' -> ')}`);
      return;
    }
    if (known.has(spec.name) || !waiting.has(spec.name)) continue;
    if (names.length > TYPE_DEPTH_MAX) {
      fault(`types nest too deep: at most ${TYPE_DEPTH_MAX} are read within one another`);
      return;
    }
    resolveType(spec.name, names, waiting, known, faults);
  }
  const fields = fieldsOf(statement.fields, { place, types: known, faults });
  if (!fields) return;
  const type: Type = { kind: 'struct', name, fields };
  if (fitsLimits(type, placeOfName(waiting.get(name)!), faults)) known.set(name, type);
}

/** The names of types that fields refer to, wherever they stand in them. */
function namedIn(fields: FieldSpec[]): (TypeSpec & { kind: 'named' })[] {
  const inType = (type: TypeSpec): (TypeSpec & { kind: 'named' })[] => {
    switch (type.kind) {
      case 'named':
        return [type];
      case 'struct':
        return namedIn(type.fields);
      default:
        return inType(type.of.type);
    }
  };
  return fields.flatMap(({ slot }) => (slot ? inType(slot.type) : []));
}

function fitsLimits(type: Type, at: Position, faults: Fault[]): boolean {
  const { depth, fields } = extent(type);
  if (depth <= TYPE_DEPTH_MAX && fields <= TYPE_FIELDS_MAX) return true;
  const message =
    depth > TYPE_DEPTH_MAX
      ? `the type nests ${depth} deep, and at most ${TYPE_DEPTH_MAX} are read`
      : `the type has ${fields} fields in all, and at most ${TYPE_FIELDS_MAX} are read`;
  faults.push(new Fault('too_large', message, at));
  return false;
}

function fieldsOf(specs: FieldSpec[], scope: SlotScope): Field[] | null {
  const seen = new Set<string>();
  const fields = specs.map((spec): Field | null => {
    const { name, start, end } = spec.name;
    if (seen.has(name) || name === '__proto__') {
      const message = seen.has(name) ? `field ${name} is there twice` : '__proto__ cannot be a field';
      scope.faults.push(new Fault('definition', message, scope.place(start, end)));
      return null;
    }
    seen.add(name);
    const slot = spec.slot ? slotOf(spec.slot, scope) : { type: STRING, presence: REQUIRED };
    return slot && { name, path: [name], ...slot };
  });
  return fields.includes(null) ? null : (fields as Field[]);
}

export function slotOf(spec: SlotSpec, scope: SlotScope): Slot | null {
  const type = typeOf(spec.type, scope);
  if (!type) return null;
  if (spec.presence === 'required') return { type, presence: REQUIRED };
  if (spec.presence === 'optional') return { type, presence: OPTIONAL };
  const presence = defaultOf(type, spec.presence, scope);
  return presence && { type, presence };
}

/** An input's slot is as large as all that it is made of. */
export function inputSlot(spec: SlotSpec, scope: SlotScope): Slot | null {
  const slot = slotOf(spec, scope);
  return slot && fitsLimits(slot.type, scope.place(spec.start, spec.end), scope.faults) ? slot : null;
}

function typeOf(spec: TypeSpec, scope: SlotScope): Type | null {
  const { place, types, faults } = scope;
  switch (spec.kind) {
    case 'named': {
      const { name, start, end } = spec;
      const type = SCALARS.get(name) ?? types.get(name);
      if (type !== undefined) return type;
      const other = OTHER_NAMES[name.toLowerCase()];
      const near = other ? `; did you mean "${other}"?` : didYouMean(name, [...SCALARS.keys(), ...types.keys()]);
      const hint = near || '; types are bool, int, float, string, time, and those of type statements';
      faults.push(new Fault('definition', `unknown type "${name}"${hint}`, place(start, end)));
      return null;
    }
    case 'list': {
      const of = slotOf(spec.of, scope);
      return of && { kind: 'list', of };
    }
    case 'map': {
      const of = slotOf(spec.of, scope);
      const { name, start, end } = spec.key;
      if (name === 'string') return of && { kind: 'map', key: STRING, of };
      const message = `the keys of a map are string, for they are names of members in JSON; got ${name}`;
      faults.push(new Fault('definition', message, place(start, end)));
      return null;
    }
    case 'struct': {
      const fields = fieldsOf(spec.fields, scope);
      return fields && { kind: 'struct', name: null, fields };
    }
  }
}

function defaultOf(type: Type, node: Node, { place, faults }: SlotScope): Presence | null {
  const fault = (message: string) => {
    faults.push(new Fault('definition', message, place(node.start, node.end)));
    return null;
  };
  if (!isScalar(type)) return fault(`a ${type.kind} has no default: write ? alone, and it is null where it is missing`);
  const value = defaultValue(type, node);
  if (value !== null) return { kind: 'default', value };
  const isNull = node.kind === 'literal' && node.value === null;
  return fault(isNull ? '? alone says null' : `the default is no ${typeText(type)}`);
}

/** A literal as a value of a type; null where it is none. */
function defaultValue(type: Type, node: Node): Value {
  const sign = node.kind === 'unary' ? -1n : 1n;
  const literal = node.kind === 'unary' ? node.of : node;
  const value = literal.kind === 'literal' ? literal.value : null;
  switch (type.kind) {
    case 'bool':
      return typeof value === 'boolean' ? value : null;
    case 'string':
      return typeof value === 'string' ? value : null;
    case 'time':
      return typeof value === 'string' ? parseMicros(value) : null;
    case 'double':
      return typeof value === 'bigint' || typeof value === 'number' ? Number(sign) * Number(value) : null;
    default: {
      const whole = typeof value === 'bigint' ? sign * value : null;
      return whole !== null && whole >= INT64_MIN && whole <= INT64_MAX ? whole : null;
    }
  }
}

/** `$.a['b c']` -> a, b c; null where it names no member. */
export function stepsOf({ text }: PathText): string[] | null {
  const steps = Array.from(text.matchAll(/\.([A-Za-z_]\w*)|\[("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\]/g), match =>
    match[1] !== undefined ? match[1] : unquote(match[2]!),
  );
  return steps.length > 0 && !steps.includes('') && !steps.includes('__proto__') ? steps : null;
}
