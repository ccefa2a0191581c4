import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { type Document, parseDocument } from 'yaml';
import { Fault, type Position } from '../base/fault.ts';
import { parseNumbers } from '../base/json.ts';
import { didYouMean } from '../base/name.ts';
import { formatMicros } from '../base/time.ts';
import { cellJson, keyJson } from '../http/columnar.ts';
import type { FeatureColumn } from '../kernel/feature_column.ts';
import { STATUS } from '../kernel/window.ts';
import type { Plan } from '../plan/plan.ts';
import type { ReplayBatch, ReplayParts } from '../replay/replay.ts';
import { ndjsonFiles } from '../source/ndjson.ts';
import { type Clock, MAX_JUMP_DEFAULT_MS, type Source } from '../source/source.ts';
import { type Case, EVENTS_FILE, type Item, type Plain } from './cases.ts';
import { composeMoments, composeReplay } from './alone/retelling.ts';

/** What became of a case. */
export interface Outcome {
  name: string;
  events: number;
  values: number;
  differences: Difference[];
  /** Every item with all that came out for it; behind those of the file, events that are bad and were not expected to be. */
  actual: [Item, Actual][];
}

export interface Difference {
  /** The event or the lookup, as users see it. */
  of: string;
  /** Of a feature, or `bad`; behind `error of` where it is about that. */
  name: string;
  /** As JSON; a status stands behind it where one is expected. */
  expected: string;
  got: string;
  at: Position;
}

/** What came out for an item. */
interface Actual {
  label: string;
  /** What names of the event's own features begin with, and need not; empty for a lookup. */
  own: string;
  values: Map<string, Value>;
  /** What is wrong with features of an event. */
  errors: Map<string, string>;
  /** Why the event counts nowhere. */
  bad: string | null;
}

interface Value {
  value: Plain;
  status: string | null;
}

const NOTHING = { own: '', values: new Map<string, Value>(), errors: new Map<string, string>() };

/** Files come without arrivals, so their clock can only be that of their events. */
const CLOCK: Clock = { kind: 'event', maxJumpMs: MAX_JUMP_DEFAULT_MS };

/** A case is small: its rows stay in memory. */
const MEMORY_BYTES = 4 * 1024 ** 3;

/** Where nothing is expected yet, every event is an item that lacks all. */
export async function runCase({ name, events, items, plan, expected }: Case): Promise<Outcome> {
  const source = await ndjsonFiles([events], CLOCK);
  const rows = await eventRows(plan, source, events);
  const known = items.length > 0 ? items : [...rows.keys()].map(position => emptyItem(position, expected));
  const surprises = [...rows].filter(([position, { bad }]) => bad !== null && !isNamed(known, position));
  const wanted = [...known, ...surprises.map(([position]) => emptyItem(position, expected))];
  const actual = await actualOf(plan, source, wanted, rows, events);
  const differences = actual.flatMap(([item, of]) => differencesOf(item, of, plan));
  const values = items.reduce((sum, { features }) => sum + Object.keys(features).length, 0);
  return { name, events: rows.size, values, differences, actual };
}

function emptyItem(position: number, file: string): Item {
  const of = { kind: 'event', position } as const;
  return { of, features: {}, statuses: {}, errors: null, bad: null, at: startOf(file) };
}

function startOf(file: string): Position {
  return { file, line: 1, column: 1, length: 1 };
}

function isNamed(items: Item[], position: number): boolean {
  return items.some(({ of }) => of.kind === 'event' && of.position === position);
}

/**
 * Every event by its position, as a replay has it.
 *
 * @throws Fault where a line is no event: it has no position, and nothing could be expected of it
 */
async function eventRows(plan: Plan, source: Source, file: string): Promise<Map<number, Actual>> {
  const rows = new Map<number, Actual>();
  const around: Pick<ReplayParts, 'onRejected' | 'onBad'> = {
    onRejected: ({ line, reason }) => {
      throw new Fault('request', reason, { file, line, column: 1, length: 1 });
    },
    onBad: ({ position, type, timeMicros, code, reason }) =>
      rows.set(position, {
        label: labelOf(position, type, timeMicros),
        ...NOTHING,
        bad: `${code}: ${reason}`,
      }),
  };
  const replay = await composeReplay(plan, source, rowsBeside(file), around);
  try {
    for await (const batch of replay.batches) for (const [position, row] of rowsOf(batch)) rows.set(position, row);
  } finally {
    replay.close();
  }
  return new Map([...rows].sort(([a], [b]) => a - b));
}

function rowsBeside(file: string) {
  return { memoryBytes: MEMORY_BYTES, path: `${file}.rows` };
}

function labelOf(position: number, type: string, timeMicros: bigint): string {
  return `event ${position}, ${type} at ${formatMicros(timeMicros)}`;
}

/** Features of the event itself go by their names in its topology, too. */
function* rowsOf({ count, positions, timesMicros, types, columns, errors }: ReplayBatch): Generator<[number, Actual]> {
  const cells = columns.map(column => readerOf(column));
  const wrong = Map.groupBy(errors, ({ position }) => position);
  for (let row = 0; row < count; row++) {
    const own = `${types[row]}.`;
    const position = Number(positions[row]);
    const actual = { ...NOTHING, label: labelOf(position, types[row]!, timesMicros[row]!), own, bad: null };
    actual.values = new Map(columns.map(({ name }, i) => [shortName(actual, name), cells[i]!(row)]));
    actual.errors = new Map(wrong.get(position)?.map(({ feature, text }) => [shortName(actual, feature), text]));
    yield [position, actual];
  }
}

function readerOf(column: FeatureColumn): (row: number) => Value {
  const cell = cellJson(column);
  return row => ({ value: parsePlain(cell(row)), status: STATUS[column.statuses[row]!]! });
}

/** JSON whose whole numbers are bigint, with all their digits. */
export function parsePlain(text: string): Plain {
  return parseNumbers<Plain>(text, digits => (/^-?\d+$/.test(digits) ? BigInt(digits) : Number(digits)));
}

async function actualOf(
  plan: Plan,
  source: Source,
  items: Item[],
  rows: Map<number, Actual>,
  file: string,
): Promise<[Item, Actual][]> {
  const lookups = items.filter(({ of }) => of.kind === 'lookup');
  const answers = lookups.length > 0 ? await lookedUp(plan, source, lookups, file) : [];
  const found = new Map(lookups.map((item, i) => [item, answers[i]!]));
  return items.map(item => {
    if (item.of.kind === 'lookup') return [item, found.get(item)!];
    const row = rows.get(item.of.position);
    if (row) return [item, row];
    throw new Fault('request', `there is no event ${item.of.position} in ${EVENTS_FILE} of a declared type`, item.at);
  });
}

async function lookedUp(plan: Plan, source: Source, items: Item[], file: string): Promise<Actual[]> {
  const moments = items.map(({ of, features, statuses, at }) => {
    if (of.kind !== 'lookup') throw new Error('only lookups have moments');
    const { entity, key, atMicros } = of;
    const sets = plan.sets.filter(set => set.entity === entity).map(set => `${set.name}:*`);
    if (sets.length === 0) throw unknownName('entity', entity, entitiesOf(plan), at);
    const named = [...new Set([...Object.keys(features), ...Object.keys(statuses)])];
    for (const name of named) checkName(plan, name, at);
    return { entity, key, atMicros, features: named.length > 0 ? named : sets };
  });
  const answers = await composeMoments(plan, source, rowsBeside(file), TOLD, moments);
  return answers.map((answer, i) => {
    const { entity, key } = moments[i]!;
    const columns = answer.entities[0]!.features;
    const values = new Map(columns.map(column => [column.name, readerOf(column)(0)]));
    return { ...NOTHING, label: `${entity} ${keyJson(key)} at ${formatMicros(answer.timeMicros)}`, values, bad: null };
  });
}

/** What is wrong with events was found with their rows. */
const TOLD = { onRejected: () => {}, onBad: () => {} };

function entitiesOf(plan: Plan): string[] {
  return [...new Set(plan.sets.map(({ entity }) => entity))];
}

function checkName(plan: Plan, name: string, at: Position): void {
  const ofEvents = plan.events.flatMap(({ name: event, features = [] }) =>
    features.flatMap(({ column }) => [column, `${event}.${column}`]),
  );
  const known = [...plan.features.map(feature => feature.name), ...ofEvents];
  if (!known.includes(name)) throw unknownName('feature', name, known, at);
}

function unknownName(what: string, name: string, known: string[], at: Position): Fault {
  return new Fault('not_found', `there is no ${what} ${name}${didYouMean(name, known)}`, at);
}

function differencesOf(item: Item, actual: Actual, plan: Plan): Difference[] {
  const { label, bad } = actual;
  if (bad !== null || item.bad !== null) {
    const isAsSaid = item.bad === true ? bad !== null : item.bad !== null && bad?.startsWith(`${item.bad}:`);
    return isAsSaid
      ? []
      : [
          difference(
            label,
            'bad',
            item.bad === true ? 'a bad event' : (item.bad ?? 'a good event'),
            bad ?? 'a good event',
            item.at,
          ),
        ];
  }
  const { features, statuses, errors } = item;
  if (Object.keys({ ...features, ...statuses }).length === 0 && errors === null) return missing(actual, item.at);
  const differences: Difference[] = [];
  const compare = (name: string, isRight: boolean, expected: string, got: string) => {
    if (!isRight) differences.push(difference(label, name, expected, got, item.at));
  };
  for (const [name, expected] of Object.entries(features)) {
    const value = valueNamed(actual, name, plan, item.at)?.value ?? null;
    compare(name, isSame(expected, value), jsonOf(expected), jsonOf(value));
  }
  for (const [name, expected] of Object.entries(statuses)) {
    const status = valueNamed(actual, name, plan, item.at)?.status ?? null;
    compare(name, status === expected, expected ?? 'no status', status ?? 'no status');
  }
  if (errors === null) return differences;
  const said = new Map(Object.entries(errors).map(([name, text]) => [shortName(actual, name), text]));
  for (const name of new Set([...said.keys(), ...actual.errors.keys()])) {
    const [expected, got] = [said.get(name), actual.errors.get(name)];
    compare(`error of ${name}`, expected === got, expected ?? 'none', got ?? 'none');
  }
  return differences;
}

function shortName({ own }: Actual, name: string): string {
  return own !== '' && name.startsWith(own) ? name.slice(own.length) : name;
}

function valueNamed(actual: Actual, name: string, plan: Plan, at: Position): Value | undefined {
  const value = actual.values.get(shortName(actual, name));
  if (!value) checkName(plan, name, at);
  return value;
}

/** All that is there, where nothing is expected. */
function missing({ label, values }: Actual, at: Position): Difference[] {
  return [...values]
    .filter(([, { value }]) => value !== null)
    .map(([name, { value }]) => difference(label, name, 'nothing yet', jsonOf(value), at));
}

function difference(of: string, name: string, expected: string, got: string, at: Position): Difference {
  return { of, name, expected, got, at };
}

/** A double may be written as a whole number, and the other way round. */
export function isSame(expected: Plain, got: Plain): boolean {
  if (isNumber(expected) && isNumber(got))
    return typeof expected === typeof got ? expected === got : Number(expected) === Number(got);
  if (typeof expected !== 'object' || typeof got !== 'object' || expected === null || got === null)
    return expected === got;
  if (Array.isArray(expected) !== Array.isArray(got)) return false;
  const [left, right] = [Object.entries(expected), new Map(Object.entries(got))];
  return (
    left.length === right.size && left.every(([name, value]) => right.has(name) && isSame(value, right.get(name)!))
  );
}

function isNumber(value: Plain): value is bigint | number {
  return typeof value === 'bigint' || typeof value === 'number';
}

function jsonOf(value: Plain): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, of]) => `${JSON.stringify(name)}: ${jsonOf(of)}`)
    .join(', ')}}`;
}

/** Writes what came out into the file of expectations. Whatever else stands there stays, comments too. */
export async function writeExpected({ expected: path, items }: Case, { actual }: Outcome): Promise<void> {
  const all = actual.map(([item, of]) => withActual(item, of));
  if (path.endsWith('.ndjson')) return writeFile(path, all.map(item => `${jsonOf(item)}\n`).join(''));
  if (items.length === 0 || !existsSync(path)) return writeFile(path, all.map(item => `- ${jsonOf(item)}\n`).join(''));
  const document = parseDocument(await readFile(path, 'utf8'), { intAsBigInt: true });
  for (const [i, item] of all.entries()) {
    if (i >= items.length) document.addIn([], document.createNode(item));
    else setAll(document, i, item);
  }
  await writeFile(path, document.toString({ lineWidth: 0 }));
}

/** Value by value, so that what stands beside them stays. */
function setAll(document: Document, i: number, item: { [name: string]: Plain }): void {
  for (const [name, value] of Object.entries(item)) {
    // Which event or lookup it is of stands there already, as its author wrote it.
    if (name === 'bad') document.setIn([i, name], value);
    if (name === 'errors') document.setIn([i, name], document.createNode(value));
    if (name !== 'features' && name !== 'statuses') continue;
    for (const [inner, of] of Object.entries(value!)) document.setIn([i, name, inner], document.createNode(of));
  }
}

/** An item as it would have passed. */
function withActual(item: Item, actual: Actual): { [name: string]: Plain } {
  const { of } = item;
  const { values, errors, bad } = actual;
  const what: { [name: string]: Plain } =
    of.kind === 'event'
      ? { event: BigInt(of.position) }
      : {
          lookup: { [of.entity]: of.key as Plain },
          ...(of.atMicros === null ? {} : { at: formatMicros(of.atMicros) }),
        };
  if (bad !== null) return { ...what, bad: bad.slice(0, bad.indexOf(':')) };
  const named = Object.keys(item.features);
  const present = [...values].filter(([, { value }]) => value !== null).map(([name]) => name);
  const read = (name: string) => values.get(shortName(actual, name));
  const valueAt = (name: string) => [name, read(name)?.value ?? null] as const;
  const features = Object.fromEntries((named.length > 0 ? named : present).map(valueAt));
  const statuses = Object.keys(item.statuses).map(name => [name, read(name)?.status ?? null] as const);
  return {
    ...what,
    features,
    ...(statuses.length > 0 ? { statuses: Object.fromEntries(statuses) } : {}),
    ...(errors.size > 0 || item.errors !== null ? { errors: Object.fromEntries(errors) } : {}),
  };
}
