import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import type { Changelog, Entity, EventType } from '../plan/plan.ts';
import type { Field, Presence, Slot, Type, Value } from '../plan/value.ts';
import { BOOL, DOUBLE, INT64, isScalar, OPTIONAL, REQUIRED, STRING, TIME, typeName } from '../plan/value.ts';
import { parseMicros } from '../base/time.ts';
import type { SlotSpec, TypeSpec } from './shape.ts';
import { ABOUT_SHAPE, ANY_NAME, CHANGELOG, CHANGELOG_SPEC, ENTITY_SPEC, PLAIN_NAME, TYPE_SPEC } from './shape.ts';
import type { YamlDocument, YamlPath } from './yaml.ts';
import { check, isRecord, valueAt } from './yaml.ts';

/**
 * What all files declare together. A name whose declaration is faulty stands with null, so that whatever refers to
 * it is not blamed for it.
 */
export interface Declared {
  events: Map<string, EventType | null>;
  entities: Map<string, Entity | null>;
  types: KnownTypes;
}

/** How many values one event may carry: each is a column in the kernels' memory. */
export const INPUTS_PER_EVENT_MAX = 256;
/** How deep user-defined types may nest: records nest at most 64 deep, and a path has steps of its own. */
export const TYPE_DEPTH_MAX = 16;
/** How many fields a type may have with all that it is made of: types are written out wherever they are used. */
export const TYPE_FIELDS_MAX = 1024;
/** How many columns may name an entity together. */
export const KEY_COLUMNS_MAX = 8;

const SCALARS = new Map<string, Type>([
  ['bool', BOOL],
  ['int64', INT64],
  ['double', DOUBLE],
  ['string', STRING],
  ['time', TIME],
]);
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Reads `types:`, `events:`, `entities:` and `about:` of all documents: one name space over all files, in any order. */
export function declare(documents: YamlDocument[], faults: Fault[]): Declared {
  const types = new Map<string, Place>();
  const events = new Map<string, Place>();
  const entities = new Map<string, Place>();
  for (const document of documents) {
    gather(document, 'types', PLAIN_NAME, types, faults);
    gather(document, 'events', ANY_NAME, events, faults);
    gather(document, 'entities', PLAIN_NAME, entities, faults);
  }
  const known = resolveTypes(types, faults);
  const declared: Declared = { events: new Map(), entities: new Map(), types: known };
  for (const [name, place] of events) declared.events.set(name, declareEvent(name, place, known, faults));
  for (const [name, place] of entities) declared.entities.set(name, declareEntity(name, place, faults));
  for (const document of documents) describe(document, declared, faults);
  return declared;
}

/** Texts for people go to what they are about. A name that nothing bears is a mistyped one. */
function describe(document: YamlDocument, declared: Declared, faults: Fault[]): void {
  if ((valueAt(document.value, ['about']) ?? null) === null) return;
  const about = check(ABOUT_SHAPE, document, ['about'], faults);
  for (const section of ['events', 'entities'] as const) {
    const known: Map<string, EventType | Entity | null> = declared[section];
    for (const [name, { description, owner }] of Object.entries(about?.[section] ?? {})) {
      const one = known.get(name);
      const fault = (message: string) =>
        faults.push(new Fault('definition', message, document.keyAt(['about', section, name])));
      if (one === undefined)
        fault(`about: ${section} has no "${name}"${didYouMean(name, known.keys()) || '; declare it there'}`);
      else if (one && (one.description !== undefined || one.owner !== undefined))
        fault(`about: ${name} is there twice in ${section}`);
      if (!one) continue;
      if (description !== undefined) one.description = description;
      if (owner !== undefined) one.owner = owner;
    }
  }
}

interface Place {
  document: YamlDocument;
  path: YamlPath;
}

type Section = 'types' | 'events' | 'entities';

function gather(
  document: YamlDocument,
  section: Section,
  nameShape: typeof PLAIN_NAME,
  into: Map<string, Place>,
  faults: Fault[],
): void {
  const value = isRecord(document.value) ? document.value[section] : undefined;
  if (value === undefined || value === null) return;
  if (!isRecord(value)) {
    faults.push(new Fault('definition', `${section}: wanted a mapping of names`, document.at([section])));
    return;
  }
  for (const name of Object.keys(value)) {
    const path = [section, name];
    const fault = (message: string) => faults.push(new Fault('definition', message, document.keyAt(path)));
    const named = nameShape.safeParse(name);
    const first = into.get(name);
    if (!named.success) fault(`"${name}": ${named.error.issues[0]!.message}`);
    else if (section === 'types' && SCALARS.has(name)) fault(`${name} is a built-in type; call yours something else`);
    else if (first) {
      const at = first.document.keyAt(first.path);
      fault(`"${name}" is declared twice in ${section}: first at ${at.file}:${at.line}:${at.column}`);
    } else into.set(name, { document, path });
  }
}

/** User-defined types by name, null where faulty. */
type KnownTypes = Map<string, Type | null>;

function resolveTypes(places: Map<string, Place>, faults: Fault[]): KnownTypes {
  const known: KnownTypes = new Map();
  const resolve = (name: string, trail: string[]): void => {
    const place = places.get(name)!;
    const { document, path } = place;
    known.set(name, null);
    const fields = fieldSpecs(place, 'fields', faults);
    for (const [field, spec] of fields) {
      for (const { name: inner, path: at } of namesIn(spec, [...path, field])) {
        const cycle = [...trail, name].indexOf(inner);
        if (cycle >= 0) {
          const text = [...[...trail, name].slice(cycle), inner].join(' -> ');
          faults.push(new Fault('definition', `a type cannot hold itself: ${text}`, document.at(at)));
        } else if (places.has(inner) && !known.has(inner)) resolve(inner, [...trail, name]);
      }
    }
    const scope = { document, types: known, faults };
    const slots = fields.map(([field, spec]) => fieldOf(field, spec, [...path, field], scope, '$'));
    if (slots.some(slot => slot === null) || fields.length === 0) return;
    const type: Type = { kind: 'struct', name, fields: slots as Field[] };
    const { depth, fields: count } = extent(type);
    const fault = (message: string) => faults.push(new Fault('too_large', message, document.keyAt(path)));
    if (depth > TYPE_DEPTH_MAX) fault(`${name} nests ${depth} types deep, and at most ${TYPE_DEPTH_MAX} are read`);
    else if (count > TYPE_FIELDS_MAX)
      fault(`${name} has ${count} fields in all, and at most ${TYPE_FIELDS_MAX} are read`);
    else known.set(name, type);
  };
  for (const name of places.keys()) if (!known.has(name)) resolve(name, []);
  return known;
}

/** How deep a type nests, and how many fields there are in all that it is made of. */
export function extent(type: Type): { depth: number; fields: number } {
  if (type.kind === 'list' || type.kind === 'map') {
    const inner = extent(type.of.type);
    return { depth: inner.depth + 1, fields: inner.fields };
  }
  if (type.kind !== 'struct') return { depth: 0, fields: 0 };
  const inner = type.fields.map(field => extent(field.type));
  return {
    depth: 1 + Math.max(0, ...inner.map(i => i.depth)),
    fields: type.fields.length + inner.reduce((sum, i) => sum + i.fields, 0),
  };
}

/**
 * The type specs of an event's inputs or of a type's fields, those in right shape.
 *
 * @param aside a key that is none of them
 */
function fieldSpecs({ document, path }: Place, what: string, faults: Fault[], aside?: string): [string, TypeSpec][] {
  const value = valueAt(document.value, path);
  const fault = (message: string) => faults.push(new Fault('definition', message, document.at(path)));
  if (!isRecord(value)) {
    fault(`${path.at(-1)}: wanted a mapping of its ${what} to their types`);
    return [];
  }
  const specs: [string, TypeSpec][] = [];
  const names = Object.keys(value).filter(name => name !== aside);
  for (const name of names) {
    const named = ANY_NAME.safeParse(name);
    if (!named.success) {
      const at = document.keyAt([...path, name]);
      faults.push(new Fault('definition', `"${name}": ${named.error.issues[0]!.message}`, at));
    }
    const spec = check(TYPE_SPEC, document, [...path, name], faults);
    if (spec !== null) specs.push([name, spec]);
  }
  if (names.length === 0) fault(`${path.at(-1)}: has no ${what}`);
  return specs;
}

/** The names of user-defined types that a spec refers to, each with its place. */
function namesIn(spec: TypeSpec, path: YamlPath): { name: string; path: YamlPath }[] {
  if (typeof spec === 'string') {
    const name = spec.replace(/\?$/, '');
    return SCALARS.has(name) ? [] : [{ name, path }];
  }
  return Array.isArray(spec) ? namesIn(spec[0], [...path, 0]) : namesIn(spec.type, [...path, 'type']);
}

interface TypeScope {
  document: YamlDocument;
  types: KnownTypes;
  faults: Fault[];
}

/** What paths begin with: those of inputs at the record, those of a type's fields at the object that they are fields of. */
type Root = '$.data' | '$';

function fieldOf(name: string, spec: TypeSpec, path: YamlPath, scope: TypeScope, root: Root): Field | null {
  const slot = slotOf(spec, path, scope, true);
  if (!slot) return null;
  const written = isRecord(spec) ? (spec as SlotSpec).path : undefined;
  const steps = written === undefined ? [name] : stepsOf(written, root, [...path, 'path'], scope);
  return steps && { name, ...slot, path: steps };
}

/** `$.data.crew.size` -> crew, size. */
function stepsOf(path: string, root: Root, at: YamlPath, { document, faults }: TypeScope): string[] | null {
  const fault = (message: string) => {
    faults.push(new Fault('definition', message, document.at(at)));
    return null;
  };
  if (/[[\]'"*]/.test(path))
    return fault(`path: ${path} has more than names in it; only steps like ${root}.a.b are read`);
  const steps = path.startsWith(`${root}.`) ? path.slice(root.length + 1).split('.') : [''];
  if (!steps.includes('')) return steps;
  return fault(`path: got ${path}, wanted one that begins with ${root}. and names a member, like ${root}.a.b`);
}

/** @param isNamed an element of a list is not, and has no path */
function slotOf(spec: TypeSpec, path: YamlPath, scope: TypeScope, isNamed: boolean): Slot | null {
  const { document, faults } = scope;
  if (typeof spec === 'string') {
    const type = namedType(spec.replace(/\?$/, ''), path, scope);
    return type && { type, presence: spec.endsWith('?') ? OPTIONAL : REQUIRED };
  }
  if (Array.isArray(spec)) {
    const of = slotOf(spec[0], [...path, 0], scope, false);
    return of && { type: { kind: 'list', of }, presence: REQUIRED };
  }
  const inner = slotOf(spec.type, [...path, 'type'], scope, false);
  if (spec.path !== undefined && !isNamed) {
    const message = 'path is for inputs and fields; an element is read where it stands';
    faults.push(new Fault('definition', message, document.keyAt([...path, 'path'])));
    return null;
  }
  const presence = inner && presenceOf(spec, inner, path, scope);
  return presence && { type: inner.type, presence };
}

function namedType(name: string, path: YamlPath, { document, types, faults }: TypeScope): Type | null {
  const type = SCALARS.get(name) ?? types.get(name);
  if (type === undefined) {
    const hint = didYouMean(name, [...SCALARS.keys(), ...types.keys()]);
    const message = `unknown type "${name}"${hint || '; types are bool, int64, double, string, time, [T] and those of types:'}`;
    faults.push(new Fault('definition', message, document.at(path)));
  }
  return type ?? null;
}

function presenceOf(spec: SlotSpec, inner: Slot, path: YamlPath, scope: TypeScope): Presence | null {
  if (spec.default === undefined) return spec.optional === true ? OPTIONAL : inner.presence;
  const fault = (message: string) => {
    scope.faults.push(new Fault('definition', message, scope.document.at([...path, 'default'])));
    return null;
  };
  if (spec.optional === true || inner.presence.kind === 'optional')
    return fault('default: what has a default is never missing; leave out either optional or default');
  if (!isScalar(inner.type)) return fault(`default: a ${inner.type.kind} cannot have one; declare it optional instead`);
  const value = defaultValue(inner.type, spec.default);
  if (value === null)
    return fault(`default: got ${JSON.stringify(spec.default, bigintText)}, wanted ${typeName(inner.type)}`);
  return { kind: 'default', value };
}

function bigintText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

/** A YAML scalar as a value of a type, by the rules for events; null where it is none. */
function defaultValue(type: Type, value: unknown): Value {
  switch (type.kind) {
    case 'bool':
      return typeof value === 'boolean' ? value : null;
    case 'string':
      return typeof value === 'string' ? value : null;
    case 'double':
      return typeof value === 'bigint' || typeof value === 'number' ? Number(value) : null;
    case 'int64': {
      const whole = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
      return typeof whole === 'bigint' && whole >= INT64_MIN && whole <= INT64_MAX ? whole : null;
    }
    case 'time':
      if (typeof value === 'bigint') return value * 1000n;
      return typeof value === 'string' ? parseMicros(value) : null;
    default:
      return null;
  }
}

function declareEvent(name: string, place: Place, types: KnownTypes, faults: Fault[]): EventType | null {
  const { document, path } = place;
  const written = valueAt(document.value, path);
  const changes = isRecord(written) && isChangelog(written[CHANGELOG]);
  const specs = fieldSpecs(place, 'inputs', faults, changes ? CHANGELOG : undefined);
  const scope = { document, types, faults };
  const inputs = specs.map(([input, spec]) => fieldOf(input, spec, [...path, input], scope, '$.data'));
  const at = document.keyAt(path);
  if (inputs.length > INPUTS_PER_EVENT_MAX) {
    const message = `${name} has ${inputs.length} inputs, and at most ${INPUTS_PER_EVENT_MAX} are read`;
    faults.push(new Fault('too_large', message, at));
    return null;
  }
  const count = isRecord(written) ? Object.keys(written).length - Number(changes) : -1;
  if (inputs.length !== count || inputs.includes(null)) return null;
  const event: EventType = { name, inputs: inputs as Field[], columns: [], onFault: 'reject', weight: null, at };
  if (!changes) return event;
  const changelog = changelogOf(event, place, faults);
  return changelog && { ...event, changelog };
}

/** Anything that has a type is an input, though it be called so. */
function isChangelog(value: unknown): boolean {
  return isRecord(value) && value.type === undefined;
}

function changelogOf(event: EventType, { document, path }: Place, faults: Fault[]): Changelog | null {
  const spec = check(CHANGELOG_SPEC, document, [...path, CHANGELOG], faults);
  if (!spec) return null;
  const { op, format, key, deleted, time = null } = spec;
  const before = faults.length;
  const said = Object.entries({ op, deleted, format }).flatMap(([name, value]) => (value === undefined ? [] : name));
  const ways = wrongWays(said, key !== undefined);
  if (ways !== null) faults.push(new Fault('definition', ways, document.keyAt([...path, CHANGELOG])));
  const checkInput = (at: YamlPath, name: string, types: Type[], isRequired: boolean) => {
    const message = whyNot(event, name, types, isRequired);
    if (message) faults.push(new Fault('definition', `${at[0]}: ${message}`, document.at([...path, CHANGELOG, ...at])));
  };
  if (op !== undefined) checkInput(['op'], op, [STRING], true);
  // What is not said to be deleted is not.
  if (deleted !== undefined) checkInput(['deleted'], deleted, [BOOL, STRING], false);
  if (time !== null) checkInput(['time'], time, [TIME], true);
  const names = key ?? [];
  const isListed = Array.isArray(valueAt(document.value, [...path, CHANGELOG, 'key']));
  for (const [i, name] of names.entries()) checkInput(isListed ? ['key', i] : ['key'], name, KEY_TYPES, true);
  const count = new Set(names).size;
  if (key && (count < names.length || count === 0 || count > KEY_COLUMNS_MAX)) {
    const got = count < names.length ? 'one of them twice' : names.length;
    const message = `key: got ${got}, wanted 1 to ${KEY_COLUMNS_MAX} inputs`;
    faults.push(new Fault('definition', message, document.at([...path, CHANGELOG, 'key'])));
  }
  if (faults.length > before) return null;
  if (!key) return op === undefined ? { kind: 'debezium', time } : { kind: 'ops', op, time };
  const form = format ?? (op !== undefined ? 'ops' : deleted !== undefined ? 'flag' : 'rows');
  return { kind: 'upsert', key, form, says: op ?? deleted ?? null, time };
}

const KEY_TYPES = [BOOL, INT64, STRING, TIME];

/** Records say what a row was before, by `op` or `format`; or they do not, and have a key. */
function wrongWays(said: string[], hasKey: boolean): string | null {
  if (said.length > 1) return `changelog: wanted one of op, deleted and format, got ${said.join(' and ')}`;
  if (hasKey) return null;
  if (said[0] === 'deleted') return 'changelog: deleted is for events with a key: which rows does it delete?';
  return said.length === 0 ? 'changelog: wanted op, format or key, got none of them' : null;
}

/** Why an input cannot be what changes have, if it cannot. */
function whyNot({ name: event, inputs }: EventType, name: string, types: Type[], isRequired: boolean): string | null {
  const input = inputs.find(input => input.name === name);
  const names = inputs.map(input => input.name);
  if (!input)
    return `event ${event} has no input "${name}"${didYouMean(name, names) || `; it has ${names.join(', ')}`}`;
  if (!types.some(({ kind }) => kind === input.type.kind))
    return `wanted an input that is ${types.map(typeName).join(' or ')}, and ${name} is ${typeName(input.type)}`;
  if (input.presence.kind !== 'optional' || !isRequired) return null;
  return `${name} is optional, and no change can be without it: declare it required, or with a default`;
}

function declareEntity(name: string, { document, path }: Place, faults: Fault[]): Entity | null {
  const names = check(ENTITY_SPEC, document, path, faults);
  if (names === null) return null;
  const fault = (message: string, at: YamlPath) => {
    faults.push(new Fault('definition', message, document.at(at)));
    return null;
  };
  if (names.length === 0 || names.length > KEY_COLUMNS_MAX)
    return fault(`${name}: got ${names.length} key columns, wanted 1 to ${KEY_COLUMNS_MAX}`, path);
  const keys = names.map((key, i) => {
    const type = SCALARS.get(key);
    if (type && type.kind !== 'double') return type;
    const hint = didYouMean(key, ['bool', 'int64', 'string', 'time']);
    return fault(`${name}: a key column is a bool, int64, string or time, not ${key}${hint}`, [...path, i]);
  });
  return keys.includes(null) ? null : { name, keys: keys as Type[], at: document.keyAt(path) };
}
