import { parseMicros } from '../base/time.ts';
import { NAME, NAME_LENGTH_MAX } from '../compile/name.ts';
import { CHANGE_OPS } from '../plan/plan.ts';
import { ndjsonFiles } from '../source/ndjson.ts';
import { MAX_JUMP_DEFAULT_MS, type Source } from '../source/source.ts';

/** What samples say of an event type: its inputs, as they could be declared. */
export interface Inferred {
  type: string;
  /** Rows: of most types as many as events. */
  count: number;
  /** How they take rows back, where they do: as definitions write it. */
  changelog: string | null;
  columns: Column[];
  /** What the objects in its lists are, inner ones first. */
  structs: Struct[];
}

export interface Struct {
  name: string;
  fields: { name: string; type: string; isOptional: boolean }[];
}

export interface Column {
  /** A name that SQL and YAML take as it is; unique within the type. */
  name: string;
  /** Steps below `data`. */
  path: string[];
  /** As definitions write it: `int64`, `[string]`, `[order_items]`. */
  type: string;
  /** Of the samples, those where it is there and not null. */
  seen: number;
  /** Values and how often each was seen, of strings and integers, up to `DISTINCT_MAX` of them. */
  values: Map<string, number>;
}

/** A member that no column can hold, and why. */
export interface LeftOut {
  type: string;
  path: string[];
  why: string;
}

type Kind = 'bool' | 'int64' | 'double' | 'string' | 'time' | 'list' | 'object';

/** What was seen in one place: of a member, of the elements of a list, or of a field of these. */
interface Place {
  kinds: Set<Kind>;
  seen: number;
  nulls: number;
  values: Map<string, number>;
  /** Of lists. */
  element: Place | null;
  /** Of objects in lists; those elsewhere are members themselves. */
  fields: Map<string, Place>;
}

interface Member extends Place {
  path: string[];
}

/** More of them are no entities that come again: a measure, or an id of each event. */
export const DISTINCT_MAX = 100_000;

/** Members of members; deeper ones are hardly meant to be counted. */
const DEPTH_MAX = 6;

/** An object of more members is rather a map, whose keys are values. */
const FIELDS_MAX = 64;

/** What `$.data.a.b` cannot say. */
const UNSPEAKABLE = /[.[\]'"*]|^$|^__proto__$/;

/** Beyond it a number is no int64, whole or not. */
const INT64_LIMIT = 2 ** 63;

/** Events that are looked at: enough to see what is rare, few enough to be done in a second. */
const SAMPLES_MAX = 50_000;

export type Inferences = ReturnType<Inference['result']>;

export async function inferFiles(files: string[]): Promise<Inferences> {
  return inferSource(await ndjsonFiles(files, { kind: 'event', maxJumpMs: MAX_JUMP_DEFAULT_MS }));
}

/** What the first of its events say of their types. */
export async function inferSource(source: Source): Promise<Inferences> {
  const inference = new Inference();
  let count = 0;
  for await (const { bytes } of source.read(0)) {
    for (const line of new TextDecoder().decode(bytes).split('\n')) {
      if (count++ >= SAMPLES_MAX) return inference.result();
      inference.add(parsed(line));
    }
  }
  return inference.result();
}

/** A line that is no JSON is none of the samples. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Looks at events one by one, and keeps of them only what it takes to tell their types. */
export class Inference {
  readonly #types = new Map<string, { count: number; hasEnvelopes: boolean; members: Map<string, Member> }>();

  /** @param record parsed JSON; what is no event is passed over, as the door would reject it */
  add(record: unknown): void {
    if (!isObject(record)) return;
    const isNested = record.type !== undefined;
    const data = isNested ? record.data : record;
    const rows = changedRows(data);
    const type = isNested ? record.type : (record._type ?? (rows && tableOf(record)));
    if (typeof type !== 'string' || type === '') return;
    const known = this.#types.get(type) ?? { count: 0, hasEnvelopes: false, members: new Map() };
    this.#types.set(type, known);
    if (rows) {
      known.hasEnvelopes = true;
      known.count += rows.length;
      for (const row of rows) walk(known.members, row, [], []);
    } else if (!known.hasEnvelopes) {
      known.count++;
      if (isObject(data)) walk(known.members, data, [], isNested ? [] : ['_type', '_time', '_id']);
    }
  }

  /** The types, most frequent first, and what cannot be declared of them. */
  result(): { types: Inferred[]; leftOut: LeftOut[] } {
    const leftOut: LeftOut[] = [];
    const structNames = new Set<string>();
    const types = [...this.#types].map(([type, { count, hasEnvelopes, members }]) => {
      const taken = new Set<string>();
      const structs: Struct[] = [];
      const columns = [...members.values()].flatMap(member => {
        const { path, seen, values } = member;
        const spelled = typeOf(member, path, { type, structs, structNames, leftOut });
        return spelled === null ? [] : [{ name: nameOf(path, taken), path, type: spelled, seen, values }];
      });
      const op = columns.find(column => isOp(column, count));
      const changelog = hasEnvelopes ? '{ format: debezium }' : op ? `{ op: ${op.name} }` : null;
      return { type, count, changelog, columns, structs };
    });
    return { types: types.sort((a, b) => b.count - a.count), leftOut };
  }
}

/** What the door reads as the type of a record that it lets in; null where nothing can be told. */
export function typeNameOf(line: Uint8Array): string | null {
  const record: unknown = JSON.parse(new TextDecoder().decode(line));
  if (!isObject(record)) return null;
  const type = record.type !== undefined ? record.type : (record._type ?? tableOf(record));
  return typeof type === 'string' && type !== '' ? type : null;
}

/** The rows in an envelope as Debezium makes them; null where it is none. */
function changedRows(data: unknown): Record<string, unknown>[] | null {
  const envelope = envelopeIn(data);
  if (!envelope || typeof envelope.op !== 'string' || !/^[crud]$/.test(envelope.op)) return null;
  const rows = [envelope.before, envelope.after].filter(isObject);
  return rows.length > 0 ? rows : null;
}

function envelopeIn(data: unknown): Record<string, unknown> | null {
  if (!isObject(data)) return null;
  return isObject(data.payload) ? data.payload : data;
}

/** What a record is of that is an envelope itself. */
function tableOf(record: unknown): unknown {
  const source = envelopeIn(record)?.source;
  return isObject(source) ? source.table : undefined;
}

/** Does it say of every row whether it is added or taken back? */
function isOp({ type, seen, values }: Column, count: number): boolean {
  return type === 'string' && seen === count && [...values.keys()].every(value => Object.hasOwn(CHANGE_OPS, value));
}

interface Spelling {
  type: string;
  structs: Struct[];
  structNames: Set<string>;
  leftOut: LeftOut[];
}

/** The type of a place as definitions write it, with what it takes among the structs; null where it is left out. */
function typeOf(place: Place, path: string[], spelling: Spelling): string | null {
  const { kind, why } = kindOf(place);
  if (kind === 'list') return listOf(place.element, path, spelling);
  if (kind === 'object') return structOf(place.fields, path, spelling);
  return kind ?? leaveOut(why, path, spelling);
}

function leaveOut(why: string, path: string[], { type, leftOut }: Spelling): null {
  leftOut.push({ type, path, why });
  return null;
}

function listOf(element: Place | null, path: string[], spelling: Spelling): string | null {
  if (!element || element.seen === 0) return leaveOut('a list that is always empty', path, spelling);
  const inner = typeOf(element, [...path, '[]'], spelling);
  if (inner === null || element.nulls === 0) return inner && `[${inner}]`;
  return inner.startsWith('[') ? `[{ type: ${inner}, optional: true }]` : `[${inner}?]`;
}

function structOf(members: Map<string, Place>, path: string[], spelling: Spelling): string | null {
  if (members.size > FIELDS_MAX) return leaveOut(`objects of more than ${FIELDS_MAX} members`, path, spelling);
  const count = Math.max(0, ...[...members.values()].map(({ seen, nulls }) => seen + nulls));
  const fields = [...members].flatMap(([name, place]) => {
    const type = typeOf(place, [...path, name], spelling);
    return type === null ? [] : [{ name, type, isOptional: place.seen < count }];
  });
  if (fields.length === 0) return leaveOut('objects with nothing to declare', path, spelling);
  const name = nameOf([spelling.type, ...path.filter(step => step !== '[]')], spelling.structNames);
  spelling.structs.push({ name, fields });
  return name;
}

function walk(members: Map<string, Member>, data: Record<string, unknown>, path: string[], passed: string[]): void {
  for (const [name, value] of Object.entries(data)) {
    if (value === null || passed.includes(name) || UNSPEAKABLE.test(name) || name.length > NAME_LENGTH_MAX) continue;
    const at = [...path, name];
    if (isObject(value)) {
      if (at.length < DEPTH_MAX) walk(members, value, at, []);
      continue;
    }
    const key = at.join('.');
    const member = members.get(key) ?? { path: at, ...emptyPlace() };
    members.set(key, member);
    note(member, value, at.length);
    if (typeof value !== 'string' && typeof value !== 'number') continue;
    const text = String(value);
    const count = member.values.get(text) ?? 0;
    if (count > 0 || member.values.size < DISTINCT_MAX) member.values.set(text, count + 1);
  }
}

function emptyPlace(): Place {
  return { kinds: new Set(), seen: 0, nulls: 0, values: new Map(), element: null, fields: new Map() };
}

function note(place: Place, value: unknown, depth: number): void {
  if (value === null) {
    place.nulls++;
    return;
  }
  place.seen++;
  place.kinds.add(kindOfValue(value));
  if (depth >= DEPTH_MAX) return;
  if (Array.isArray(value)) {
    place.element ??= emptyPlace();
    for (const element of value) note(place.element, element, depth + 1);
  } else if (isObject(value)) noteFields(place, value, depth);
}

/** A field is optional where it is not in all objects: those that lack it count as null. */
function noteFields({ fields, seen }: Place, object: Record<string, unknown>, depth: number): void {
  for (const name of Object.keys(object)) {
    if (UNSPEAKABLE.test(name) || name.length > NAME_LENGTH_MAX || fields.size > FIELDS_MAX) continue;
    const known = fields.get(name);
    if (!known) fields.set(name, { ...emptyPlace(), nulls: seen - 1 });
    note(fields.get(name)!, object[name], depth + 1);
  }
  for (const [name, field] of fields) if (!Object.hasOwn(object, name)) field.nulls++;
}

function kindOfValue(value: unknown): Kind {
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < INT64_LIMIT ? 'int64' : 'double';
  if (typeof value === 'string') return parseMicros(value) === null ? 'string' : 'time';
  return Array.isArray(value) ? 'list' : 'object';
}

/** The type that all values of a place have. */
function kindOf({ kinds }: Place): { kind: Kind | null; why: string } {
  const has = (...some: Kind[]) => [...kinds].every(kind => some.includes(kind));
  for (const kind of ['bool', 'int64', 'time', 'list', 'object'] as const) if (has(kind)) return { kind, why: '' };
  if (has('int64', 'double')) return { kind: 'double', why: '' };
  if (has('time', 'string')) return { kind: 'string', why: '' };
  return { kind: null, why: `now ${[...kinds].join(', now ')}` };
}

/** `crew.size` -> `crew_size`; another member that would be called so gets a number. */
function nameOf(path: string[], taken: Set<string>): string {
  const plain = path
    .join('_')
    .replace(/[^A-Za-z0-9_]/g, '_')
    .slice(0, NAME_LENGTH_MAX - 10);
  const base = NAME.test(plain) ? plain : `x${plain}`;
  let name = base;
  // SQL takes upper and lower case for the same.
  for (let count = 2; taken.has(name.toLowerCase()); count++) name = `${base}_${count}`;
  taken.add(name.toLowerCase());
  return name;
}

/** Names of ids, whatever they are ids of. */
const ID = /(^|[a-z0-9]_|[a-z])(id|Id|ID|key|code|uuid)$/;

/**
 * The column that says whom or what an event is about, as far as samples can tell: a string or an integer that is
 * always there and whose values come again. Ids go before other strings, these before integers, many values before few.
 */
export function entityOf({ count, columns }: Inferred): Column | null {
  const rank = ({ name, type, values }: Column) => [ID.test(name), type === 'string', values.size] as const;
  const candidates = columns.filter(column => {
    const { type, seen, values } = column;
    const isNamed = (type === 'string' || type === 'int64') && seen === count && !isOp(column, count);
    return isNamed && values.size < DISTINCT_MAX && values.size * 2 <= seen;
  });
  const compare = (a: Column, b: Column) => {
    const [x, y] = [rank(a), rank(b)];
    for (const i of [0, 1, 2] as const) if (x[i] !== y[i]) return Number(y[i]) - Number(x[i]);
    return 0;
  };
  return candidates.sort(compare)[0] ?? null;
}

/** The columns that are worth a mean: numbers that are no ids, those always there first. */
export function measuresOf({ columns }: Inferred, entity: Column): Column[] {
  const numbers = columns.filter(({ name, type }) => (type === 'int64' || type === 'double') && !ID.test(name));
  return numbers.filter(column => column !== entity).sort((a, b) => b.seen - a.seen);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
