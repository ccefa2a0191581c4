/** One bound for the whole process: it divides itself, and a real process with a real load stays below it. */
import { expect, test } from 'bun:test';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig } from '../../src/cli/config.ts';
import { jobsMin, jobsOf, jobsWithin, memoryMin, rowsOfJob, rowsWithin } from '../../src/cli/memory.ts';
import { folders } from '../source/folder.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const MIB = 1024 ** 2;

const folder = folders();

const settings = (text: string, memoryBytes: number | null = null) =>
  parseConfig('tilefold.yaml', text, memoryBytes).fold;

test('what is said of the process divides itself, and a part that is said must fit into it', () => {
  expect(settings('fold: { workers: 0 }').memoryBytes).toBe(256 * MIB);
  expect(settings('fold: { workers: 0 }\nmemory: 1GiB').memoryBytes).toBe(rowsWithin(1024 * MIB, 0));
  expect(settings('fold: { workers: 0 }\nmemory: 1GiB', 2048 * MIB).memoryBytes).toBe(rowsWithin(2048 * MIB, 0));
  expect(settings('fold: { workers: 0, memory: 20MiB }\nmemory: 1GiB').memoryBytes).toBe(20 * MIB);
  expect(rowsWithin(2048 * MIB, 4)).toBeLessThan(rowsWithin(2048 * MIB, 0));
  expect(rowsWithin(memoryMin(64), 64)).toBeGreaterThan(16 * MIB);
  expect(rowsWithin(2 ** 40, 0)).toBe(4096 * MIB);
  expect(() => settings('fold: { workers: 0, memory: 500MiB }\nmemory: 1GiB')).toThrow(
    'fold.memory: got 524288000 bytes, and memory of 1073741824 has 223696213 for rows',
  );
  expect(() => settings('fold: { workers: 8 }\nmemory: 448MiB')).toThrow(
    'memory: got 469762048 bytes, wanted at least 1275068416 with 8 workers',
  );
  expect(() => settings('memory: 400MiB')).toThrow('at least 448MiB');
});

test('of what a replay in jobs may take, its jobs have what threads do not need', () => {
  expect(jobsMin(0)).toBe(192 * MIB);
  expect(jobsMin(1)).toBe(320 * MIB);
  expect(jobsWithin(jobsMin(2), 2)).toBe(64 * MIB);
  expect(jobsWithin(2048 * MIB, 2)).toBe(1632 * MIB);
  expect(rowsOfJob(jobsOf(256 * MIB))).toBe(256 * MIB);
});

const DEFINITIONS = `
events:
  view: { user: string, post: string, ms: int64 }
entities: { user: string, post: string }
---
feature_set: users
entity: user
source: view
windows: [1d, lifetime]
sql: SELECT user, COUNT(*) AS n, SUM(ms) AS ms FROM view GROUP BY user
---
feature_set: posts
entity: post
source: view
windows: [2h, 1d, lifetime]
sql: SELECT post, COUNT(*) AS n, SUM(ms) AS ms, MAX(ms) AS most FROM view GROUP BY post
`;

/** Each of a new user, so that rows are several times what there is room for. */
const EVENTS = 150_000;

function events(): string[] {
  const start = Date.UTC(2026, 2, 1);
  return Array.from(
    { length: EVENTS },
    (_, i) =>
      `{"type":"view","time":"${new Date(start + i * 500).toISOString()}","data":{"user":"user number ${i}","post":"p${(i * 7919) % 20_011}","ms":${i % 977}}}\n`,
  );
}

const LOOK_EVERY_MS = 20;

/**
 * The most that a process has had resident, as Linux notes it: looked at until it ends, for it only grows. What is told of a process that has ended
 * (ru_maxrss) counts whoever has started it too.
 */
async function peakOf(child: Bun.Subprocess): Promise<number> {
  let peakBytes = 0;
  while (child.exitCode === null) {
    const status = await Bun.file(`/proc/${child.pid}/status`)
      .text()
      .catch(() => '');
    const [, peakKiB] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
    if (peakKiB !== undefined) peakBytes = Number(peakKiB) * 1024;
    await Promise.race([child.exited, Bun.sleep(LOOK_EVERY_MS)]);
  }
  return peakBytes;
}

interface Ran {
  out: string;
  told: string;
  peakBytes: number;
}

/** A command to its end. `meanwhile` is told where it listens, and ends it. */
async function run(cwd: string, words: string[], meanwhile?: (url: string) => Promise<void>): Promise<Ran> {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd, stdout: 'pipe', stderr: 'pipe' });
  const listen = async () => {
    let out = '';
    let isUsed = false;
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
      out += part;
      const url = / on (http:\S+)\n/.exec(out)?.[1];
      if (url === undefined || isUsed) continue;
      isUsed = true;
      await meanwhile?.(url);
      child.kill('SIGTERM');
    }
    return out;
  };
  const [out, told, peakBytes] = await Promise.all([listen(), new Response(child.stderr).text(), peakOf(child)]);
  return { out, told, peakBytes };
}

/** Several bodies at a time, and lookups of keys whose rows have left memory. */
async function use(url: string, lines: string[]): Promise<void> {
  const posting: Promise<Response>[] = [];
  for (let from = 0; from < lines.length; from += BODY_EVENTS) {
    const body = lines.slice(from, from + BODY_EVENTS).join('');
    posting.push(
      fetch(`${url}/v1/events`, { method: 'POST', body, headers: { 'content-type': 'application/x-ndjson' } }),
    );
    if (posting.length > 3) expect((await posting.shift()!).status).toBe(202);
    const keys = Array.from({ length: 500 }, (_, i) => `user number ${(from + i * 31) % EVENTS}`);
    const asked = { features: ['users:*'], entities: { user: keys } };
    const answer = await fetch(`${url}/v1/features`, { method: 'POST', body: JSON.stringify(asked) });
    expect(answer.status).toBe(200);
    await answer.text();
  }
  for (const posted of posting) expect((await posted).status).toBe(202);
}

const BODY_EVENTS = 5_000;

test.skipIf(process.platform !== 'linux').each([0, 2])(
  '%d workers: processes that fold more than they have room for stay below what they may take',
  async workers => {
    const dir = folder();
    mkdirSync(join(dir, 'features'), { recursive: true });
    writeFileSync(join(dir, 'features/view.yaml'), DEFINITIONS);
    writeFileSync(
      join(dir, 'tilefold.yaml'),
      `log: { dir: log, clock: event }\nstore: { sqlite: rows.db }\nfold: { workers: ${workers} }\n`,
    );
    const lines = events();
    writeFileSync(join(dir, 'events.ndjson'), lines.join(''));
    const most = memoryMin(workers);
    const bound = ['--memory', `${most / MIB}MiB`, '--profile'];
    const ingest = await run(dir, ['ingest', 'events.ndjson', ...bound]);
    expect(ingest.out).toBe(`accepted ${EVENTS}, rejected 0\n`);
    // All of the log is ahead of the rows.
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(dir, `rows.db${suffix}`), { force: true });
    const serve = await run(dir, ['serve', '--port', '0', ...bound], url => use(url, lines.slice(0, EVENTS / 3)));
    for (const { told, peakBytes } of [ingest, serve]) {
      // Rows have left memory on the way, and so the bound was met.
      expect(Number(/(\d+) read back/.exec(told)![1])).toBeGreaterThan(100);
      expect(peakBytes).toBeGreaterThan(100 * MIB);
      expect(peakBytes).toBeLessThan(most);
    }
  },
);

/** Of one key, each with a feed of its own: strands of all events would take 170 MB. */
const FEATURE_COUNT = 120;

test.skipIf(process.platform !== 'linux')(
  'a replay in jobs whose strands have no room stays below what it may take',
  async () => {
    const dir = folder();
    mkdirSync(join(dir, 'features'), { recursive: true });
    const features = Array.from(
      { length: FEATURE_COUNT },
      (_, i) => `f${i} := Sum(ms by post where kind = ${i} last ${1 + (i % 5)} hours)`,
    );
    const inputs = ['post := $.post as string', 'ms := $.ms as int', 'kind := $.kind as int'];
    writeFileSync(join(dir, 'features/view.scowl'), ['event view', ...inputs, ...features, ''].join('\n'));
    writeFileSync(join(dir, 'tilefold.yaml'), 'log: { dir: log, clock: event }\n');
    const kinds = events().map((line, i) => line.replace('"ms"', `"kind":${i % 131},"ms"`));
    writeFileSync(join(dir, 'events.ndjson'), kinds.join(''));
    await run(dir, ['timeline', 'create', 'all', 'events.ndjson']);
    const most = jobsMin(1);
    const words = ['replay', 'run', '--timelines', 'all', '--features', 'view.f*', '--workers', '1', '--json'];
    const { out, told, peakBytes } = await run(dir, [...words, '--memory', `${most / MIB}MiB`]);
    expect(JSON.parse(out || told)).toMatchObject({ features: FEATURE_COUNT, reused: 0 });
    expect(peakBytes).toBeGreaterThan(100 * MIB);
    expect(peakBytes).toBeLessThan(most);
  },
);
