/** LAST_N, replayed: its files as pyarrow, Polars, pandas and Python's json read them, and every list as DuckDB has it. */
import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { body, tame, weekLines } from '../sim/flights.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

/** Every fortieth flight of the week: DuckDB makes the whole list of a window for each of them. */
const STEP = 40;

const FEATURES = `events:
  flight:
    origin: string
    destination: string
    delay: { type: int64, optional: true }
entities:
  origin: string
---
feature_set: latest
entity: origin
source: flight
windows: [2h, 1d, 5d, lifetime]
sql: |
  SELECT origin,
         LAST_N(delay, 5) AS delays,
         LAST_N(delay, 3) FILTER (WHERE delay > 15) AS late,
         LAST_N(destination, 1000) AS destinations,
         LAST_N(delay / 7, 10) AS sevenths,
         LAST_N(_time, 2) AS times,
         LAST_N(delay <= 0, 1) AS punctual
  FROM flight
  GROUP BY origin
`;

/** What scripts/python/check_lists.py writes. */
interface Checked {
  rows: number;
  types: { [column: string]: string };
  compared: { ndjson: number; polars: number; pandas: number; duckdb: number };
  items: number;
  differences: string[];
}

const python = pythonOrSkip('LAST_N = DuckDB');

test.skipIf(python === null)(
  'lists are what DuckDB makes of the same log, and what others read in the files',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tilefold-lists-'));
    const file = (name: string) => join(folder, name);
    const lines = (await weekLines()).filter((_, i) => i % STEP === 0);
    await Bun.write(file('flights.ndjson'), body(tame(lines)));
    await Bun.write(file('features/latest.yaml'), FEATURES);
    for (const out of ['out.arrow', 'out.ndjson']) {
      const words = ['replay', '--features', file('features'), '--log', file('flights.ndjson'), '--out', file(out)];
      const { exitCode, stderr } = Bun.spawnSync([process.execPath, 'src/main.ts', ...words], { cwd: ROOT });
      expect([exitCode, stderr.toString()]).toEqual([0, expect.stringContaining(`${lines.length} events`)]);
    }
    const args = ['scripts/python/check_lists.py', file('out.arrow'), file('out.ndjson'), file('flights.ndjson')];
    const checked: Checked = JSON.parse(new TextDecoder().decode(runPython(python!, args)));
    await rm(folder, { recursive: true });

    expect(checked.differences).toEqual([]);
    expect(checked.rows).toBe(lines.length);
    const all = lines.length * 6 * 4;
    expect(checked.compared).toEqual({ ndjson: all, polars: all, pandas: all, duckdb: all });
    expect(checked.items).toBeGreaterThan(all);
    const item = { delays: 'int64', late: 'int64', destinations: 'string', sevenths: 'double', punctual: 'bool' };
    for (const [name, type] of Object.entries(item))
      expect(checked.types[`latest:${name}_1d`]).toBe(`list<item: ${type}>`);
    expect(checked.types['latest:times_1d']).toBe('list<item: timestamp[us, tz=UTC]>');
  },
);
