/** CSV and Parquet as DuckDB, pandas and pyarrow write them, against what Python says that they hold. */
import { expect, test } from 'bun:test';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { parseMicros } from '../../src/base/time.ts';
import { eventFiles } from '../../src/source/files.ts';
import { folders } from '../source/folder.ts';

const newFolder = folders();
const python = pythonOrSkip('timelines of CSV and Parquet');

interface Event {
  type: string;
  micros: string;
  id?: string;
  data: Record<string, unknown>;
}

async function eventsIn(path: string, ofData: (value: unknown) => unknown): Promise<Event[]> {
  let text = '';
  for await (const { bytes } of (await eventFiles([path], {})).read(0)) text += new TextDecoder().decode(bytes);
  // Digits beyond what a double holds are kept as text before JSON is parsed.
  const lines = text.trimEnd().split('\n');
  return lines.map(line => {
    const digits = line.replace(/:(-?\d{16,})(?=[,}])/g, ':"$1"');
    const { type, time, id, data } = JSON.parse(digits) as {
      type: string;
      time: string | number;
      id?: string;
      data: object;
    };
    const micros = typeof time === 'number' ? String(time * 1000) : String(parseMicros(time));
    const entries = Object.entries(data).map(([name, value]) => [name, ofData(value)]);
    return { type, micros, ...(id !== undefined && { id }), data: Object.fromEntries(entries) };
  });
}

function said(value: unknown): unknown {
  if (value === Infinity || value === -Infinity) return value > 0 ? 'inf' : '-inf';
  return value;
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
  const micros = typeof value === 'string' ? parseMicros(value) : null;
  return micros === null ? value : { micros: String(micros) };
}

test.skipIf(python === null)('events in CSV and Parquet are those that were written, to the last bit', async () => {
  const folder = newFolder();
  mkdirSync(folder);
  const written = runPython(python!, ['scripts/python/write_events.py', folder]);
  const { events, nested }: { events: string[]; nested: string[] } = JSON.parse(new TextDecoder().decode(written));
  const expected = (name: string): Event[] => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const wanted = expected('events.json');
  expect(wanted).toHaveLength(500);
  // Integers are told as text; a double that is whole may be either.
  const same = (event: Event) => ({
    ...event,
    data: { ...event.data, ...(event.data.cents !== undefined && { cents: String(event.data.cents) }) },
  });
  for (const name of events)
    expect([name, (await eventsIn(join(folder, name), said)).map(same)]).toEqual([name, wanted]);
  for (const name of nested)
    expect([name, await eventsIn(join(folder, name), plain)]).toEqual([name, expected('nested.json')]);
});
