import { describe, expect, test } from 'bun:test';
import { noStages } from '../../src/base/stages.ts';
import { deflateSync, gzipSync, gunzipSync, zstdCompressSync, brotliCompressSync } from 'node:zlib';
import { LIMITS } from '../../src/http/limits.ts';
import { INT64 } from '../../src/plan/value.ts';
import type { Answer } from '../../src/read/read.ts';
import { appWith, ORIGIN, post, problemIn } from './told.ts';

function packed(path: string, body: Uint8Array, encoding: string, type = 'application/x-ndjson'): Request {
  const headers = { 'content-type': type, 'content-encoding': encoding };
  return new Request(`${ORIGIN}${path}`, { method: 'POST', body: body.slice(), headers });
}

describe('packed bodies', () => {
  const TEXT = '{"type":"a","time":1}\n'.repeat(1000);

  test.each([
    ['gzip', gzipSync(TEXT)],
    ['GZIP', gzipSync(TEXT)],
    ['x-gzip', gzipSync(TEXT)],
    ['deflate', deflateSync(TEXT)],
    ['zstd', zstdCompressSync(TEXT)],
    ['br', brotliCompressSync(TEXT)],
    ['identity', Buffer.from(TEXT)],
  ])('%s is unpacked', async (encoding, body) => {
    const { app, seen } = appWith();
    const response = await app.request(packed('/v1/events', body, encoding));
    expect(response.status).toBe(202);
    expect(seen.bodies).toEqual([{ text: TEXT, format: 'ndjson' }]);
  });

  test('gzip of several members is one body', async () => {
    const { app, seen } = appWith();
    const body = Buffer.concat([gzipSync('{"a":1}\n'), gzipSync('{"b":2}\n')]);
    await app.request(packed('/v1/events', body, 'gzip'));
    expect(seen.bodies[0]!.text).toBe('{"a":1}\n{"b":2}\n');
  });

  test.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('a %s bomb is stopped at the limit, which is counted unpacked', async (encoding, pack) => {
    const bomb = pack(Buffer.alloc(512 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(1024 * 1024);
    const { app, seen } = appWith();
    Bun.gc(true);
    const before = process.memoryUsage().rss;
    const response = await app.request(packed('/v1/events', bomb, encoding));
    const grown = process.memoryUsage().rss - before;
    expect(response.status).toBe(413);
    const { detail } = await problemIn(response);
    expect(detail).toContain(`the limit events_body_bytes is ${LIMITS.events_body_bytes.value}`);
    expect(seen.bodies).toEqual([]);
    expect(grown).toBeLessThan(256 * 1024 * 1024);
  });

  test.each([
    ['no gzip at all', Buffer.from('{"type":"a","time":1}')],
    ['cut gzip', gzipSync(TEXT).subarray(0, 40)],
  ])('%s is a 400 that says so', async (_what, body) => {
    const { app, seen } = appWith();
    const response = await app.request(packed('/v1/events', body, 'gzip'));
    expect(response.status).toBe(400);
    expect((await problemIn(response)).detail).toStartWith('the body is not gzip, as its content-encoding says');
    expect(seen.bodies).toEqual([]);
  });

  test('another encoding is a 415 that says which there are', async () => {
    const response = await appWith().app.request(packed('/v1/features', Buffer.from('{}'), 'compress'));
    expect(response.status).toBe(415);
    expect((await problemIn(response)).code).toBe('media_type');
    expect(response.headers.get('accept-encoding')).toBe('gzip, deflate, zstd, br');
  });

  test('lookups may be packed too', async () => {
    const { app, seen } = appWith();
    const body = gzipSync('{"features":["a:b"],"entities":{"origin":["ATL"]}}');
    expect((await app.request(packed('/v1/features', body, 'gzip', 'application/json'))).status).toBe(200);
    expect(seen.lookups[0]!.entities).toEqual({ origin: ['ATL'] });
  });
});

describe('large replies', () => {
  const ask = (answer: Answer, accept?: string) => {
    const request = post('/v1/features', '{"features":["a:b"],"entities":{}}');
    if (accept !== undefined) request.headers.set('accept-encoding', accept);
    return appWith({ answer }).app.request(request);
  };
  const answerOf = (count: number): Answer => {
    const values = new BigInt64Array(count).map((_, i) => BigInt(i));
    const [nulls, statuses] = [new Uint8Array(count), new Uint8Array(count)];
    const keys = Array.from(values, String);
    const features = [{ name: 'a:b', type: INT64, values, nulls, statuses, sinceMicros: null }];
    return { timeMicros: 0n, position: 0, entities: [{ entity: 'origin', keys, features }] };
  };

  test('are packed where the client takes it', async () => {
    const plain = await (await ask(answerOf(5000))).text();
    for (const accept of ['gzip', 'deflate, gzip;q=0.9', 'br, gzip']) {
      const response = await ask(answerOf(5000), accept);
      const encoding = response.headers.get('content-encoding');
      expect(accept).toContain(encoding!);
      expect(response.headers.get('vary')?.toLowerCase()).toContain('accept-encoding');
      expect(response.headers.get('content-length')).toBeNull();
      const bytes = Buffer.from(await response.arrayBuffer());
      if (encoding !== 'gzip') continue;
      expect(bytes.length).toBeLessThan(plain.length / 2);
      expect(gunzipSync(bytes).toString()).toBe(plain);
    }
  });

  test('are not where it does not, nor small ones', async () => {
    for (const [count, accept] of [
      [5000, undefined],
      [5000, 'identity'],
      [5000, 'gzip;q=0'],
      [10, 'gzip'],
    ] as const) {
      const response = await ask(answerOf(count), accept);
      expect(response.headers.get('content-encoding')).toBeNull();
      const length = Number(response.headers.get('content-length'));
      expect((await response.arrayBuffer()).byteLength).toBe(length);
    }
  });
});

describe('request ids', () => {
  const idOf = async (path: string, id?: string) => {
    const { app, seen } = appWith();
    const response = await app.request(path, id === undefined ? {} : { headers: { 'x-request-id': id } });
    return { replied: response.headers.get('x-request-id'), logged: seen.logged.at(-1)! };
  };

  test('are taken over, replied and logged, with failures too', async () => {
    for (const [path, status] of [
      ['/v1/errors', 200],
      ['/v1/errors?limit=0', 400],
      ['/nowhere', 404],
      ['/v1/features', 405],
    ] as const) {
      const { replied, logged } = await idOf(path, 'abc-123');
      expect(replied).toBe('abc-123');
      expect(logged).toMatchObject({ level: 'info', text: 'request', method: 'GET', status, request_id: 'abc-123' });
      expect(logged.path).toBe(path.split('?')[0]);
      expect(logged.ms).toBeGreaterThan(0);
    }
  });

  test('are made where there is none, or one that would spoil a log', async () => {
    for (const id of [undefined, 'two words', 'x'.repeat(300)]) {
      const { replied, logged } = await idOf('/v1/errors', id);
      expect(replied).toMatch(/^[0-9a-f-]{36}$/);
      expect(logged.request_id).toBe(replied);
    }
  });

  test('what probes ask is logged for debugging only', async () => {
    expect((await idOf('/healthz')).logged.level).toBe('debug');
    expect((await idOf('/readyz')).logged.level).toBe('debug');
  });
});

describe('health', () => {
  test('a server that opens its data is alive and not ready, and tells requests to wait', async () => {
    const { app, seen } = appWith({ opening: true, unready: 'the log is still being folded' });
    expect((await app.request('/healthz')).status).toBe(200);
    const ready = await app.request('/readyz');
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: 'unavailable', reason: 'the log is still being folded' },
    ]);
    const refused = await app.request(post('/v1/events', '{}'));
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await problemIn(refused)).detail).toContain('the log is still being folded');
    expect(seen.bodies).toEqual([]);
    expect((await app.request('/openapi.json')).status).toBe(200);
  });

  test('one that has is ready', async () => {
    expect((await appWith().app.request('/readyz')).status).toBe(200);
  });
});

describe('/metrics', () => {
  /** `name{labels}` -> value, of all that is not a bucket. */
  async function metricsOf(app: ReturnType<typeof appWith>['app']) {
    const response = await app.request('/metrics');
    expect(response.headers.get('content-type')).toStartWith('text/plain; version=0.0.4');
    const lines = (await response.text()).split('\n').filter(line => line.startsWith('tilefold_'));
    return new Map(lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))] as const));
  }

  test('count requests by route and status, events by what became of them, keys and values', async () => {
    const rejected = [1, 2, 3].map(line => ({ line, code: line < 3 ? 'not_json' : 'no_time', reason: '' }));
    const { app } = appWith({ receipt: { accepted: 5, rejected, position: 4 } });
    await app.request(post('/v1/events', '[]'));
    await app.request(post('/v1/events', '[]'));
    await app.request(post('/v1/features', '{"features":["delays:*"],"entities":{"origin":["A","B","C"]}}'));
    await app.request(post('/v1/features', '{'));
    await app.request('/nowhere/1');
    await app.request('/nowhere/2');
    const metrics = await metricsOf(app);
    const requests = (labels: string) => metrics.get(`tilefold_http_request_seconds_count{${labels}}`);
    expect(requests('route="/v1/events",method="POST",status="202"')).toBe(2);
    expect(requests('route="/v1/features",method="POST",status="200"')).toBe(1);
    expect(requests('route="/v1/features",method="POST",status="400"')).toBe(1);
    expect(requests('route="none",method="any",status="404"')).toBe(2);
    expect(metrics.get('tilefold_events_accepted_total')).toBe(10);
    expect(metrics.get('tilefold_events_rejected_total{code="not_json"}')).toBe(4);
    expect(metrics.get('tilefold_events_rejected_total{code="no_time"}')).toBe(2);
    expect(metrics.get('tilefold_lookup_keys_total')).toBe(3);
    expect(metrics.get('tilefold_lookup_values_total')).toBe(6);
  });

  test('say what the server holds now, and nothing of it before it holds anything', async () => {
    const counts = { rowsEvicted: 11, rowsLoaded: 12, rowsExpired: 13 };
    const refused = [
      { type: 'flight', levelMs: 60_000, count: 14 },
      { type: 'flight', levelMs: 1_800_000, count: 3 },
    ];
    const lates = { bounds: [0, 0.5, 60], types: [{ type: 'flight', counts: [5, 2, 1, 4], seconds: 700.5 }] };
    const stages = [
      { thread: 'main', ms: { ...noStages(), door: 1500 } },
      { thread: 'shard 1', ms: { ...noStages(), fold: 250 } },
    ];
    const profile = { recordsFolded: 5, rowsWritten: 3, stages };
    const uploads = { closed: 9, uploaded: 6, position: 5, segments: 4, bytes: 2048, failures: 3 };
    const sizes = { rowsDirty: 2, foldBytes: 4096, uploads };
    const coming = { backfill: { folded: 4, end: 8, merged: 2 }, waitsUntilMicros: 1_500_000n };
    const state = { logEnd: 9, folded: 7, ...coming, ...sizes, ...counts, ...profile, refused, behind: lates };
    const metrics = await metricsOf(appWith({ state }).app);
    expect(metrics.get('tilefold_log_end_position')).toBe(9);
    expect(metrics.get('tilefold_folded_position')).toBe(7);
    expect(metrics.get('tilefold_rows_dirty')).toBe(2);
    expect(metrics.get('tilefold_fold_state_bytes')).toBe(4096);
    const totals = ['rows_evicted', 'rows_loaded', 'rows_expired'];
    expect(totals.map(name => metrics.get(`tilefold_${name}_total`))).toEqual([11, 12, 13]);
    expect(metrics.get('tilefold_tiles_refused_total{type="flight",tile="1m"}')).toBe(14);
    expect(metrics.get('tilefold_tiles_refused_total{type="flight",tile="30m"}')).toBe(3);
    expect(metrics.get('tilefold_events_late_total{type="flight"}')).toBe(7);
    const lateness = (labels: string) => metrics.get(`tilefold_event_lateness_seconds_bucket{${labels}}`);
    expect(['0', '0.5', '60', '+Inf'].map(le => lateness(`le="${le}",type="flight"`))).toEqual([5, 7, 8, 12]);
    expect(metrics.get('tilefold_event_lateness_seconds_sum{type="flight"}')).toBe(700.5);
    expect(metrics.get('tilefold_event_lateness_seconds_count{type="flight"}')).toBe(12);
    const seconds = (labels: string) => metrics.get(`tilefold_stage_seconds_total{${labels}}`);
    expect(seconds('stage="door",thread="main"')).toBe(1.5);
    expect(seconds('stage="fold",thread="shard 1"')).toBe(0.25);
    expect(seconds('stage="fold",thread="main"')).toBe(0);
    const uploaded = ['uploaded_segments_total', 'uploaded_bytes_total', 'upload_failures_total'];
    const behind = ['uploaded_position', 'upload_waiting_segments'];
    expect([...uploaded, ...behind].map(name => metrics.get(`tilefold_${name}`))).toEqual([4, 2048, 3, 5, 3]);
    const backfill = ['folded_position', 'end_position', 'rows_merged'];
    expect(backfill.map(name => metrics.get(`tilefold_backfill_${name}`))).toEqual([4, 8, 2]);
    expect(metrics.get('tilefold_waiting_until_seconds')).toBe(1.5);
    const without = await metricsOf(appWith({ state: { ...state, uploads: null } }).app);
    expect(behind.map(name => without.has(`tilefold_${name}`))).toEqual([false, false]);
    expect((await metricsOf(appWith().app)).has('tilefold_log_end_position')).toBe(false);
  });

  test('each says its meaning and its unit', async () => {
    const text = await (await appWith().app.request('/metrics')).text();
    const helps = Array.from(text.matchAll(/^# HELP (tilefold_\w+) (.+)$/gm), ([, name, help]) => [name!, help!]);
    expect(helps.length).toBe(28);
    for (const [name, help] of helps) {
      const unit = /_seconds(_total)?$/.test(name!)
        ? 'in seconds'
        : /_bytes(_total)?$/.test(name!)
          ? 'in bytes'
          : 'a count';
      expect(help).toContain(unit);
    }
  });
});

describe('GET /', () => {
  test('names every path and every limit with its value', async () => {
    const text = await (await appWith().app.request('/')).text();
    for (const path of ['/v1/events', '/v1/features', '/v1/errors', '/readyz', '/metrics', '/docs'])
      expect(text).toContain(path);
    for (const [name, { value }] of Object.entries(LIMITS)) expect(text).toMatch(new RegExp(`${name} +${value} `));
  });
});
