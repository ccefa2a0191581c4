import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { lineForPeople } from '../../src/cli/logger.ts';
import type { Document } from '../../src/http/openapi.ts';
import { Conformance } from '../http/conforms.ts';

/** A served data folder from outside: its words, its replies, and how it ends. */
const ROOT = join(import.meta.dir, '../..');
const FLIGHT =
  '{"type":"flight","time":"2001-03-05T00:00:00Z","data":{"origin":"STL","destination":"LAS","delay":47}}\n';
const BAD = '{"type":"flight","time":"2001-03-05T00:00:01Z","data":{"origin":7,"destination":"LAS"}}\n';

const ran: Bun.Subprocess[] = [];
let root = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tilefold-serve-'));
});

afterAll(async () => {
  for (const each of ran) each.kill('SIGKILL');
  await rm(root, { recursive: true });
});

async function serve(words: string[] = []) {
  const folder = await mkdtemp(join(root, 'data-'));
  await cp(join(ROOT, 'examples/flights/tilefold.yaml'), join(folder, 'tilefold.yaml'));
  await cp(join(ROOT, 'examples/flights/features'), join(folder, 'features'), { recursive: true });
  const command = [process.execPath, join(ROOT, 'src/main.ts'), 'serve', '--port', '0', ...words];
  const child = Bun.spawn(command, { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
  ran.push(child);
  const errors = new Response(child.stderr).text();
  const said = child.stdout.getReader();
  let text = '';
  for (;;) {
    const { done, value } = await said.read();
    if (done) throw new Error(`the server ended: ${await errors}`);
    text += new TextDecoder().decode(value);
    const url = / on (http:\S+)\n/.exec(text)?.[1];
    if (url) return { child, url, errors };
  }
}

function postEvents(url: string, body: string | Uint8Array, headers: Record<string, string> = {}) {
  const init = { method: 'POST', body: typeof body === 'string' ? body : body.slice() };
  return fetch(`${url}/v1/events`, { ...init, headers: { 'content-type': 'application/x-ndjson', ...headers } });
}

/** Most of a request, and the rest when it is told so. */
async function beginRequest(url: string, body: string) {
  const { hostname, port } = new URL(url);
  const socket: Socket = connect(Number(port), hostname);
  let reply = '';
  socket.setEncoding('utf8').on('data', chunk => {
    reply += chunk;
  });
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()));
  await new Promise<void>(resolve => socket.once('connect', () => resolve()));
  socket.write(
    `POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body.slice(0, 20)}`,
  );
  const end = async () => {
    socket.write(body.slice(20));
    await closed;
    return reply;
  };
  return { end, socket };
}

async function refusesConnections(url: string): Promise<boolean> {
  return fetch(`${url}/healthz`).then(
    () => false,
    () => true,
  );
}

describe('a running server', () => {
  test('replies as its own document says, takes packed bodies, and counts', async () => {
    const { child, url, errors } = await serve(['--log-level', 'debug', '--grace', '0s']);
    const document = (await (await fetch(`${url}/openapi.json`)).json()) as Document;
    const conformance = new Conformance(document);
    const posted = await postEvents(url, gzipSync(`${FLIGHT}${BAD}7\n`), { 'content-encoding': 'gzip' });
    expect(posted.status).toBe(202);
    await conformance.expectOf('POST', '/v1/events', posted);
    const lookup = (body: object) =>
      fetch(`${url}/v1/features`, { method: 'POST', body: JSON.stringify(body), headers: { 'x-request-id': 'mine' } });
    const all = {
      features: ['origin_delays:*', 'route_delays:*'],
      entities: { origin: ['STL'], route: [['STL', 'LAS']] },
    };
    const answered = await lookup(all);
    expect(answered.status).toBe(200);
    expect(answered.headers.get('x-request-id')).toBe('mine');
    await conformance.expectOf('POST', '/v1/features', answered);
    const unknown = await lookup({ ...all, features: ['origin_delay:*'] });
    expect(await unknown.clone().json()).toMatchObject({
      detail: 'no feature origin_delay:*; did you mean "origin_delays:*"?',
    });
    await conformance.expectOf('POST', '/v1/features', unknown);
    // What is written at the barrier.
    await Bun.sleep(1200);
    for (const path of ['/', '/healthz', '/readyz', '/v1/errors', '/docs'])
      await conformance.expectOf('GET', path, await fetch(url + path));
    const metrics = await (await fetch(`${url}/metrics`)).text();
    for (const line of [
      'tilefold_events_accepted_total 2',
      'tilefold_events_rejected_total{code="not_object"} 1',
      'tilefold_events_bad_total{code="wrong_type"} 1',
      'tilefold_log_end_position 2',
      'tilefold_folded_position 2',
      'tilefold_rows_dirty 0',
      'tilefold_http_request_seconds_count{route="/v1/features",method="POST",status="404"} 1',
    ])
      expect(metrics).toContain(`${line}\n`);
    expect(metrics).toMatch(/tilefold_barrier_seconds_count [1-9]/);
    expect(metrics).toMatch(/tilefold_barrier_rows_total [1-9]/);
    expect(metrics).toMatch(/tilefold_fold_state_bytes [1-9]/);
    expect(metrics).toMatch(/process_resident_memory_bytes [1-9]/);

    child.kill('SIGTERM');
    expect(await child.exited).toBe(0);
    const lines = (await errors)
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    const mine = lines.find(line => line.request_id === 'mine' && line.status === 200);
    expect(mine).toMatchObject({ level: 'info', method: 'POST', path: '/v1/features', msg: 'request' });
    expect(mine.time).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(lines.some(line => line.level === 'debug' && line.path === '/readyz')).toBe(true);
  });

  test('a client that goes away in the middle of its body is no bug of the server', async () => {
    const { child, url, errors } = await serve(['--grace', '0s']);
    const slow = await beginRequest(url, FLIGHT);
    await Bun.sleep(100);
    slow.socket.destroy();
    await Bun.sleep(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    child.kill('SIGTERM');
    expect(await child.exited).toBe(0);
    const lines = (await errors)
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(lines.map(({ level, path, status }) => [level, path, status])).toEqual([['info', '/v1/events', 400]]);
  });

  test('a large reply is packed', async () => {
    const { child, url } = await serve(['--log-level', 'warn', '--grace', '0s']);
    const origin = Array.from({ length: 2000 }, (_, i) => `A${i}`);
    const body = JSON.stringify({ features: ['origin_delays:*'], entities: { origin } });
    const ask = (encoding: string) =>
      fetch(`${url}/v1/features`, {
        method: 'POST',
        body,
        headers: { 'accept-encoding': encoding },
        decompress: false,
      });
    const plain = Buffer.from(await (await ask('identity')).arrayBuffer());
    const response = await ask('gzip');
    expect(response.headers.get('content-encoding')).toBe('gzip');
    const packed = Buffer.from(await response.arrayBuffer());
    expect(packed.length).toBeLessThan(plain.length / 4);
    expect(gunzipSync(packed).equals(plain)).toBe(true);
    child.kill('SIGTERM');
    expect(await child.exited).toBe(0);
  });
});

describe('on the way out', () => {
  test('it says so, answers what is under way, takes no more, and has written everything', async () => {
    const { child, url } = await serve(['--log-level', 'warn', '--grace', '600ms']);
    const slow = await beginRequest(url, FLIGHT);
    await Bun.sleep(100);
    child.kill('SIGTERM');
    await Bun.sleep(200);
    // The grace: whoever sends requests finds out, and what it still sends is served.
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: 'unavailable', reason: 'the server is shutting down' },
    ]);
    expect((await postEvents(url, FLIGHT)).status).toBe(202);
    await Bun.sleep(800);
    expect(await refusesConnections(url)).toBe(true);
    expect(child.exitCode).toBeNull();
    const reply = await slow.end();
    expect(reply).toStartWith('HTTP/1.1 202');
    expect(reply).toContain('"accepted":1');
    const endMs = performance.now();
    expect(await child.exited).toBe(0);
    expect(performance.now() - endMs).toBeLessThan(5000);
  });

  test('a second signal ends it at once', async () => {
    const { child, url } = await serve(['--log-level', 'warn', '--grace', '30s']);
    const slow = await beginRequest(url, FLIGHT);
    child.kill('SIGTERM');
    await Bun.sleep(400);
    const startMs = performance.now();
    child.kill('SIGINT');
    expect(await child.exited).toBe(130);
    expect(performance.now() - startMs).toBeLessThan(5000);
    slow.socket.destroy();
  });

  test('a signal that somebody passed on at once is no second one', async () => {
    const { child } = await serve(['--log-level', 'warn', '--grace', '300ms']);
    child.kill('SIGINT');
    await Bun.sleep(20);
    child.kill('SIGTERM');
    expect(await child.exited).toBe(0);
  });
});

describe('the log', () => {
  test('is a line for people on a terminal', () => {
    const line = '{"level":"info","time":"2024-05-01T10:00:00.123Z","method":"GET","status":200,"msg":"request"}\n';
    expect(lineForPeople(line)).toBe('10:00:00.123 INFO  request method=GET status=200\n');
  });

  test('has few levels, and says so', async () => {
    const command = [process.execPath, join(ROOT, 'src/main.ts'), 'serve', '--log-level', 'loud'];
    const child = Bun.spawn(command, { cwd: root, stdin: 'ignore', stderr: 'pipe' });
    expect(await new Response(child.stderr).text()).toContain('Allowed choices are debug, info, warn, error, silent');
    expect(await child.exited).toBe(64);
  });

  test('the exit codes that --help lists are those that there are', async () => {
    const source = await readFile(join(ROOT, 'src/cli/exit.ts'), 'utf8');
    const child = Bun.spawn([process.execPath, join(ROOT, 'src/main.ts'), '--help'], { stdin: 'ignore' });
    const help = await new Response(child.stdout).text();
    const codes = Array.from(/EXIT = \{(.*)\}/.exec(source)![1]!.matchAll(/: (\d+)/g), match => match[1]!);
    expect(codes.length).toBe(6);
    for (const code of codes) expect(help).toMatch(new RegExp(`^  ${code} `, 'm'));
  });
});
