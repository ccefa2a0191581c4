/** Extremes of texts, lists of the greatest and the earliest, sets, and approximate counts, replayed: each as DuckDB has it. */
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
feature_set: ranked
entity: origin
source: flight
windows: [2h, 1d, 5d, lifetime]
sql: |
  SELECT origin,
         MAX(destination) AS greatest,
         MIN(destination) AS least,
         TOP_N(delay, 5) AS top,
         MIN(delay, 3) AS low,
         ARG_MAX(destination, delay) AS best,
         ARG_MIN(destination, delay, 4) AS worst,
         FIRST_N(delay, 3) AS first,
         LIST(delay) AS delays,
         LIST(DISTINCT destination) AS places,
         LAST_N(DISTINCT destination, 3) AS recent,
         TIME_SINCE_LAST() FILTER (WHERE delay > 60) AS since,
         APPROX_COUNT_DISTINCT(destination) AS about
  FROM flight
  GROUP BY origin
`;

/** What scripts/python/check_rankings.py writes. */
interface Checked {
  rows: number;
  compared: number;
  differences: string[];
  approximate: { count: number; exact: number; worst: number };
}

const python = pythonOrSkip('rankings = DuckDB');

test.skipIf(python === null)(
  'values in an order are what DuckDB makes of the same log, and counts are near',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tilefold-rankings-'));
    const file = (name: string) => join(folder, name);
    const lines = (await weekLines()).filter((_, i) => i % STEP === 0);
    await Bun.write(file('flights.ndjson'), body(tame(lines)));
    await Bun.write(file('features/ranked.yaml'), FEATURES);
    const words = ['--features', file('features'), '--log', file('flights.ndjson'), '--out', file('out.arrow')];
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, 'src/main.ts', 'replay', ...words], { cwd: ROOT });
    expect([exitCode, stderr.toString()]).toEqual([0, expect.stringContaining(`${lines.length} events`)]);
    const args = ['scripts/python/check_rankings.py', file('out.arrow'), file('flights.ndjson')];
    const checked: Checked = JSON.parse(new TextDecoder().decode(runPython(python!, args)));
    await rm(folder, { recursive: true });

    expect(checked.differences).toEqual([]);
    expect(checked.rows).toBe(lines.length);
    expect(checked.compared).toBe(lines.length * 11 * 4);
    expect(checked.approximate.count).toBe(lines.length * 4);
    // At most a hundred destinations in 4096 registers: two of them in one register, now and then.
    expect(checked.approximate.worst).toBeLessThan(0.05);
    expect(checked.approximate.exact).toBeGreaterThan(checked.approximate.count / 2);
  },
);
