/** `--order time`: a replay of events sorted by time, ties as they came, is that of a log that was in this order from the start. */
import { describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compileSources } from '../../src/compile/compile.ts';
import { composeReplay } from '../../src/cli/alone/retelling.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { ByTime } from '../../src/replay/by_time.ts';
import { PATHS, planReplay } from '../../src/replay/manifest.ts';
import { sortedSource, sortedTimeline } from '../../src/replay/sorted.ts';
import { type Order, streamed } from '../../src/replay/stream.ts';
import { localDisk } from '../../src/source/disk.ts';
import { MAX_JUMP_DEFAULT_MS, type Source } from '../../src/source/source.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { parseLog } from '../oracle/log.ts';
import { body, smallWeek, tame, wild } from '../sim/flights.ts';
import { compareValue } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';
import { seeds } from '../seeds.ts';
import { randomTopology, randomTopologyLines } from '../sim/topologies.ts';
import { folders } from '../source/folder.ts';
import { dataFolders, HOW } from './data_folder.ts';
import { done, planned, timelineOf, toldOf, toldWhole } from './runs.ts';

const newFolder = folders();
const dataFolder = dataFolders();
const CLOCK = { clock: 'event' as const, maxJumpMs: MAX_JUMP_DEFAULT_MS };

function freshFolder(): string {
  const folder = newFolder();
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Small runs, so that most of them wait in files. */
const byTimeIn = (folder: string, runBytes = 5_000) => new ByTime(localDisk, folder, 'sorting', runBytes);

/** Lines by the oracle's reading of their times; sorting is stable. */
function sortedLines(lines: Uint8Array[], plan: Plan): Uint8Array[] {
  const { records } = parseLog(body(lines), plan, CLOCK);
  const sorted = records.toSorted((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)));
  return sorted.map(({ line }) => lines[line - 1]!);
}

const KEYS: Record<string, string[]> = {
  origin_delays: ['origin'],
  destination_delays: ['destination'],
  route_delays: ['origin', 'destination'],
};

test('each row of flights that came in disorder = oracle over the log in the order of time', async () => {
  const plan = flightsPlan();
  const lines = wild(await smallWeek(5, 8), 11);
  const log = parseLog(body(sortedLines(lines, plan)), plan, CLOCK);
  const source: Source = {
    clock: { kind: 'wall', maxJumpMs: MAX_JUMP_DEFAULT_MS },
    async *read() {
      for (let from = 0; from < lines.length; from += 70)
        yield { bytes: body(lines.slice(from, from + 70)), arrivalMicros: 5n, file: 'log', line: from + 1 };
    },
  };
  const folder = freshFolder();
  const rejected: number[] = [];
  const sorted = sortedSource(source, byTimeIn(folder), ({ line }) => rejected.push(line));
  const rows = { memoryBytes: 2 ** 28, path: join(folder, 'rows') };
  let bad = 0;
  const replay = await composeReplay(plan, sorted, rows, {
    onRejected: () => expect.unreachable(),
    onBad: () => bad++,
  });
  const good = log.records.filter(record => record.bad === null);
  let row = 0;
  for await (const batch of replay.batches)
    for (let i = 0; i < batch.count; i++, row++) {
      const { position, time, inputs } = good[row]!;
      expect([Number(batch.positions[i]), batch.timesMicros[i]!]).toEqual([position, time]);
      for (const column of batch.columns) {
        const key = KEYS[column.name.split(':')[0]!]!.map(name => inputs[name]!);
        compareValue(plan, column, i, log, key, position, time);
      }
    }
  const told = log.records.filter(({ bad, type }) => bad !== null && type === 'flight');
  expect([row, bad]).toEqual([good.length, told.length]);
  expect(rejected).toEqual(parseLog(body(lines), plan, CLOCK).rejected.map(({ line }) => line));
  expect(rejected.length).toBeGreaterThan(3);
  expect(readdirSync(folder)).toEqual([]);
});

describe.each(seeds(3, 100))('random topology %d', seed => {
  test('jobs over sorted timelines = the replay in one piece of lines that were sorted before', async () => {
    const random = new Random(seed + 700);
    const plan = randomTopology(random, 4 + random.below(8));
    const all = [tame(randomTopologyLines(random, 120)), tame(randomTopologyLines(random, 40))];
    const some = all.slice(0, 1 + random.below(2));
    const [folder, chunks, other] = [newFolder(), freshFolder(), newFolder()];
    mkdirSync(PATHS.chunks(folder), { recursive: true });
    const types = new Set(plan.events.map(({ name }) => name));
    const timelines = [];
    const wanted = [];
    for (const [i, lines] of some.entries()) {
      const logged = await timelineOf(chunks, lines, `t${i}`);
      const where = { chunks, to: PATHS.chunks(folder), byTime: byTimeIn(chunks) };
      timelines.push(await sortedTimeline(logged, types, where));
      const declared = sortedLines(lines, plan).filter(line => types.has(JSON.parse(String(Buffer.from(line))).type));
      wanted.push({ ...(await timelineOf(other, declared, `t${i}`)), order: 'time' as const });
    }
    const manifest = await done(folder, planned(folder, { plan, timelines, order: 'time', parts: 4 }));
    expect(toldOf(folder, manifest)).toEqual(await toldWhole(other, plan, { ...manifest, timelines: wanted }));
  });
});

const SCOWL = `
event login
user := $.user as string
ok := $.ok as bool
shout := Upper(user)
fails := Count(by user where not ok last 1 hour)
last_ok := Last(ok by user)
`;

const loginLines = (random: Random, count: number) =>
  Array.from({ length: count }, () => {
    const time = new Date(Date.UTC(2026, 0, 1) + random.below(40) * 300_000).toISOString();
    const data = { user: `u${random.below(3)}`, ok: random.chance(0.5) };
    return Buffer.from(JSON.stringify({ type: 'login', time, data }));
  });

async function loginPlan(): Promise<Plan> {
  const { plan, faults } = await compileSources([{ file: 'l.scowl', text: SCOWL }], { latenessMs: 3_600_000 });
  expect(faults).toEqual([]);
  return plan;
}

test('columns in the order of time have names of their own, but for timelines that were in it', async () => {
  const plan = await loginPlan();
  const log = await timelineOf(freshFolder(), loginLines(new Random(1), 50));
  const filesOf = (of: typeof log, order: Order) =>
    planReplay({
      ...{ id: 'test', plan, definitions: 'tests', order, streamed: streamed([of], order), patterns: null },
      ...{ engine: 'e', stretch: { startMicros: null, endMicros: null }, createdAtMicros: 0n, parts: 1 },
      has: () => false,
    }).files;
  const [logged, timed] = [Object.values(filesOf(log, 'log')), Object.values(filesOf(log, 'time'))];
  expect(logged.filter(file => timed.includes(file))).toEqual([]);
  expect(timed.length).toBe(logged.length);
  const files = { ...log, order: 'time' as const };
  expect(filesOf(files, 'log')).toEqual(filesOf(files, 'time'));
});

test('a run sorts what it reads, once, and the next one takes all of it', async () => {
  const { config, runs, request } = await dataFolder(50);
  const chunks = join(config.timelines.dir, 'chunks');
  const plan = await loginPlan();
  const lines = loginLines(new Random(2), 300);
  const timelines = [await timelineOf(chunks, lines)];
  const first = await runs.plan(await request({ plan, timelines, order: 'time' }), null);
  await runs.run(first.folder, HOW, () => {});
  const other = newFolder();
  const wanted = [await timelineOf(other, sortedLines(lines, plan))];
  const told = toldOf(first.folder, first.manifest);
  expect(told).toEqual(await toldWhole(other, plan, { ...first.manifest, timelines: wanted }));
  expect(told).not.toEqual(await toldWhole(chunks, plan, { ...first.manifest, timelines }));
  expect(runs.show(first.folder).manifest.order).toBe('time');
  const again = await runs.plan(await request({ plan, timelines, order: 'time' }), null);
  expect([
    again.manifest.jobs,
    existsSync(PATHS.chunks(again.folder)) && readdirSync(PATHS.chunks(again.folder)),
  ]).toEqual([[], []]);
  expect(toldOf(again.folder, again.manifest)).toEqual(told);
  expect((await runs.plan(await request({ plan, timelines }), null)).manifest.jobs.length).toBeGreaterThan(0);
});
