/**
 * kill -9 of the real process while other definitions are brought into force, computed from the log or given up, and flights are posted. Started
 * again it goes on with either the old ones or the new, and in the end it answers as if it had had the new ones all along.
 */
import { expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileSources, readSources, type SourceFile } from '../../src/compile/compile.ts';
import type { PlanState } from '../../src/http/plan.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { MAX_JUMP_DEFAULT_MS } from '../../src/source/source.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { now, value } from '../oracle/naive.ts';
import { smallWeek } from '../sim/flights.ts';
import { keysOf } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';

const ROOT = join(import.meta.dir, '../..');
const FEATURES = join(ROOT, 'examples/flights/features');
const LATENESS_MS = 3_600_000;

/** `bun scripts/long.ts kill` sets it. */
const LONG = process.env.TILEFOLD_LONG === '1';
const FOLDERS = LONG ? 20 : 1;
const KILLS = LONG ? 12 : 4;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;

/** A process is killed that long after it was asked for other definitions, or after it serves. */
const ALIVE_MAX_MS = 700;

/** Flights of one post: each is sent again until it is acknowledged, under a key of its own. */
const LINES = LONG ? 500 : 40;

/** Enough of them for several rounds of computing, where there is time. */
const flights = LONG ? await smallWeek(24, 2) : await smallWeek(14, 9);
const before = await readSources(FEATURES);
const after = changedFiles(before);
const plan = await planOf(after);

/** One threshold is another one, and there is a set more. */
function changedFiles(files: SourceFile[]): SourceFile[] {
  const redefined = files.map(({ file, text }) => ({
    file,
    text: file.endsWith('origin_delays.yaml') ? text.replace('delay > 15', 'delay > 5') : text,
  }));
  const added = `feature_set: far
entity: destination
source: flight
windows: [6h, 1d, lifetime]
sql: SELECT destination, COUNT(*) AS n, LAST_N(distance, 4) AS last, AVG(delay) AS mean FROM flight WHERE distance > 700 GROUP BY destination
`;
  expect(redefined.map(({ text }) => text)).not.toEqual(files.map(({ text }) => text));
  return [...redefined, { file: 'far.yaml', text: added }];
}

async function planOf(files: SourceFile[]): Promise<Plan> {
  const { plan, faults } = await compileSources(files, { latenessMs: LATENESS_MS });
  expect(faults).toEqual([]);
  return plan;
}

test(
  `${FOLDERS * KILLS} kills while definitions are applied: in the end it is as if they had been there from the start`,
  async () => {
    for (let seed = 1; seed <= FOLDERS; seed++)
      for (const workers of seed % 2 === 0 ? [2] : [0])
        await killOften(seed, workers).catch((error: Error) => {
          throw new Error(`seed ${seed}, ${workers} workers: ${error.message}`, { cause: error });
        });
  },
  TIMEOUT_MS,
);

async function killOften(seed: number, workers: number): Promise<void> {
  const random = new Random(seed);
  const folder = await mkdtemp(join(tmpdir(), 'tilefold-apply-'));
  const told = { batches: 0 };
  try {
    await writeFile(join(folder, 'tilefold.yaml'), config(workers));
    for (let kill = 0; kill < KILLS; kill++) {
      const server = start(folder);
      const url = await server.url;
      const posting = postUntilKilled(url, told);
      if (random.chance(0.8)) void apply(url).catch(() => {});
      await Bun.sleep(random.below(ALIVE_MAX_MS));
      if (random.chance(0.3)) {
        void fetch(`${url}/v1/plan/abort`, { method: 'POST' }).catch(() => {});
        await Bun.sleep(random.below(ALIVE_MAX_MS / 4));
      }
      server.process.kill('SIGKILL');
      await server.process.exited;
      await posting;
    }
    await finish(start(folder), told);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Small segments and a short barrier, so that kills meet them. */
function config(workers: number): string {
  return `
log: { dir: log, clock: event, segment: { bytes: 64KiB } }
store: { sqlite: store/tilefold.db }
definitions: ${FEATURES}
serve: { port: 0 }
fold: { workers: ${workers}, barrier: 20ms, memory: 4MiB }
lateness: 1h
`;
}

interface Server {
  process: Bun.Subprocess<'ignore', 'pipe', 'pipe'>;
  url: Promise<string>;
}

function start(folder: string): Server {
  const words = ['src/main.ts', 'serve', '--grace', '0s', '--config'].map(word =>
    word === 'src/main.ts' ? join(ROOT, word) : word,
  );
  const command = [process.execPath, ...words, join(folder, 'tilefold.yaml')];
  const child = Bun.spawn(command, { cwd: folder, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  return { process: child, url: servedUrl(child) };
}

async function servedUrl(child: Server['process']): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    const url = / on (http:\/\/\S+)\n/.exec(text)?.[1];
    if (url) return url;
  }
  throw new Error(`the server has ended: ${await new Response(child.stderr).text()}`);
}

/** In order, each under a key: what was not acknowledged is sent again by whoever comes next. */
async function postUntilKilled(url: string, told: { batches: number }): Promise<void> {
  while (told.batches * LINES < flights.length) {
    const lines = flights.slice(told.batches * LINES, (told.batches + 1) * LINES);
    const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': `batch-${told.batches}` };
    try {
      const response = await fetch(`${url}/v1/events`, { method: 'POST', headers, body: `${lines.join('\n')}\n` });
      const reply = await response.text();
      if (response.status !== 202) throw new Error(reply);
      expect(JSON.parse(reply)).toMatchObject({ accepted: lines.length, rejected: [] });
    } catch (error) {
      if (error instanceof Error && error.message.includes('accepted')) throw error;
      return;
    }
    told.batches++;
    await Bun.sleep(15);
  }
}

async function apply(url: string): Promise<void> {
  const body = JSON.stringify({ definitions: after, beginning: 'whole' });
  const response = await fetch(`${url}/v1/plan`, { method: 'POST', body });
  const text = await response.text();
  expect([response.status, text]).toEqual([200, expect.stringContaining('"position"')]);
}

/** The process that lives: takes the rest, waits for what is computed, and is asked everything. */
async function finish(server: Server, told: { batches: number }): Promise<void> {
  try {
    const url = await server.url;
    await apply(url);
    await postUntilKilled(url, told);
    expect(told.batches * LINES).toBeGreaterThanOrEqual(flights.length);
    for (let state = await stateOf(url); state.computing; state = await stateOf(url)) await Bun.sleep(50);
    expect((await stateOf(url)).position).toBeGreaterThan(0);
    const text = `${flights.join('\n')}\n`;
    const log = parseLog(text, plan, { clock: 'event', maxJumpMs: MAX_JUMP_DEFAULT_MS });
    await compareAnswers(url, log);
    server.process.kill('SIGTERM');
    expect(await server.process.exited).toBe(0);
  } finally {
    server.process.kill('SIGKILL');
  }
}

async function stateOf(url: string): Promise<PlanState> {
  return (await (await fetch(`${url}/v1/plan`)).json()) as PlanState;
}

interface Reply {
  position: number;
  entities: Record<string, { features: Record<string, { values: unknown[]; statuses?: unknown[] }> }>;
}

async function compareAnswers(url: string, log: Log): Promise<void> {
  const keys = keysOf(log);
  const simple = (key: unknown[]) => (key.length === 1 ? key[0] : key);
  const entities = Object.fromEntries([...keys].map(([entity, of]) => [entity, of.map(simple)]));
  const request = { features: plan.sets.map(set => `${set.name}:*`), entities };
  const response = await fetch(`${url}/v1/features`, { method: 'POST', body: JSON.stringify(request) });
  const reply = (await response.json()) as Reply;
  const p = log.records.length - 1;
  expect([response.status, reply.position]).toEqual([200, p]);
  let count = 0;
  for (const { name, entity } of plan.features)
    for (const [i, key] of keys.get(entity)!.entries()) {
      const { values, statuses } = reply.entities[entity]!.features[name]!;
      const wanted = value(plan, log, name, key, p, now(log, p));
      const found = { name, key, value: values[i], status: statuses?.[i] ?? null };
      expect(found).toEqual({ name, key, value: plain(wanted.value), status: wanted.status });
      count++;
    }
  expect(count).toBeGreaterThan(1000);
}

/** As JSON has it. */
function plain(of: unknown): unknown {
  if (Array.isArray(of)) return of.map(plain);
  return typeof of === 'bigint' ? Number(of) : of;
}
