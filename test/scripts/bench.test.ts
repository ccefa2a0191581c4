import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blocksOf, checkDecoded } from '../../scripts/bench/decode.ts';
import { eventChunks } from '../../scripts/bench/events.ts';
import { type BenchResult, chartSvg } from '../../scripts/bench/chart.ts';
import { exportTiles, foldEvents } from '../../scripts/bench/fold.ts';
import { checkEqual, median, type Row, ratioOf } from '../../scripts/bench/measure.ts';
import { makeTiles } from '../../scripts/bench/threads.ts';
import { ratesOf, tenthsOf } from '../../scripts/bench/tiles.ts';
import { checkMerged } from '../../scripts/bench/window.ts';
import { compileFolder } from '../../src/compile/compile.ts';

const TILES = join(import.meta.dir, '../../scripts/bench/features/tiles');
const SHAPE = { events: 2_000, seed: 42, newUsers: 0, days: 7 };

interface View {
  id: string;
  time: string;
  type: string;
  data: { user: string; post: string; creator: string; ms: number; liked: boolean; lang: string };
}

let folder = '';
let path = '';
const text = (shape = SHAPE) => [...eventChunks(shape)].join('');
const views = (of: string) =>
  of
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as View);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tilefold-bench-'));
  path = join(folder, 'events.ndjson');
  await writeFile(path, text());
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test('the same options give the same events, another seed gives others', () => {
  expect(text()).toBe(text());
  expect(text({ ...SHAPE, seed: 43 })).not.toBe(text());
  // Benchmarks of different days are of the same events: whoever changes them writes docs/bench.md anew.
  expect(new Bun.CryptoHasher('sha1').update(text()).digest('hex')).toBe('a39e25fc3b6f13789ad3344caa22c1b79345d5b3');
});

test('events have the shape that the benchmarks say', () => {
  const all = views(text());
  expect(all.length).toBe(SHAPE.events);
  expect(text().length / all.length).toBeWithin(180, 200);
  const times = all.map(({ time }) => Date.parse(time));
  expect(Math.min(...times)).toBeGreaterThanOrEqual(Date.UTC(2026, 2, 1));
  expect(Math.max(...times)).toBeLessThan(Date.UTC(2026, 2, 9));
  const posts = Map.groupBy(all, ({ data }) => data.post);
  const busiest = Math.max(...Array.from(posts.values(), each => each.length));
  // By Zipf's law the first of 100,000 has one view in twelve.
  expect(busiest / all.length).toBeWithin(0.06, 0.11);
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
});

test('events are a little out of order, never by more than three seconds', () => {
  // The first few thousand of many, for those are within moments of one another.
  const [chunk] = eventChunks({ ...SHAPE, events: 500_000 });
  const times = views(chunk!).map(({ time }) => Date.parse(time));
  let latest = 0;
  let behind = 0;
  for (const time of times) {
    latest = Math.max(latest, time);
    behind = Math.max(behind, latest - time);
  }
  expect(behind).toBeWithin(1, 3_001);
});

test('new users come at a fixed rate', () => {
  const users = views(text({ ...SHAPE, newUsers: 10 })).map(({ data }) => Number(data.user.slice(1)));
  expect(users.filter(user => user >= 1_000_000).length).toBe(SHAPE.events / 10);
});

test('the kernel and JSON.parse read the same', async () => {
  const event = (await compileFolder(TILES, { latenessMs: 0 })).events[0]!;
  const blocks = await blocksOf(path);
  expect(await checkDecoded(blocks, event, blocks)).toBe(SHAPE.events);
});

test('where they read different things there is no ratio', async () => {
  const event = (await compileFolder(TILES, { latenessMs: 0 })).events[0]!;
  const blocks = await blocksOf(path);
  const other = blocks.map(block =>
    Buffer.from(Buffer.from(block).toString().replace('"liked":false', '"liked":true ')),
  );
  expect(checkDecoded(blocks, event, other)).rejects.toThrow('column 5, value 0: ours is false');
});

test('the kernel and protobuf merge the same', async () => {
  const { rows, values } = await checkMerged(TILES, path, 'post');
  expect(rows).toBeGreaterThan(1_000);
  expect(values).toBeGreaterThan(1_000);
});

/** Count and sums of every tile, by hand. */
function wantedTiles(): string[] {
  const wanted = new Map<string, [n: number, ms: number, liked: number]>();
  for (const { time, data } of views(text()))
    for (const level of [60_000, 1_800_000, 86_400_000]) {
      const place = `${data.post},${level},${Math.floor(Date.parse(time) / level) * level}`;
      const [n, ms, liked] = wanted.get(place) ?? [0, 0, 0];
      wanted.set(place, [n + 1, ms + data.ms, liked + Number(data.liked)]);
    }
  return Array.from(wanted, ([place, numbers]) => `${place},${numbers.join(',')}\n`).sort();
}

test('tiles that are exported are those of the events', async () => {
  const settings = { definitions: TILES, events: path, database: ':memory:', memoryBytes: 2 ** 24, expires: false };
  const state = await foldEvents(settings);
  const exported = [...exportTiles(state)].sort();
  state.close();
  expect(exported).toEqual(wantedTiles());
  expect(state.folded.events).toBe(SHAPE.events);
});

test.each([
  [0, true],
  [0, false],
  [2, true],
  [2, false],
])('and so they are of %d workers, in memory: %p', async (workers, inMemory) => {
  const settings = { definitions: TILES, events: path, database: join(folder, `${workers}.db`), memoryBytes: 2 ** 26 };
  let exported: string[] = [];
  const made = await makeTiles({ ...settings, workers, inMemory }, state => {
    exported = [...exportTiles(state)].sort();
  });
  expect(exported).toEqual(wantedTiles());
  expect(made.events).toBe(SHAPE.events);
  expect(made.rowsWritten === 0).toBe(inMemory);
  expect(made.bytes).toBeGreaterThan(wantedTiles().length);
});

describe('the chart', () => {
  const row = (work: string, ours: number, peer: number | null): Row => ({
    ...{ work, unit: 'events/s', ours, goal: null, note: '', memory: { ours: null, peer: null } },
    peer: peer === null ? null : { name: 'A & B', value: peer },
  });
  const result = (...rows: Row[]): BenchResult => ({ machine: ['machine: 2 cores', 'versions: tilefold 1'], rows });
  const widths = (svg: string) =>
    Array.from(svg.matchAll(/<rect class="(\w+)" x="([\d.]+)" .*? width="([\d.]+)"/g), ([, kind, x, width]) => {
      return [kind, Number(x), Number(width)] as const;
    });

  test('bars begin at 1: ten times as much is as long to the one side as a tenth is to the other', () => {
    const svg = chartSvg(result(row('fast', 100, 10), row('slow', 1, 10), row('alone', 1, null), row('same', 7, 7)));
    const [fast, slow, same, ...rest] = widths(svg);
    expect(rest).toEqual([]);
    expect([fast![0], slow![0], same![0]]).toEqual(['better', 'worse', 'better']);
    expect(fast![1]).toBeCloseTo(slow![1] + slow![2], 0);
    expect(fast![2]).toBeCloseTo(slow![2], 0);
    expect(same![2]).toBe(0);
    for (const told of ['fast', '10x', '0.1x', 'beside A &amp; B', 'machine: 2 cores', 'versions: tilefold 1'])
      expect(svg).toContain(`>${told}<`);
    expect(svg).not.toContain('alone');
  });

  test('is XML that a parser reads, and has texts for both sides of the day', () => {
    const svg = chartSvg(result(row('a < b', 3, 2)));
    const open = Array.from(svg.matchAll(/<(svg|title|desc|style|text)\b/g), ([, name]) => name).sort();
    const closed = Array.from(svg.matchAll(/<\/(\w+)>/g), ([, name]) => name).sort();
    expect(closed).toEqual(open);
    expect(svg).toContain('a &lt; b');
    expect(svg).toContain('prefers-color-scheme: dark');
  });

  test('without a peer there is nothing to draw', () => {
    expect(() => chartSvg(result(row('alone', 1, null)))).toThrow('no row of this run has a peer');
  });
});

test('medians and ratios', () => {
  expect(median([3, 1, 2])).toBe(2);
  const row: Row = {
    ...{ work: 'w', unit: 'ms', ours: 2, peer: { name: 'p', value: 6 }, goal: null, note: '' },
    memory: { ours: null, peer: null },
  };
  expect(ratioOf(row)).toBe(3);
  expect(ratioOf({ ...row, unit: 'events/s' })).toBe(1 / 3);
  expect(ratioOf({ ...row, peer: null })).toBe(null);
});

test('values that differ are told, the first of them', () => {
  expect(() => checkEqual('w', [1, 0, 3], [1, -0, 4])).toThrow("w, value 1: ours is 0, the peer's 0");
  expect(() => checkEqual('w', [1], [1, 2])).toThrow('1 values of ours, 2 of the peer');
});

test('a log of more days has the same events further apart', () => {
  const [week, more] = [SHAPE, { ...SHAPE, days: 35 }].map(shape => views(text(shape)));
  expect(more!.length).toBe(week!.length);
  expect(more!.map(({ data }) => data)).toEqual(week!.map(({ data }) => data));
  const spanOf = (list: typeof week) => Date.parse(list!.at(-1)!.time) - Date.parse(list![0]!.time);
  expect(spanOf(more) / spanOf(week)).toBeWithin(4.99, 5.01);
});

test('tenths of a run', () => {
  const progress = Array.from({ length: 20 }, (_, i) => ({
    ...{ events: (i + 1) * 5, seconds: (i + 1) * (i < 10 ? 1 : 2), cpuSeconds: (i + 1) / 2 },
    ...{ rowsWritten: i + 1, rowsReadBack: 0 },
  }));
  const tenths = tenthsOf(progress, 0, 100);
  expect(tenths.length).toBe(10);
  expect(tenths[0]).toEqual({ eventsPerSecond: 5, eventsPerCpuSecond: 10, rowsWritten: 2, rowsReadBack: 0 });
  expect(tenths[9]!.eventsPerSecond).toBe(3);
  // What one takes longer the others do not make up for by their rates.
  const slow = { eventsPerSecond: 50, eventsPerCpuSecond: 10 };
  const fast = { eventsPerSecond: 100, eventsPerCpuSecond: 10 };
  expect(ratesOf([fast, slow, fast])).toEqual({ eventsPerSecond: 75, eventsPerCpuSecond: 10 });
});
