/** Columns that are swept key by key: their files are those of jobs that take event by event, byte by byte. */
import { describe, expect, spyOn, test } from 'bun:test';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileSources } from '../../src/compile/compile.ts';
import { isList } from '../../src/kernel/feature_column.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { Aside } from '../../src/replay/aside.ts';
import { type Manifest, manifestJson, PATHS } from '../../src/replay/manifest.ts';
import { eventsOf } from '../../src/replay/results.ts';
import { Woven } from '../../src/replay/weave.ts';
import { MAX_JUMP_DEFAULT_MS } from '../../src/source/source.ts';
import { parseLog } from '../oracle/log.ts';
import { eventRow } from '../oracle/naive.ts';
import { body, tame } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';
import { seeds } from '../seeds.ts';
import { randomTopology, randomTopologyLines } from '../sim/topologies.ts';
import { folders } from '../source/folder.ts';
import { done, planned, timelineOf, toldOf } from './runs.ts';

const SEEDS = seeds(6, 200);
const newFolder = folders();

interface Made {
  manifest: Manifest;
  folder: string;
  /** By the name of the file. */
  files: Map<string, string>;
}

/** All columns of a plan, with the jobs as they are planned, or all of them event by event. */
async function made(
  plan: Plan,
  lines: string[][],
  parts: number,
  isSwept: boolean,
  memoryBytes: number,
): Promise<Made> {
  const folder = newFolder();
  const timelines = [];
  for (const [i, some] of lines.entries())
    timelines.push(await timelineOf(PATHS.chunks(folder), tame(some), `timeline${i}`));
  const whole = planned(folder, { plan, timelines, parts });
  const manifest = isSwept ? whole : { ...whole, jobs: whole.jobs.map(job => ({ ...job, isSwept: false })) };
  writeFileSync(PATHS.manifest(folder), manifestJson(manifest));
  await done(folder, manifest, memoryBytes);
  const names = readdirSync(PATHS.columns(folder)).sort();
  const files = new Map(
    names.map(name => [
      name,
      new Bun.CryptoHasher('md5').update(readFileSync(join(PATHS.columns(folder), name))).digest('hex'),
    ]),
  );
  return { manifest, folder, files };
}

const MEMORY_BYTES = 2 ** 30;

/** @returns how many columns were swept */
async function compare(plan: Plan, lines: string[][], parts: number, memoryBytes = MEMORY_BYTES): Promise<number> {
  const swept = await made(plan, lines, parts, true, memoryBytes);
  const walked = await made(plan, lines, parts, false, MEMORY_BYTES);
  const { files, shown } = swept.manifest;
  const others = shown.filter(
    ({ id }) => swept.files.get(`${files[id]}.column`) !== walked.files.get(`${files[id]}.column`),
  );
  // Where files differ, say first which values do.
  if (others.length > 0) console.log(others.map(({ name }) => name).join(' '));
  if (others.length > 0) expect(toldOf(swept.folder, swept.manifest)).toEqual(toldOf(walked.folder, walked.manifest));
  expect(others.map(({ name }) => name)).toEqual([]);
  return swept.manifest.jobs
    .filter(({ isSwept, part }) => isSwept && (part?.index ?? 0) === 0)
    .flatMap(({ columns }) => columns).length;
}

describe.each(SEEDS)('random topology %d', seed => {
  test('files are the same', async () => {
    const rng = new Random(seed + 77_000);
    const plan = randomTopology(rng, 6 + rng.below(14));
    const lines = [randomTopologyLines(rng, 300), ...(rng.chance(0.3) ? [randomTopologyLines(rng, 80)] : [])];
    await compare(plan, lines, rng.pick([1, 1, 6]), rng.pick([MEMORY_BYTES, 25_000]));
  });
});

const WINDOWS = [
  ...['2h', '1d@30m', 'lifetime', 'tumbling 1h', 'hopping 90m every 30m', '2h offset 10m', 'exact 10m', 'exact 1d'],
];
const SQL = [
  ...['COUNT(*) AS n', 'COUNT(x) AS known', 'SUM(x) AS s', 'SUM(y) AS real', 'AVG(x) AS mean', 'AVG(y) AS real_mean'],
  ...['MIN(x) AS low', 'MAX(y) AS high', 'FIRST(t) AS first', 'LAST(t) AS last', 'LAST(b) AS flag'],
  ...['LAST_N(t, 3) AS texts', 'LAST_N(y, 2) AS reals', 'LAST_N(b, 2) AS flags', 'STDDEV_SAMP(y) AS spread'],
  ...['SUM(x * 4000000000000000000) AS huge', 'MAX(b) AS any', 'SUM(x) FILTER (WHERE b) AS some'],
];

/** Two sets, each of half of the windows and of the functions. */
async function setsPlan(rng: Random): Promise<Plan> {
  const [windows, items] = [WINDOWS, SQL].map(all => all.toSorted(() => rng.below(3) - 1)) as [string[], string[]];
  const half = (all: string[], isFirst: boolean) => all.filter((_, i) => (i % 2 === 0) === isFirst);
  const set = (name: string, source: string, offset: string) => `---
feature_set: ${name}
entity: who
source: ${source}
windows: ${JSON.stringify(half(windows, name === 'near'))}
tiles: [1ms, 1s, 1m, 30m, 1d]
${offset}sql: SELECT who, ${half(items, name === 'near').join(', ')} FROM ${source} GROUP BY who
`;
  const inputs = '{ who: string?, x: int64?, y: double?, t: string?, b: bool? }';
  const text = `events:\n  seen: ${inputs}\n  heard: ${inputs}\nentities: { who: string }\n`;
  const files = [
    { file: 'sets.yaml', text: text + set('near', 'seen', '') + set('far', 'heard', 'tile_offset: 7m\n') },
  ];
  const { plan, faults } = await compileSources(files, { latenessMs: 3_600_000 });
  expect(faults.map(({ message }) => message)).toEqual([]);
  return plan;
}

/** Most a little out of order, some very, some of the same moment; nulls, and texts that are longer than lists keep. */
function setsLines(rng: Random, count: number, disorderMs: number): string[] {
  let clockMs = Date.UTC(2024, 0, 1);
  return Array.from({ length: count }, () => {
    clockMs += rng.pick([0, 1, 30_000, rng.below(600_000)]);
    const ms = clockMs - rng.below(disorderMs) * rng.pick([0, 0, 1]);
    const maybe = (value: unknown) => (rng.chance(0.15) ? null : value);
    const y = rng.pick([-0, 0.1, 1e300, -1e-300, rng.below(100) / 7]);
    const data = {
      who: maybe(rng.pick(['a', 'a', 'b', 'ç', ''])),
      x: maybe(rng.below(9) - 2),
      y: maybe(y),
      t: maybe(rng.chance(0.03) ? 'x'.repeat(1025) : rng.pick(['', 'ä', 'long enough', 'b'])),
      b: maybe(rng.chance(0.5)),
    };
    return JSON.stringify({ type: rng.pick(['seen', 'heard']), time: new Date(ms).toISOString(), data });
  });
}

test.each([
  ['in order', 1, 1],
  ['a little out of order', 3_000, 3],
  ['later than may be', 4 * 3_600_000, 1],
])('sets over windows of every kind, events %s', async (_what, disorderMs, parts) => {
  const rng = new Random(disorderMs);
  const plan = await setsPlan(rng);
  const count = await compare(plan, [setsLines(rng, 400, disorderMs)], parts);
  expect(count).toBe(2 * plan.features.length);
});

test('keys whose events are in order, of which one comes later than may be', async () => {
  const rng = new Random(8);
  const plan = await setsPlan(rng);
  const lines = setsLines(rng, 400, 1).map(line => {
    const event = JSON.parse(line) as { time: string; data: { who: string | null } };
    const behindMs = event.data.who === 'a' ? 4 * 3_600_000 : 0;
    return JSON.stringify({ ...event, time: new Date(Date.parse(event.time) - behindMs).toISOString() });
  });
  await compare(plan, [lines], 1);
});

test.each([
  [1, 'a little out of order', 3_000],
  [3, 'later than may be', 4 * 3_600_000],
])(
  'what has no room is put aside, and swept by portions of all keys; in %d parts, events %s',
  async (parts, _what, disorderMs) => {
    const put = spyOn(Aside.prototype, 'put');
    const woven = spyOn(Woven.prototype, 'next');
    try {
      const plan = await setsPlan(new Random(parts));
      const lines = setsLines(new Random(parts), 1_500, disorderMs).map(manyKeys);
      await compare(plan, [lines], parts, 250_000);
      expect(put.mock.calls.length).toBeGreaterThan(3);
      expect(woven.mock.calls.length).toBeGreaterThan(plan.features.length / 2);
    } finally {
      put.mockRestore();
      woven.mockRestore();
    }
  },
);

test('portions of which the only feed is the next one again', async () => {
  const woven = spyOn(Woven.prototype, 'next');
  try {
    const text = [
      ...['event seen', 'who := $.who as string?', 'x := $.x as int?'],
      ...['near := Sum(x by who last 2 hours)', 'far := Sum(x by who last day)', ''],
    ].join('\n');
    const { plan } = await compileSources([{ file: 'seen.scowl', text }], { latenessMs: 3_600_000 });
    expect(await compare(plan, [setsLines(new Random(9), 1_500, 1).map(manyKeys)], 1, 80_000)).toBe(2);
    expect(woven.mock.calls.length).toBe(2);
  } finally {
    woven.mockRestore();
  }
});

test('portions of a part of all keys, of events that name two of them', async () => {
  const woven = spyOn(Woven.prototype, 'next');
  try {
    const set = (name: string, key: string) =>
      `---\nfeature_set: ${name}\nentity: person\nsource: sent\nwindows: [2h]\n` +
      `sql: SELECT ${key}, SUM(x) AS s, LAST(x) AS last FROM sent GROUP BY ${key}\n`;
    const text = `events: { sent: { payer: string, payee: string, x: int64? } }\nentities: { person: string }\n`;
    const files = [{ file: 'sent.yaml', text: text + set('paid', 'payer') + set('got', 'payee') }];
    const { plan, faults } = await compileSources(files, { latenessMs: 3_600_000 });
    expect(faults).toEqual([]);
    const rng = new Random(10);
    const lines = Array.from({ length: 1_500 }, (_, i) => {
      const ms = Date.UTC(2024, 0, 1) + i * 60_000 - rng.below(4 * 3_600_000) * rng.pick([0, 0, 1]);
      const data = { payer: `a${rng.below(40)}`, payee: `a${rng.below(40)}`, x: rng.pick([null, rng.below(9)]) };
      return JSON.stringify({ type: 'sent', time: new Date(ms).toISOString(), data });
    });
    // Both by both.
    expect(await compare(plan, [lines], 3, 80_000)).toBe(8);
    expect(woven.mock.calls.length).toBeGreaterThan(4);
  } finally {
    woven.mockRestore();
  }
});

/** Thirty more, some of them long, so that the most frequent one has room. */
function manyKeys(line: string, i: number): string {
  return line.replace('"a"', i % 2 === 0 ? `"a${i % 30}"` : `"a longer key, ${i % 30}"`);
}

test('what has no room is taken event by event', async () => {
  await compare(await setsPlan(new Random(5)), [setsLines(new Random(5), 200, 3_000)], 1, 1000);
});

test('what is too much out of order is taken event by event', async () => {
  const at = (i: number) => new Date(Date.UTC(2024, 0, 2) - i * 1000).toISOString();
  const line = (i: number) =>
    JSON.stringify({ type: 'seen', time: at(i), data: { who: 'a', x: i, y: i / 3, t: `${i}`, b: true } });
  await compare(await setsPlan(new Random(6)), [Array.from({ length: 300 }, (_, i) => line(i))], 1);
});

test('values are those of the oracle', async () => {
  const rng = new Random(31);
  const plan = randomTopology(rng, 16);
  const lines = randomTopologyLines(rng, 150);
  const { manifest, folder } = await made(plan, [lines], 1, true, MEMORY_BYTES);
  const swept = new Set(manifest.jobs.filter(({ isSwept }) => isSwept).flatMap(({ columns }) => columns));
  expect(swept.size).toBeGreaterThan(3);
  const log = parseLog(body(tame(lines)), plan, { clock: 'event', maxJumpMs: MAX_JUMP_DEFAULT_MS });
  for (const event of plan.events) {
    const rows = log.records.flatMap(({ type }, p) => {
      const row = type === event.name ? eventRow(plan, log, p) : null;
      return row ? [row] : [];
    });
    let at = 0;
    for (const { count, columns } of eventsOf(manifest, folder, event.name))
      for (let i = 0; i < count; i++, at++)
        for (const { name, values, nulls } of columns) {
          if (!swept.has(name) || isList(values)) continue;
          const wanted = rows[at]![name.slice(event.name.length + 1)];
          const plain = typeof wanted === 'boolean' ? Number(wanted) : wanted;
          expect({ name, at, value: nulls[i] ? null : values[i] }).toEqual({
            name,
            at,
            value: plain as number | string | bigint | null,
          });
        }
    expect(at).toBe(rows.length);
  }
});
