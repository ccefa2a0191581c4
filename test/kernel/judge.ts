/** What the kernel makes of lines, held against JSON.parse and against the oracle, which stands on it. */
import { expect } from 'bun:test';
import type { Layout } from '../../src/kernel/layout.ts';
import type { EventType } from '../../src/plan/plan.ts';
import type { Field } from '../../src/plan/value.ts';
import { plan } from '../oracle/fixtures/spell.ts';
import { nestingDepth } from '../oracle/json.ts';
import { type LogRecord, parseLog } from '../oracle/log.ts';
import { timeFromJson } from '../oracle/time.ts';
import { decodeBlock, decodingLayout, joined, NEVER_MS } from './columns.ts';

const DEPTH_MAX = 64;

/** JSON.parse's own word on a line: is it an object with a type and a time? */
export function isRecord(line: Uint8Array): boolean {
  let json: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line);
    json = JSON.parse(text);
    if (nestingDepth(text) > DEPTH_MAX) return false;
  } catch {
    return false;
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return false;
  const own = (name: string) => (Object.hasOwn(json, name) ? (json as { [name: string]: unknown })[name] : undefined);
  const prefix = own('type') === undefined ? '_' : '';
  const [type, time] = [own(`${prefix}type`), own(`${prefix}time`)];
  if (typeof type !== 'string' || type === '') return false;
  if (typeof time === 'number')
    return Number.isInteger(time) && time >= -62_167_219_200_000 && time <= 253_402_300_799_999;
  return typeof time === 'string' && timeFromJson(time) !== null;
}

/** Holds what the kernel makes of lines against JSON.parse and against the oracle, line by line. */
export function judgeLines(of: Layout, events: EventType[], lines: Uint8Array[]): { records: number; good: number } {
  const block = joined(lines);
  const decoded = decodeBlock(of, block);
  const oracle = parseLog(block, plan({ events }), { clock: 'event', maxJumpMs: NEVER_MS });
  const accepted = new Set(decoded.records.map(record => record.line));
  for (const [i, line] of lines.entries())
    if (accepted.has(i + 1) !== isRecord(line))
      throw new Error(`the kernel ${accepted.has(i + 1) ? 'takes' : 'rejects'} ${show(line)}`);
  expect(decoded.rejected.map(({ line }) => line)).toEqual(oracle.rejected.map(({ line }) => line));
  for (const { reason, line } of decoded.rejected)
    if (reason === 'nothing is wrong') throw new Error(`no reason to reject ${show(lines[line - 1]!)}`);
  expect(decoded.records.length).toBe(oracle.records.length);
  for (const [i, record] of decoded.records.entries()) {
    const theirs = oracle.records[i]!;
    const event = events.find(e => e.name === theirs.type);
    // The oracle calls an event of an undeclared type bad; to the kernel it is none of its business.
    const wanted = event
      ? { line: theirs.line, type: theirs.type, time: theirs.time, bad: theirs.bad !== null }
      : { line: theirs.line, type: null, time: theirs.time, bad: false };
    const got = { line: record.line, type: record.type, time: record.timeMicros, bad: record.bad !== null };
    if (!Bun.deepEquals(got, wanted))
      throw new Error(`${show(lines[record.line - 1]!)}: ${say(got)}, not ${say(wanted)}`);
    if (record.inputs !== null && !Bun.deepEquals(record.inputs, theirs.inputs))
      throw new Error(`${show(lines[record.line - 1]!)}: ${say(record.inputs)}, not ${say(theirs.inputs)}`);
    const [fault] = theirs.faults;
    if (fault && !record.bad!.reason.includes(`input ${placeOf(event!, fault.path)} `))
      throw new Error(`${show(lines[record.line - 1]!)}: ${record.bad!.reason}, not ${theirs.bad}`);
  }
  return { records: decoded.records.length, good: decoded.records.filter(r => r.inputs !== null).length };
}

/** Holds what the kernel makes of events against the oracle, line by line; and how many were good, bad, and good with a fault. */
export async function judgeEvents(
  events: EventType[],
  lines: Uint8Array[],
): Promise<{ good: number; bad: number; faulty: number }> {
  const block = joined(lines);
  const decoded = decodeBlock(await decodingLayout(events), block);
  const oracle = parseLog(block, plan({ events }), { clock: 'event', maxJumpMs: NEVER_MS });
  const line = (number: number) => show(lines[number - 1]!);
  let faulty = 0;
  expect(decoded.rejected.map(one => one.line)).toEqual(oracle.rejected.map(one => one.line));
  expect(decoded.records.map(one => one.line)).toEqual(oracle.records.map(one => one.line));
  for (const [i, record] of decoded.records.entries()) {
    const { inputs, bad } = record;
    const theirs = oracle.records[i]!;
    const event = events.find(({ name }) => name === theirs.type);
    if (!event) continue;
    const reason = bad?.reason ?? '';
    const [fault] = theirs.faults;
    const isNamed = !fault || event.inputs.some(input => reason.includes(`input ${placeIn(input, fault.path)} `));
    if ((bad !== null) !== (theirs.bad !== null) || (event.onFault === 'reject' && !isNamed))
      throw new Error(`${line(record.line)}: ${reason || 'good'}, not ${theirs.bad}`);
    if (inputs && !Bun.deepEquals(inputs, theirs.inputs))
      throw new Error(`${line(record.line)}: ${Bun.inspect(inputs)}, not ${Bun.inspect(theirs.inputs)}`);
    const told = event.onFault === 'reject' ? {} : faultsOf(event, theirs);
    if (inputs && !Bun.deepEquals(record.faults, told))
      throw new Error(`${line(record.line)}: ${Bun.inspect(record.faults)}, not ${Bun.inspect(told)}`);
    if (Object.values(told).some(text => text !== null)) faulty++;
  }
  const good = decoded.records.filter(({ inputs }) => inputs !== null).length;
  return { good, bad: decoded.records.filter(({ bad }) => bad !== null).length, faulty };
}

/** The oracle names an input by its path, the kernel by its name. */
function placeIn({ name, path }: Field, fault: string): string | null {
  const steps = path.join('.');
  return fault.startsWith(steps) ? name + fault.slice(steps.length) : null;
}

/** What is said of each input, as users see it. */
function faultsOf({ inputs }: EventType, { faults }: LogRecord): { [input: string]: string | null } {
  const told = inputs.map(({ name, path }) => {
    const found = faults.find(fault => fault.input === name);
    const isWithin = found && found.path !== path.join('.');
    return [name, found ? (isWithin ? `${found.path}: ${found.text}` : found.text) : null];
  });
  return Object.fromEntries(told);
}

/** The input that a fault is in, with what the fault's path has behind that of the input: `crew[2]`. */
function placeOf(event: EventType, path: string): string {
  const paths = event.inputs.map(input => input.path.join('.'));
  const exact = paths.indexOf(path);
  const at = exact >= 0 ? exact : paths.findIndex(one => path.startsWith(`${one}[`));
  return event.inputs[at]!.name + path.slice(paths[at]!.length);
}

export function show(line: Uint8Array): string {
  return `${JSON.stringify(new TextDecoder().decode(line))} (${Buffer.from(line).toString('hex')})`;
}

function say(value: unknown): string {
  return JSON.stringify(value, (_, of) => (typeof of === 'bigint' ? `${of}n` : of));
}
