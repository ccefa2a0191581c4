import { parseMicros } from '../base/time.ts';
import { NAME, NAME_LENGTH_MAX } from '../compile/name.ts';

/** What samples say of an event type: its inputs, as they could be declared. */
export interface Inferred {
  type: string;
  count: number;
  columns: Column[];
}

export interface Column {
  /** A name that SQL and YAML take as it is; unique within the type. */
  name: string;
  /** Steps below `data`. */
  path: string[];
  type: 'bool' | 'int64' | 'double' | 'string' | 'time';
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

type Kind = Column['type'] | 'list';

interface Member {
  path: string[];
  kinds: Set<Kind>;
  seen: number;
  values: Map<string, number>;
}

/** More of them are no entities that come again: a measure, or an id of each event. */
export const DISTINCT_MAX = 100_000;

/** Members of members; deeper ones are hardly meant to be counted. */
const DEPTH_MAX = 6;

/** What `$.data.a.b` cannot say. */
const UNSPEAKABLE = /[.[\]'"*]|^$|^__proto__$/;

/** Beyond it a number is no int64, whole or not. */
const INT64_LIMIT = 2 ** 63;

/** Looks at events one by one, and keeps of them only what it takes to tell their types. */
export class Inference {
  readonly #types = new Map<string, { count: number; members: Map<string, Member> }>();

  /** @param record parsed JSON; what is no event is passed over, as the door would reject it */
  add(record: unknown): void {
    if (!isObject(record)) return;
    const isNested = record.type !== undefined;
    const type = isNested ? record.type : record._type;
    if (typeof type !== 'string' || type === '') return;
    const known = this.#types.get(type) ?? { count: 0, members: new Map() };
    this.#types.set(type, known);
    known.count++;
    const data = isNested ? record.data : record;
    if (isObject(data)) walk(known.members, data, [], isNested ? [] : ['_type', '_time', '_id']);
  }

  /** The types, most frequent first, and what cannot be declared of them. */
  result(): { types: Inferred[]; leftOut: LeftOut[] } {
    const leftOut: LeftOut[] = [];
    const types = [...this.#types].map(([type, { count, members }]) => {
      const taken = new Set<string>();
      const columns = [...members.values()].flatMap(member => {
        const { kind, why } = kindOf(member);
        if (kind === null) leftOut.push({ type, path: member.path, why });
        const { path, seen, values } = member;
        return kind === null ? [] : [{ name: nameOf(path, taken), path, type: kind, seen, values }];
      });
      return { type, count, columns };
    });
    return { types: types.sort((a, b) => b.count - a.count), leftOut };
  }
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
    const member = members.get(key) ?? { path: at, kinds: new Set(), seen: 0, values: new Map() };
    members.set(key, member);
    member.seen++;
    member.kinds.add(kindOfValue(value));
    if (typeof value !== 'string' && typeof value !== 'number') continue;
    const text = String(value);
    const count = member.values.get(text) ?? 0;
    if (count > 0 || member.values.size < DISTINCT_MAX) member.values.set(text, count + 1);
  }
}

function kindOfValue(value: unknown): Kind {
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < INT64_LIMIT ? 'int64' : 'double';
  if (typeof value === 'string') return parseMicros(value) === null ? 'string' : 'time';
  return 'list';
}

/** The type that all of a member's values have. */
function kindOf({ kinds }: Member): { kind: Column['type'] | null; why: string } {
  const has = (...some: Kind[]) => [...kinds].every(kind => some.includes(kind));
  for (const kind of ['bool', 'int64', 'time'] as const) if (has(kind)) return { kind, why: '' };
  if (has('int64', 'double')) return { kind: 'double', why: '' };
  if (has('time', 'string')) return { kind: 'string', why: '' };
  return { kind: null, why: has('list') ? 'a list' : `now ${[...kinds].join(', now ')}` };
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
  const candidates = columns.filter(
    ({ type, seen, values }) =>
      (type === 'string' || type === 'int64') &&
      seen === count &&
      values.size < DISTINCT_MAX &&
      values.size * 2 <= seen,
  );
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
