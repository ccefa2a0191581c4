/**
 * The real process answers events of a topology that many clients post at once, is killed with -9 and started again. Whatever
 * it has ever answered is what the oracle says of that event, over the log as it stands; and so is a replay of it.
 */
import { expect, test } from 'bun:test';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileFolder } from '../../src/compile/compile.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import { MAX_JUMP_DEFAULT_MS } from '../../src/source/source.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { eventRow } from '../oracle/naive.ts';
import { Random } from '../sim/random.ts';

const ROOT = join(import.meta.dir, '../..');
/** `bun scripts/long.ts kill` sets it: more kills. */
const LONG = process.env.TILEFOLD_LONG === '1';
const KILLS = LONG ? 40 : 3;
const CLIENTS = 6;
const EVENTS_OF_CLIENT = 40;
const ALIVE_MAX_MS = 250;

const TOPOLOGY = `
event login
email := $.email as string
ip := $.ip as string
ok := $.ok as bool ? true
nth := Count(by email)
fails := Count(by email where not ok last 10 minutes)
risky := fails > 2
others := CountUnique(email by ip where risky last 1 hour)

event payment
email := $.email as string
amount := $.amount as float ? 0.0
spent := Sum(amount by email last 1 day)
before := Average(amount by email last 30 days exclusive)
risks := Count<login>(by email where risky)
rate := amount / before
`;

interface Answered {
  event_id: string;
  position: number;
  features: Record<string, unknown>;
  errors: Record<string, string>;
}

test(
  `${KILLS} kills: every answer that a client got is the oracle's`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tilefold-enriched-'));
    try {
      await mkdir(join(folder, 'features'));
      await writeFile(join(folder, 'features/risk.scowl'), TOPOLOGY);
      await writeFile(
        join(folder, 'tilefold.yaml'),
        'log: { dir: log, clock: event, segment: { bytes: 64KiB } }\nstore: { sqlite: tilefold.db }\nserve: { port: 0 }\nfold: { workers: 2, barrier: 5ms, memory: 1MiB }\n',
      );
      const answered = new Map<string, Answered>();
      const random = new Random(11);
      for (let kill = 0; kill <= KILLS; kill++) await live(folder, answered, random, kill < KILLS);
      const plan = await compileFolder(join(folder, 'features'), { latenessMs: 3_600_000 });
      const lines = await loggedLines(folder);
      const log = parseLog(`${lines.join('\n')}\n`, plan, { clock: 'event', maxJumpMs: MAX_JUMP_DEFAULT_MS });
      const ids = lines.map(line => (JSON.parse(line) as { id: string }).id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(answered.size).toBeGreaterThan(CLIENTS * EVENTS_OF_CLIENT);
      for (const event of answered.values()) {
        expect(ids[event.position]).toBe(event.event_id);
        compareAnswer(plan, log, event);
      }
      await compareReplay(folder, answered);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  LONG ? 3_600_000 : 120_000,
);

/** A process, until it is killed or has answered every client. */
async function live(folder: string, answered: Map<string, Answered>, random: Random, isKilled: boolean) {
  const command = [process.execPath, join(ROOT, 'src/main.ts'), 'serve', '--config', join(folder, 'tilefold.yaml')];
  const server = Bun.spawn(command, { cwd: folder, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  try {
    const url = await servedUrl(server);
    const seeds = Array.from({ length: CLIENTS }, () => random.below(2 ** 31));
    const clients = Promise.all(seeds.map(seed => client(url, new Random(seed), answered)));
    if (isKilled) await Promise.race([Bun.sleep(random.below(ALIVE_MAX_MS)), clients]);
    else await clients;
    server.kill(isKilled ? 'SIGKILL' : 'SIGTERM');
    await clients;
    if (!isKilled) expect(await server.exited).toBe(0);
  } finally {
    server.kill('SIGKILL');
    await server.exited;
  }
}

async function servedUrl(child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    const url = / on (http:\/\/\S+)\n/.exec(text)?.[1];
    if (url) return url;
  }
  throw new Error(`the server has ended: ${await new Response(child.stderr).text()}`);
}

/** Posts events of keys that all clients share, one body after the other; ends when nobody answers. */
async function client(url: string, random: Random, answered: Map<string, Answered>): Promise<void> {
  for (let sent = 0; sent < EVENTS_OF_CLIENT; ) {
    const body = Array.from({ length: 1 + random.below(4) }, () => `${eventLine(random)}\n`).join('');
    const headers = { 'content-type': 'application/x-ndjson' };
    const response = await fetch(`${url}/v1/events?features`, { method: 'POST', headers, body }).catch(() => null);
    const reply = await response?.text().catch(() => null);
    if (!response || reply == null) return;
    expect([response.status, reply.slice(0, 10)]).toEqual([200, '{"events":']);
    const { events } = JSON.parse(reply) as { events: Answered[] };
    for (const event of events) answered.set(event.event_id, event);
    sent += events.length;
  }
}

function eventLine(random: Random): string {
  const time = new Date(Date.UTC(2024, 0, 1) + random.below(3_000_000)).toISOString();
  const email = `${random.pick(['ann', 'ann', 'bob', 'cy'])}@example.com`;
  if (random.chance(0.6))
    return `{"type":"login","time":"${time}","data":{"email":"${email}","ip":"10.0.0.${random.below(3)}","ok":${random.chance(0.5)}}}`;
  return `{"type":"payment","time":"${time}","data":{"email":"${email}","amount":${random.below(1000) / 8}}}`;
}

/** As the log's segments have them. */
async function loggedLines(folder: string): Promise<string[]> {
  const names = (await readdir(join(folder, 'log'))).filter(name => /^\d+\.ndjson(\.zst)?$/.test(name)).sort();
  const texts = await Promise.all(
    names.map(async name => {
      const bytes = await readFile(join(folder, 'log', name));
      return (name.endsWith('.zst') ? Bun.zstdDecompressSync(bytes) : bytes).toString();
    }),
  );
  return texts.flatMap(text => text.split('\n').slice(0, -1)).filter(line => !line.startsWith('{"$'));
}

function compareAnswer(plan: Plan, log: Log, { position, features }: Answered): void {
  const wanted = eventRow(plan, log, position)!;
  const plain = Object.fromEntries(Object.keys(features).map(name => [name, plainOf(wanted[name]!)]));
  expect({ position, ...features }).toEqual({ position, ...plain });
}

function plainOf(value: Value): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

/** A replay of the log has the same in its columns. */
async function compareReplay(folder: string, answered: Map<string, Answered>): Promise<void> {
  const out = join(folder, 'replayed.ndjson');
  const words = ['replay', '--features', join(folder, 'features'), '--log', join(folder, 'log'), '--out', out];
  const child = Bun.spawn([process.execPath, join(ROOT, 'src/main.ts'), ...words], {
    stdout: 'ignore',
    stderr: 'pipe',
  });
  expect([await child.exited, await new Response(child.stderr).text()]).toEqual([0, expect.any(String)]);
  const rows = (await readFile(out, 'utf8'))
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line));
  for (const { position, features } of answered.values()) {
    const row = rows.find(one => one._position === position);
    const own = Object.keys(features).map(name => [name, row[`${row._type}.${name}`]]);
    expect({ position, ...features }).toEqual({ position, ...Object.fromEntries(own) });
  }
}
