/**
 * How the oracle reads an event log, the whole of it into memory:
 *
 *   line -> record (or rejected at the door) -> its event's inputs (or a bad event) -> its type's clock -> the rows that it
 *   adds and takes back, where its key's last row may be one of them
 *
 * It shares no code with src, only the types of the plan.
 */
import type { Changelog, EventType, Plan, Upsert } from '../../src/plan/plan.ts';
import type { Field, Slot, Type, Value } from '../../src/plan/value.ts';
import { isObject, type Json, JsonNumber, type JsonObject, member, nestingDepth, parseJson } from './json.ts';
import { integerFromText, wholePartOf } from './number.ts';
import { timeFromJson } from './time.ts';

export interface LogOptions {
  clock: 'event' | 'wall';
  maxJumpMs: number;
  /** When each record arrived, by position, microseconds since 1970 UTC. `clock: wall` needs it. */
  arrivals?: bigint[];
}

export interface Log {
  options: LogOptions;
  /** By position. */
  records: LogRecord[];
  /** Lines that never got a position; `line` counts from 1. */
  rejected: { line: number; reason: string }[];
}

export interface LogRecord {
  position: number;
  /** Where it came from, counted from 1. */
  line: number;
  type: string;
  /** Microseconds since 1970 UTC, as is all time here. */
  time: bigint;
  /** Null for a good event of a declared type, which alone counts anywhere; else why it is not one. */
  bad: string | null;
  /** By input name; empty where the event is not declared or is bad before its inputs are looked at. */
  inputs: Inputs;
  /** What it adds and takes back: of an append-only event itself; nothing of a bad one. */
  rows: LogRow[];
  /** What is wrong with the inputs, in their order and that of what is in them. With `onFault: reject` any of it makes the event bad. */
  faults: LogFault[];
  /** Its type's clock, this record included; null where nothing has set it yet. */
  clock: bigint | null;
  /** What that clock showed first. */
  since: bigint | null;
  /** The log's now, this record included. */
  now: bigint;
}

export type Inputs = { [name: string]: Value };

export interface LogFault {
  /** Name of the input that it is in. */
  input: string;
  /** Where in the data. */
  path: string;
  text: string;
}

export interface LogRow {
  inputs: Inputs;
  /** Of the row itself: it is what tiles and windows go by. */
  time: bigint;
  /** +1 or -1; null where the type's own expression says it. */
  weight: bigint | null;
}

/** A longer line is rejected, and so is a deeper one; an object is one deep. */
const LINE_BYTES_MAX = 1 << 20;
const DEPTH_MAX = 64;

/** Elements and fields that the lists and structs of one event may have. */
const NESTED_VALUES_MAX = 1 << 20;

/** A longer line that says what a row of a key is now is bad: the row is kept. */
const UPSERT_BYTES_MAX = 1 << 16;

/** An event further ahead of its arrival is bad, where that is known. */
const AHEAD_MAX_MICROS = 600_000_000n;

export const UNDECLARED = 'undeclared type';

/** Reads NDJSON. Blank lines are no records and nothing is said of them. */
export function parseLog(ndjson: string | Uint8Array, plan: Plan, options: LogOptions): Log {
  const log: Log = { options, records: [], rejected: [] };
  const past: Past = { clocks: new Map(), last: new Map() };
  for (const [i, bytes] of splitLines(ndjson).entries()) {
    const opened = openLine(bytes);
    if (opened === null) continue;
    if (typeof opened === 'string') log.rejected.push({ line: i + 1, reason: opened });
    else log.records.push(readRecord({ ...opened, size: bytes.length }, i + 1, plan, log, past));
  }
  return log;
}

/** What records before have left. */
interface Past {
  /** By event type. */
  clocks: Map<string, TypeClock>;
  /** By event type and key: what the last record that was not bad said of the row, where it was not deleted. */
  last: Map<string, Inputs>;
}

interface TypeClock {
  /** Null where nothing has set it yet. */
  shows: bigint | null;
  /** What it showed first. */
  since: bigint | null;
  /** Different times, each too far ahead of it, of records since the last good one. */
  jumps: bigint[];
}

function splitLines(ndjson: string | Uint8Array): Uint8Array[] {
  const bytes = typeof ndjson === 'string' ? new TextEncoder().encode(ndjson) : ndjson;
  const lines: Uint8Array[] = [];
  let from = 0;
  for (let to = bytes.indexOf(10); to >= 0; to = bytes.indexOf(10, from)) {
    lines.push(bytes.subarray(from, to));
    from = to + 1;
  }
  if (from < bytes.length) lines.push(bytes.subarray(from));
  return lines;
}

interface Opened {
  type: string;
  time: bigint;
  /** What stands around the data is a change of a row by itself. */
  isBare: boolean;
  /** The event's data; null where there is something else in its place. Empty where there is none. */
  data: JsonObject | null;
  isEmpty: boolean;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A record, or the reason why there is none, or null for a blank line. */
function openLine(bytes: Uint8Array): Opened | string | null {
  const line = bytes.at(-1) === 13 ? bytes.subarray(0, -1) : bytes;
  let text: string;
  let json: Json;
  try {
    text = utf8.decode(line);
  } catch {
    return 'not UTF-8';
  }
  if (/^[ \t\r]*(null[ \t\r]*)?$/.test(text)) return null;
  if (line.length > LINE_BYTES_MAX) return 'too long';
  if (nestingDepth(text) > DEPTH_MAX) return 'too deep';
  try {
    json = parseJson(text);
  } catch {
    return 'not JSON';
  }
  if (!isObject(json)) return 'not an object';
  const bare = openBare(json);
  if (typeof bare === 'string' || bare !== null) return bare;
  const flat = member(json, 'type') === undefined && member(json, '_type') !== undefined;
  const type = member(json, flat ? '_type' : 'type');
  if (typeof type !== 'string' || type === '') return 'no type';
  const time = timeFromJson(member(json, flat ? '_time' : 'time'));
  if (time === null) return 'no time';
  const given = (flat ? json : member(json, 'data')) ?? null;
  const data = given ?? {};
  return {
    ...{ type: type.toWellFormed(), time, isBare: false, isEmpty: given === null },
    data: isObject(data) ? data : null,
  };
}

/** A change as Debezium sends it, of which nobody has said what type it is: that is the table's name. Null where it is none. */
function openBare(json: JsonObject): Opened | string | null {
  if (member(json, 'type') !== undefined || member(json, '_type') !== undefined) return null;
  const envelope = envelopeOf(json);
  const source = envelope && member(envelope, 'source');
  if (!envelope || typeof member(envelope, 'op') !== 'string' || !isObject(source ?? undefined)) return null;
  const changed = source as JsonObject;
  const type = member(changed, 'table');
  if (typeof type !== 'string' || type === '') return 'no type';
  const at = member(changed, 'ts_ms') ?? null;
  const isKnown = at !== null && !(at instanceof JsonNumber && integerFromText(at.text) === 0n);
  const time = timeFromJson(isKnown ? at : member(envelope, 'ts_ms'));
  return time === null ? 'no time' : { type: type.toWellFormed(), time, isBare: true, isEmpty: false, data: json };
}

/** With a schema beside it or without; null where a null stands for it. */
function envelopeOf(json: JsonObject): JsonObject | null {
  const payload = member(json, 'payload');
  return payload === null ? null : isObject(payload) ? payload : json;
}

function readRecord(
  opened: Opened & { size: number },
  line: number,
  plan: Plan,
  log: Log,
  { clocks, last }: Past,
): LogRecord {
  const { type, time, data } = opened;
  const { options } = log;
  const position = log.records.length;
  const arrival = options.arrivals?.[position];
  if (options.clock === 'wall' && arrival === undefined) throw new Error(`no arrival for position ${position}`);
  const event = plan.events.find(e => e.name === type);
  const record: LogRecord = {
    ...{ position, line, type, time, bad: null, inputs: {}, rows: [], faults: [] },
    ...{ clock: null, since: null, now: 0n },
  };
  const clock = clocks.get(type) ?? { shows: null, since: null, jumps: [] };
  clocks.set(type, clock);
  if (!event) record.bad = UNDECLARED;
  else if (arrival !== undefined && time - arrival > AHEAD_MAX_MICROS) record.bad = 'ahead of its arrival';
  else if (options.clock === 'event' && jumps(time, clock, options)) record.bad = 'jumps ahead';
  else {
    if (options.clock === 'wall') clock.shows = arrival!;
    else if (clock.shows === null || time > clock.shows) clock.shows = time;
    clock.since ??= clock.shows;
    clock.jumps = [];
    if (data === null) record.bad = 'data is not an object';
    else if (event.changelog?.kind === 'upsert') {
      if (opened.size > UPSERT_BYTES_MAX) record.bad = 'longer than a row that is kept';
      else readUpsert(event, event.changelog, opened, record, last);
    } else if (event.changelog?.kind === 'debezium') readChange(event, opened, record);
    else {
      readInputs(event, opened.isBare ? {} : data, record);
      if (record.bad === null) readRow(event, record);
    }
  }
  record.clock = clock.shows;
  record.since = clock.since;
  record.now = options.clock === 'wall' ? arrival! : greatest(clocks.values());
  return record;
}

/** Too far ahead of the clock; but a third time beside two others, all near each other, is believed. */
function jumps(time: bigint, clock: TypeClock, options: LogOptions): boolean {
  const furthest = BigInt(options.maxJumpMs) * 1000n;
  if (clock.shows === null || time - clock.shows <= furthest) return false;
  if (clock.jumps.slice(-2).includes(time)) return true;
  clock.jumps.push(time);
  const times = clock.jumps.slice(-3).sort((a, b) => (a < b ? -1 : 1));
  return times.length < 3 || times[2]! - times[0]! > furthest;
}

/** With no event yet, now is 0. */
function greatest(clocks: Iterable<TypeClock>): bigint {
  let most: bigint | null = null;
  for (const { shows } of clocks) if (shows !== null && (most === null || shows > most)) most = shows;
  return most ?? 0n;
}

function readInputs(event: EventType, data: JsonObject, record: LogRecord): void {
  const read = (input: Field) => {
    const reading: Reading = { input: input.name, onFault: event.onFault, faults: record.faults };
    return [input.name, readField(data, input, input.path.join('.'), reading)];
  };
  record.inputs = Object.fromEntries(event.inputs.map(read));
  const count = Object.values(record.inputs).reduce((sum: number, value) => sum + nestedCount(value), 0);
  if (count > NESTED_VALUES_MAX) tooMany(event, record);
  const fault = record.faults[0];
  if (fault && event.onFault === 'reject') record.bad = `${fault.path}: ${fault.text}`;
}

/** Where an event's lists, maps and structs have too many values all of them are lost. */
function tooMany({ inputs, onFault }: EventType, { inputs: values, faults }: LogRecord): void {
  const text = onFault === 'reject' ? 'too many values' : `more than ${NESTED_VALUES_MAX} values`;
  for (const { name, path, presence } of inputs) {
    const fallback = presence.kind === 'default' ? presence.value : null;
    if (typeof values[name] !== 'object' || values[name] === null || values[name] === fallback) continue;
    values[name] = fallback;
    const others = faults.filter(fault => fault.input !== name);
    faults.splice(0, faults.length, ...others, { input: name, path: path.join('.'), text });
  }
}

const OPS: Record<string, bigint> = { '+I': 1n, '+U': 1n, '-U': -1n, '-D': -1n };

/** The row that an event is. */
function readRow(event: EventType, record: LogRecord): void {
  const { inputs, time } = record;
  const { changelog } = event;
  if (!changelog) {
    record.rows = [{ inputs, time, weight: event.weight ? null : 1n }];
    return;
  }
  const weight = changelog.kind === 'ops' ? OPS[inputs[changelog.op] as string] : undefined;
  if (weight === undefined) record.bad = 'no kind of change';
  else addRow(changelog, record, inputs, weight);
}

function addRow({ time: named }: Pick<Changelog, 'time'>, record: LogRecord, inputs: Inputs, weight: bigint): void {
  const time = named === null ? record.time : (inputs[named] as bigint);
  if (time - record.time > AHEAD_MAX_MICROS) record.bad = 'the row is ahead of its change';
  else record.rows.push({ inputs, time, weight });
}

/** The rows of an envelope: what it takes back, then what it adds. A deleted row is what a replay shows of the event. */
function readChange(event: EventType, { data, isEmpty }: Opened, record: LogRecord): void {
  const envelope = envelopeOf(data!);
  if (isEmpty || !envelope) return;
  const sides = { c: ['after'], r: ['after'], u: ['before', 'after'], d: ['before'] }[member(envelope, 'op') as string];
  if (!sides) record.bad = 'no kind of change';
  for (const side of sides ?? []) {
    const row = member(envelope, side);
    if (!isObject(row)) record.bad = `${side} is no row`;
    else readInputs(event, row, record);
    if (record.bad === null && Object.values(record.inputs).includes('__debezium_unavailable_value'))
      record.bad = 'a value is unavailable';
    if (record.bad === null) addRow(event.changelog!, record, record.inputs, side === 'after' ? 1n : -1n);
    if (record.bad !== null) break;
  }
  if (record.bad !== null) record.rows = [];
}

/** What the last record said of the row is taken back, and what this one says is added. */
function readUpsert(
  event: EventType,
  upsert: Upsert & { time: string | null },
  opened: Opened,
  record: LogRecord,
  last: Map<string, Inputs>,
): void {
  const found = rowOfUpsert(event, upsert, opened, record);
  if (!found || record.bad !== null) return;
  const place = JSON.stringify([event.name, ...upsert.key.map(name => String(record.inputs[name]))]);
  const before = last.get(place);
  if (found === 'row') {
    addRow(upsert, record, record.inputs, 1n);
    if (record.bad !== null) return;
    last.set(place, record.inputs);
  } else last.delete(place);
  if (!before) return;
  const time = upsert.time === null ? record.time : (before[upsert.time] as bigint);
  record.rows.unshift({ inputs: before, time, weight: -1n });
  if (found === 'gone') record.inputs = before;
}

/** Is its key's row now what the record's inputs say, or gone? Null where nothing is said of it. */
function rowOfUpsert(
  event: EventType,
  { key, form, says }: Upsert,
  opened: Opened,
  record: LogRecord,
): 'row' | 'gone' | null {
  const keys: EventType = { ...event, inputs: event.inputs.filter(({ name }) => key.includes(name)) };
  const wrong = (why: string) => {
    record.bad = why;
    return null;
  };
  if (form === 'debezium') {
    const envelope = envelopeOf(opened.data!);
    if (opened.isEmpty || !envelope) return null;
    const op = member(envelope, 'op');
    if (typeof op !== 'string' || !['c', 'r', 'u', 'd'].includes(op)) return wrong('no kind of change');
    const row = member(envelope, op === 'd' ? 'before' : 'after');
    if (!isObject(row)) return wrong('the row is no row');
    readInputs(op === 'd' ? keys : event, row, record);
    if (op !== 'd' && Object.values(record.inputs).includes('__debezium_unavailable_value'))
      record.bad ??= 'a value is unavailable';
    return op === 'd' ? 'gone' : 'row';
  }
  const data = opened.isBare ? {} : opened.data!;
  const said = says === null ? null : readSaid(event, says, data);
  if (form === 'ops' && said === '-U') return null;
  const isGone = form === 'ops' ? said === '-D' : said === true || said === 'true';
  readInputs(isGone ? keys : event, data, record);
  const known: unknown[] = form === 'ops' ? ['+I', '+U', '-D'] : [true, false, 'true', 'false', null];
  if (record.bad === null && !known.includes(said)) record.bad = 'no kind of change';
  return isGone ? 'gone' : 'row';
}

/** An input by itself; null where something is wrong with it. */
function readSaid(event: EventType, name: string, data: JsonObject): Value {
  const input = event.inputs.find(one => one.name === name)!;
  const reading: Reading = { input: name, onFault: 'reject', faults: [] };
  const value = readField(data, input, name, reading);
  return reading.faults.length > 0 ? null : value;
}

function nestedCount(value: Value): number {
  if (typeof value !== 'object' || value === null) return 0;
  const within = Object.values(value);
  return within.reduce((sum: number, one) => sum + nestedCount(one), within.length);
}

interface Reading {
  input: string;
  /** `convert` tries to make something of what is of another type. */
  onFault: EventType['onFault'];
  faults: LogFault[];
}

/** Walks an input's path, or a struct field's. `where` names the place for faults. */
function readField(object: JsonObject, field: Field, where: string, reading: Reading): Value {
  let at: Json | undefined = object;
  for (const step of field.path) {
    if (at === undefined || at === null) break;
    if (!isObject(at)) {
      const isBad = reading.onFault === 'reject';
      return faulty(field, where, isBad ? 'a step of the path is not an object' : expected(field, reading), reading);
    }
    at = member(at, step);
  }
  return readSlot(at, field, where, reading);
}

function readSlot(json: Json | undefined, slot: Slot, where: string, reading: Reading): Value {
  const converts = reading.onFault === 'convert';
  if (json === undefined || json === null || (converts && json === 'null')) {
    if (slot.presence.kind === 'default') return slot.presence.value;
    if (slot.presence.kind === 'required') note(where, absent(json === undefined, reading), reading);
    return null;
  }
  const value = readValue(json, slot.type, where, reading) ?? convert(json, slot.type, where, reading);
  return value === undefined ? faulty(slot, where, expected(slot, reading), reading) : value;
}

/** Texts of `reject` are the oracle's own; the others are what users see. */
function absent(isMissing: boolean, { onFault }: Reading): string {
  if (onFault === 'reject') return `required, but ${isMissing ? 'missing' : 'null'}`;
  return isMissing ? 'required input missing' : 'required input is null';
}

/** Types have the names that topologies have for them. */
function expected({ type }: Slot, { onFault }: Reading): string {
  const name = { int64: 'int', double: 'float' }[type.kind as 'int64'] ?? type.kind;
  return `expected ${onFault === 'reject' ? type.kind : name}`;
}

/** What stands where a value is not of its type; never seen with `onFault: reject`. */
function faulty(slot: Slot, path: string, text: string, reading: Reading): Value {
  note(path, text, reading);
  return slot.presence.kind === 'default' ? slot.presence.value : null;
}

function note(path: string, text: string, { input, faults }: Reading): void {
  faults.push({ input, path, text });
}

/** Undefined where the JSON is not of the type. */
function readValue(json: Json & {}, type: Type, where: string, reading: Reading): Value | undefined {
  switch (type.kind) {
    case 'bool':
      return typeof json === 'boolean' ? json : undefined;
    case 'string':
      return typeof json === 'string' ? json.toWellFormed() : undefined;
    case 'int64':
      return json instanceof JsonNumber ? (integerFromText(json.text) ?? undefined) : undefined;
    case 'double':
      return json instanceof JsonNumber ? Number(json.text) : undefined;
    case 'time':
      return timeFromJson(json) ?? undefined;
    case 'list':
      if (!Array.isArray(json)) return undefined;
      return json.map((element, i) => readSlot(element, type.of, `${where}[${i}]`, reading));
    case 'map':
      return isObject(json) ? readMap(json, type.of, where, reading) : undefined;
    case 'struct':
      if (!isObject(json)) return undefined;
      return Object.fromEntries(
        type.fields.map(f => [f.name, readField(json, f, `${where}.${f.path.join('.')}`, reading)]),
      );
  }
}

/** A map is in the order of its keys' bytes. */
function readMap(json: JsonObject, of: Slot, where: string, reading: Reading): Value {
  const entries = new Map(Object.entries(json).map(([key, value]) => [key.toWellFormed(), value]));
  const ordered = [...entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return Object.fromEntries(ordered.map(([key, value]) => [key, readSlot(value, of, `${where}['${key}']`, reading)]));
}

/**
 * What `onFault: convert` makes of a value of another type, as a user would expect it:
 *
 * - int, float: a text that is a JSON number, the whole of it. An int of a number with a fraction loses that, and says so.
 * - bool: the texts `true` and `false`.
 * - string: a number or a bool, spelled as it was written: `5.0` stays `5.0`.
 * - time: a text that is a date, for its midnight, or epoch milliseconds.
 */
function convert(json: Json & {}, type: Type, where: string, reading: Reading): Value | undefined {
  if (reading.onFault !== 'convert') return undefined;
  const isText = typeof json === 'string' && NUMBER.test(json);
  const text = isText ? json : json instanceof JsonNumber ? json.text : null;
  switch (type.kind) {
    case 'bool':
      return json === 'true' ? true : json === 'false' ? false : undefined;
    case 'double':
      return text === null ? undefined : Number(text);
    case 'int64':
      return text === null ? undefined : cutInteger(text, where, reading);
    case 'string':
      return typeof json === 'boolean' ? String(json) : (text ?? undefined);
    case 'time':
      if (typeof json === 'string' && DATE.test(json)) return timeFromJson(`${json}T00:00:00Z`) ?? undefined;
      return isText ? (timeFromJson(new JsonNumber(json)) ?? undefined) : undefined;
    default:
      return undefined;
  }
}

function cutInteger(text: string, where: string, reading: Reading): bigint | undefined {
  const exact = integerFromText(text);
  if (exact !== null) return exact;
  const cut = wholePartOf(text);
  if (cut === null) return undefined;
  note(where, 'loss of precision', reading);
  return cut;
}

/** A JSON number, as text. */
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

const DATE = /^\d{4}-\d\d-\d\d$/;
