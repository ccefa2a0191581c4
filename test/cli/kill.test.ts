/**
 * kill -9 of the real process while flights are posted to it over HTTP. Started again on the same folder it has every
 * event that it acknowledged, each once, and answers as the oracle does over the log as it stands.
 */
import { expect, test } from 'bun:test';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileFolder } from '../../src/compile/compile.ts';
import { MAX_JUMP_DEFAULT_MS } from '../../src/source/source.ts';
import { lateIn } from '../oracle/late.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { now, value } from '../oracle/naive.ts';
import { smallWeek } from '../sim/flights.ts';
import { keysOf } from '../sim/judge.ts';
import { LONG, seeds } from '../seeds.ts';
import { Random } from '../sim/random.ts';

const ROOT = join(import.meta.dir, '../..');
const FEATURES = join(ROOT, 'examples/flights/features');
const LATENESS_MS = 3_600_000;

/** In the long run 200 kills. */
const FOLDERS = seeds(1, 40);
const KILLS = 5;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;

/** Posts on their way at once. */
const POSTERS = 6;
const LINES_MAX = 4;

/** A process is killed that long after it serves, or while it starts. */
const ALIVE_MAX_MS = 120;
const STARTING_MAX_MS = 500;

/** An event's id -> its line. */
type Flights = Map<string, string>;

const flights = idLines(await smallWeek(16, 6));
const plan = await compileFolder(FEATURES, { latenessMs: LATENESS_MS });

test(
  `${FOLDERS.length * KILLS} kills: nothing acknowledged is lost, nothing counts twice`,
  async () => {
    for (const seed of FOLDERS) {
      const logged = await killOften(seed).catch((error: Error) => {
        throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
      });
      if (LONG) console.log(`seed ${seed}, ${KILLS} kills; ${logged.join(', ')} events in the log after each`);
    }
  },
  TIMEOUT_MS,
);

/**
 * Every flight is told from all others; of some the origin is missing, so that there are errors to count, and some are
 * days late.
 */
function idLines(lines: string[]): Flights {
  const named = lines.map((line, i): [string, string] => {
    const event = JSON.parse(line) as { time: string; data: { origin: string | null } };
    if (i % 25 === 3) event.time = new Date(Date.parse(event.time) - (i % 10) * 86_400_000).toISOString();
    if (i % 40 === 7) event.data.origin = null;
    return [`f${i}`, JSON.stringify({ ...event, id: `f${i}` })];
  });
  return new Map(named);
}

/** Five processes on one folder, each killed, and one that lives. Returns how many events the log had after each. */
async function killOften(seed: number): Promise<number[]> {
  const random = new Random(seed);
  const folder = await mkdtemp(join(tmpdir(), 'tilefold-kill-'));
  const acknowledged = new Set<string>();
  const counts: number[] = [];
  try {
    await writeFile(join(folder, 'tilefold.yaml'), config());
    for (let kill = 0; kill < KILLS; kill++) {
      const server = start(folder);
      if (random.chance(0.25)) await Bun.sleep(random.below(STARTING_MAX_MS));
      else await postUntilKilled(server, folder, acknowledged, random);
      server.process.kill('SIGKILL');
      await server.process.exited;
      counts.push((await loggedIds(folder)).length);
    }
    await finish(start(folder), folder, acknowledged);
    return counts;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Small segments and a short barrier, so that kills meet them; memory so small that rows are read back. */
function config(): string {
  return `
log: { dir: log, clock: event, segment: { bytes: 64KiB } }
store: { sqlite: store/tilefold.db }
definitions: ${FEATURES}
serve: { port: 0 }
fold: { barrier: 5ms, memory: 1MiB }
lateness: 1h
`;
}

interface Server {
  process: Bun.Subprocess<'ignore', 'pipe', 'pipe'>;
  /** Resolves once it serves. */
  url: Promise<string>;
}

function start(folder: string): Server {
  const command = [process.execPath, join(ROOT, 'src/main.ts'), 'serve', '--config', join(folder, 'tilefold.yaml')];
  const child = Bun.spawn(command, { cwd: folder, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  const url = servedUrl(child);
  // Nobody waits for it where the process is killed while it starts.
  url.catch(() => {});
  return { process: child, url };
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

async function postUntilKilled(server: Server, folder: string, acknowledged: Set<string>, random: Random) {
  const url = await server.url;
  const rest = await unlogged(folder, acknowledged);
  const posters = Array.from({ length: POSTERS }, () => postRest(url, rest, acknowledged, random));
  await Promise.race([Bun.sleep(random.below(ALIVE_MAX_MS)), Promise.all(posters)]);
  server.process.kill('SIGKILL');
  // Those that were cut off do not know what became of their events.
  await Promise.all(posters);
}

/** Takes flights from the front of the list until there are none left, or nobody answers. */
async function postRest(url: string, rest: string[], acknowledged: Set<string>, random: Random): Promise<void> {
  while (rest.length > 0) {
    const ids = rest.splice(0, 1 + random.below(LINES_MAX));
    const response = await postIds(url, ids);
    if (response === null) return;
    expect(response).toMatchObject({ accepted: ids.length, rejected: [] });
    for (const id of ids) acknowledged.add(id);
  }
}

/** The reply, or null where the process died before it had given all of it. */
async function postIds(url: string, ids: string[]): Promise<unknown> {
  const text = ids.map(id => `${flights.get(id)}\n`).join('');
  const headers = { 'content-type': 'application/x-ndjson' };
  let response: Response;
  let reply: string;
  try {
    response = await fetch(`${url}/v1/events`, { method: 'POST', headers, body: text });
    reply = await response.text();
  } catch {
    return null;
  }
  if (response.status !== 202) throw new Error(`${response.status}: ${reply}`);
  return JSON.parse(reply);
}

/**
 * A client that got no answer looks into the log for what it said. What was acknowledged is there, nothing is there
 * twice. The server has recovered its log by now, and nobody posts.
 */
async function unlogged(folder: string, acknowledged: Set<string>): Promise<string[]> {
  const ids = await loggedIds(folder);
  const logged = new Set(ids);
  expect(ids.length).toBe(logged.size);
  expect([...acknowledged].filter(id => !logged.has(id))).toEqual([]);
  return [...flights.keys()].filter(id => !logged.has(id));
}

/** The ids of the log's whole lines, in its order. */
async function loggedIds(folder: string): Promise<string[]> {
  return (await loggedLines(folder)).map(line => (JSON.parse(line) as { id: string }).id);
}

async function loggedLines(folder: string): Promise<string[]> {
  const names = await readdir(join(folder, 'log')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const segments = [...new Set(names.map(name => /^\d+\.ndjson/.exec(name)?.[0]))].filter(name => name !== undefined);
  const texts = await Promise.all(segments.sort().map(name => segmentText(join(folder, 'log', name))));
  return texts.flatMap(text => text.split('\n').slice(0, -1)).filter(line => !line.startsWith('{"$'));
}

/** A closed segment may be packed at any moment. */
async function segmentText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return Bun.zstdDecompressSync(await readFile(`${path}.zst`)).toString();
  });
}

/** The process that lives: takes the rest, and is asked everything. */
async function finish(server: Server, folder: string, acknowledged: Set<string>): Promise<void> {
  try {
    const url = await server.url;
    await postRest(url, await unlogged(folder, acknowledged), acknowledged, new Random(0));
    expect(await unlogged(folder, acknowledged)).toEqual([]);
    const log = parseLog(`${(await loggedLines(folder)).join('\n')}\n`, plan, {
      clock: 'event',
      maxJumpMs: MAX_JUMP_DEFAULT_MS,
    });
    expect(log.records.length).toBe(flights.size);
    await compareAnswers(url, log);
    server.process.kill('SIGTERM');
    expect(await server.process.exited).toBe(0);
    await compareErrors(folder, log);
    await compareLate(folder, log);
  } finally {
    server.process.kill('SIGKILL');
  }
}

interface Reply {
  time: string;
  position: number;
  entities: Record<string, { features: Record<string, { values: unknown[]; statuses?: unknown[] }> }>;
}

async function compareAnswers(url: string, log: Log): Promise<void> {
  const keys = keysOf(log);
  const simple = (key: unknown[]) => (key.length === 1 ? key[0] : key);
  const entities = Object.fromEntries([...keys].map(([entity, of]) => [entity, of.map(simple)]));
  const request = { features: plan.sets.map(set => `${set.name}:*`), entities, at: null };
  const response = await fetch(`${url}/v1/features`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  expect(response.status).toBe(200);
  const reply = (await response.json()) as Reply;
  const p = log.records.length - 1;
  const t = now(log, p);
  expect([reply.position, BigInt(Date.parse(reply.time)) * 1000n]).toEqual([p, t]);
  let count = 0;
  for (const { name, entity } of plan.features)
    for (const [i, key] of keys.get(entity)!.entries()) {
      const { values, statuses } = reply.entities[entity]!.features[name]!;
      const wanted = value(plan, log, name, key, p, t);
      const plain = typeof wanted.value === 'bigint' ? Number(wanted.value) : wanted.value;
      if (Object.is(values[i], plain) && (statuses?.[i] ?? null) === wanted.status) count++;
      else
        expect({ name, key, value: values[i], status: statuses?.[i] }).toEqual({
          name,
          key,
          value: plain,
          status: wanted.status,
        });
    }
  expect(count).toBeGreaterThan(1000);
}

/** With the server gone the command reads the errors from the folder. */
async function compareErrors(folder: string, log: Log): Promise<void> {
  const command = [process.execPath, join(ROOT, 'src/main.ts'), 'errors', '--config', join(folder, 'tilefold.yaml')];
  const child = Bun.spawn([...command, '--json', '--limit', '1000'], { stdout: 'pipe', stderr: 'inherit' });
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  const positions = (JSON.parse(text) as { errors: { position: number }[] }).errors.map(error => error.position);
  const bad = log.records.filter(record => record.bad !== null).map(record => record.position);
  expect(bad.length).toBeGreaterThan(5);
  expect(positions).toEqual(bad);
}

/** Of each set and length of tiles so many as the oracle counts, whatever was killed and folded again. */
async function compareLate(folder: string, log: Log): Promise<void> {
  const command = [process.execPath, join(ROOT, 'src/main.ts'), 'late', '--config', join(folder, 'tilefold.yaml')];
  const child = Bun.spawn([...command, '--json'], { stdout: 'pipe', stderr: 'inherit' });
  const { late } = JSON.parse(await new Response(child.stdout).text()) as { late: LateOfSet[] };
  expect(await child.exited).toBe(0);
  const found = late.flatMap(one => one.aggregates.map(aggregate => `${aggregate} ${one.tile_ms} ${one.count}`));
  const wanted = lateIn(plan, log).map(({ aggregate, levelMs, count }) => `${aggregate} ${levelMs} ${count}`);
  expect(wanted.length).toBeGreaterThan(5);
  expect(found.sort()).toEqual(wanted.sort());
}

interface LateOfSet {
  aggregates: string[];
  tile_ms: number;
  count: number;
}
