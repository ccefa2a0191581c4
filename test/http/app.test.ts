import { describe, expect, test } from 'bun:test';
import { AssertionError } from '../../src/base/assert.ts';
import { Fault, type FaultCode } from '../../src/base/fault.ts';
import { LIMITS } from '../../src/http/limits.ts';
import { DOUBLE, INT64 } from '../../src/plan/value.ts';
import type { Answer, Lookup } from '../../src/read/read.ts';
import { appWith, ORIGIN, post, problemIn } from './told.ts';

const EVENTS_BODY_MAX_BYTES = LIMITS.events_body_bytes.value;
const LOOKUP_VALUES_MAX = LIMITS.lookup_values.value;

describe('events', () => {
  test('go to ingest as the bytes that came, with the format of their content type', async () => {
    const { app, seen } = appWith();
    const text = '{"type":"flight", "time":1e3}\r\n\n{"type":';
    for (const [type, format] of [
      ['application/json', 'json'],
      ['application/json; charset=utf-8', 'json'],
      ['application/x-ndjson', 'ndjson'],
      ['APPLICATION/NDJSON', 'ndjson'],
    ] as const) {
      const response = await app.request(post('/v1/events', text, type));
      expect(response.status).toBe(202);
      expect(seen.bodies.pop()).toEqual({ text, format });
    }
  });

  test('some rejected: 202 with what counted and what did not', async () => {
    const receipt = { accepted: 2, rejected: [{ line: 2, code: 'json', reason: 'not JSON' }], position: 41 };
    const response = await appWith({ receipt }).app.request(post('/v1/events', '[]'));
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual(receipt);
  });

  test('all rejected: 400, with the list', async () => {
    const receipt = { accepted: 0, rejected: [{ line: 1, code: 'json', reason: 'not JSON' }], position: -1 };
    const response = await appWith({ receipt }).app.request(post('/v1/events', 'x'));
    expect(response.status).toBe(400);
    const body = await problemIn(response);
    expect(body.rejected).toEqual(receipt.rejected);
    expect(body.detail).toBe('the event was rejected; line 1: not JSON');
  });

  test('nothing at all is no failure', async () => {
    const receipt = { accepted: 0, rejected: [], position: 7 };
    const response = await appWith({ receipt }).app.request(post('/v1/events', '', 'application/x-ndjson'));
    expect(response.status).toBe(202);
  });

  test('another content type is refused before ingest sees it', async () => {
    const { app, seen } = appWith();
    const response = await app.request(post('/v1/events', 'a=b', 'application/x-www-form-urlencoded'));
    expect(response.status).toBe(415);
    expect((await problemIn(response)).detail).toContain('content-type is application/x-www-form-urlencoded');
    expect(seen.bodies).toEqual([]);
  });

  test('a body over the limit is refused, whether it says its length or not', async () => {
    const { app, seen } = appWith();
    const chunk = new Uint8Array(1024 * 1024).fill(0x20);
    const count = Math.ceil(EVENTS_BODY_MAX_BYTES / chunk.length) + 1;
    let sent = 0;
    const endless = new ReadableStream({
      pull(controller) {
        if (sent++ < count * 10) controller.enqueue(chunk);
        else controller.close();
      },
    });
    const response = await app.request(post('/v1/events', endless, 'application/x-ndjson'));
    expect(response.status).toBe(413);
    const { code, detail } = await problemIn(response);
    expect(code).toBe('too_large');
    expect(detail).toContain(`the limit events_body_bytes is ${EVENTS_BODY_MAX_BYTES}`);
    expect(sent).toBeLessThanOrEqual(count + 2);

    const announced = post('/v1/events', 'x', 'application/x-ndjson');
    announced.headers.set('content-length', String(EVENTS_BODY_MAX_BYTES + 1));
    expect((await app.request(announced)).status).toBe(413);
    expect(seen.bodies).toEqual([]);
  });
});

describe('features', () => {
  async function lookedUp(body: string): Promise<Lookup> {
    const { app, seen } = appWith();
    const response = await app.request(post('/v1/features', body));
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    return seen.lookups[0]!;
  }

  test('a request becomes a lookup', async () => {
    const body = '{"features":["delays:*"],"entities":{"origin":["ATL"],"route":[["ATL","ORD"]]},"at":null}';
    expect(await lookedUp(body)).toEqual({
      features: ['delays:*'],
      entities: { origin: ['ATL'], route: [['ATL', 'ORD']] },
      at: null,
    });
  });

  test('whole-number keys keep every digit', async () => {
    const body = '{"features":["a:b"],"entities":{"user":[9007199254740993, [-9223372036854775808, 7, true]]}}';
    expect((await lookedUp(body)).entities.user).toEqual([9007199254740993n, [-9223372036854775808n, 7, true]]);
  });

  test('at is RFC 3339 or epoch milliseconds', async () => {
    const at = async (text: string) => (await lookedUp(`{"features":["a:b"],"entities":{},"at":${text}}`)).at;
    expect(await at('"2001-01-07T12:00:00.000001+01:00"')).toBe(978_865_200_000_001n);
    expect(await at('978865200000')).toBe(978_865_200_000_000n);
    expect(await at('-1')).toBe(-1000n);
    expect(await at('null')).toBeNull();
  });

  test.each([
    ['{', 'the body is not JSON'],
    ['[]', 'the body: '],
    ['{"entities":{}}', 'features: '],
    ['{"features":[],"entities":{}}', 'features: '],
    ['{"features":["a:b"],"entities":{"origin":[null]}}', 'entities.origin[0]: '],
    ['{"features":["a:b"],"entities":{"origin":[[]]}}', 'entities.origin[0]: '],
    ['{"features":["a:b"],"entities":{},"as_of":1}', 'as_of'],
    ['{"features":["a:b"],"entities":{},"at":"yesterday"}', 'at: "yesterday" is no RFC 3339 time'],
    ['{"features":["a:b"],"entities":{},"at":1.5}', 'at: 1.5 is no whole number'],
    ['{"features":["a:b"],"entities":{},"at":1e18}', 'at: 1000000000000000000 is no whole number'],
    ['{"features":["a:b"],"entities":{},"at":true}', 'at: wanted null, an RFC 3339 time or epoch milliseconds'],
  ])('%s is refused and says why', async (body, detail) => {
    const { app, seen } = appWith();
    const response = await app.request(post('/v1/features', body));
    expect(response.status).toBe(400);
    expect((await problemIn(response)).detail).toContain(detail);
    expect(seen.lookups).toEqual([]);
  });

  test('a body that is not UTF-8 is refused', async () => {
    const bytes = new Uint8Array([0x22, 0xff, 0x22]);
    const request = new Request(`${ORIGIN}/v1/features`, { method: 'POST', body: bytes });
    expect((await appWith().app.request(request)).status).toBe(400);
  });

  test('keys times features are limited, stars and repeats counted for what they are', async () => {
    const { app, seen } = appWith();
    const ask = (features: string[], count: number) =>
      app.request(post('/v1/features', JSON.stringify({ features, entities: { origin: new Array(count).fill('A') } })));
    expect((await ask(['delays:*'], LOOKUP_VALUES_MAX / 2)).status).toBe(200);
    expect((await ask(['delays:*', 'delays:rate_2h'], LOOKUP_VALUES_MAX / 2)).status).toBe(200);
    const refused = await ask(['delays:*'], LOOKUP_VALUES_MAX / 2 + 1);
    expect(refused.status).toBe(413);
    expect((await problemIn(refused)).detail).toContain(`the limit lookup_values is ${LOOKUP_VALUES_MAX}`);
    expect(seen.lookups.length).toBe(2);
    // A list is as many values as it may have.
    expect((await ask(['latest:*'], LOOKUP_VALUES_MAX / 1000)).status).toBe(200);
    expect((await ask(['latest:*'], LOOKUP_VALUES_MAX / 1000 + 1)).status).toBe(413);
  });

  test.each(['lookup_features', 'lookup_keys'] as const)('%s is a limit', async limit => {
    const { app, seen } = appWith();
    const most = LIMITS[limit].value;
    const ask = (count: number) => {
      const [features, keys] = limit === 'lookup_features' ? [count, 1] : [1, count];
      const origin = new Array(keys).fill('A');
      return app.request(
        post('/v1/features', JSON.stringify({ features: new Array(features).fill('a:b'), entities: { origin } })),
      );
    };
    expect((await ask(most)).status).toBe(200);
    const refused = await ask(most + 1);
    expect(refused.status).toBe(413);
    expect((await problemIn(refused)).detail).toContain(`the limit ${limit} is ${most}`);
    expect(seen.lookups.length).toBe(1);
  });

  test('the reply is columnar, with statuses only where a value has one, and since when it is known', async () => {
    const answer: Answer = {
      timeMicros: 978_865_200_000_001n,
      position: 12,
      entities: [
        {
          entity: 'origin',
          keys: ['AT"L', ['x', 9007199254740993n]],
          features: [
            {
              name: 'delays:flights_2h',
              type: INT64,
              values: new BigInt64Array([9223372036854775807n, 0n]),
              nulls: new Uint8Array([0, 0]),
              statuses: new Uint8Array([1, 2]),
              sinceMicros: 983_750_400_000_000n,
            },
            {
              name: 'delays:rate_2h',
              type: DOUBLE,
              values: new Float64Array([0.1, 5]),
              nulls: new Uint8Array([0, 1]),
              statuses: new Uint8Array([0, 0]),
              sinceMicros: null,
            },
          ],
        },
      ],
    };
    const response = await appWith({ answer }).app.request(post('/v1/features', '{"features":["a:b"],"entities":{}}'));
    expect(await response.text()).toBe(
      '{"time":"2001-01-07T11:00:00.000001Z","position":12,"entities":{"origin":{"keys":["AT\\"L",["x",9007199254740993]],' +
        '"features":{"delays:flights_2h":{"values":[9223372036854775807,0],"statuses":["WARMING","NOT_FOUND"],"since":"2001-03-05T00:00:00Z"},' +
        '"delays:rate_2h":{"values":[0.1,null]}}}}}\n',
    );
  });
});

describe('errors', () => {
  test('come in pages; next is null at the end', async () => {
    const { app, seen } = appWith();
    const page = async (query: string) => (await (await app.request(`/v1/errors${query}`)).json()) as { next: unknown };
    expect((await page('?after=1&limit=2')).next).toBe(9);
    expect((await page('')).next).toBeNull();
    expect(seen.pages).toEqual([
      { after: 1, limit: 2 },
      { after: -1, limit: 100 },
    ]);
    expect(seen.barriers).toBe(2);
  });

  test.each(['limit=0', 'limit=x', 'after=1.5', 'limit=10001'])('%s is refused', async query => {
    const response = await appWith().app.request(`/v1/errors?${query}`);
    expect(response.status).toBe(400);
    expect((await problemIn(response)).detail).toContain(query.split('=')[0]!);
  });
});

describe('failures', () => {
  const EXPECTED: [FaultCode, number][] = [
    ['request', 400],
    ['not_found', 404],
    ['expired', 410],
    ['too_large', 413],
    ['media_type', 415],
    ['definition', 422],
    ['config', 422],
    ['corrupt', 500],
    ['unsupported', 501],
    ['busy', 503],
  ];

  test.each(EXPECTED)('a fault %s is a %d', async (code, status) => {
    const { app } = appWith({ fails: new Fault(code, 'the reason') });
    const response = await app.request(post('/v1/events', ''));
    expect(response.status).toBe(status);
    expect(await problemIn(response)).toMatchObject({ code, detail: 'the reason' });
  });

  test('what we did not foresee is a 500 without internals, and logged with them', async () => {
    const { app, seen } = appWith({ fails: new TypeError('secret detail') });
    const response = await app.request(post('/v1/events', ''));
    expect(response.status).toBe(500);
    expect(JSON.stringify(await problemIn(response))).not.toContain('secret');
    expect(JSON.stringify(seen.logged)).toContain('secret detail');
    expect(seen.broken).toEqual([]);
  });

  test('a broken assertion also ends the server', async () => {
    const fails = new AssertionError('tile out of order');
    const { app, seen } = appWith({ fails });
    expect((await app.request(post('/v1/events', ''))).status).toBe(500);
    expect(seen.broken).toEqual([fails]);
  });

  test('an unknown path is a 404, a wrong method a 405 that says which are right', async () => {
    const { app } = appWith();
    const missing = await app.request('/v1/feature');
    expect(missing.status).toBe(404);
    expect((await problemIn(missing)).detail).toContain('/v1/feature');

    const wrong = await app.request('/v1/features');
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get('allow')).toBe('POST');
    await problemIn(wrong);
    const deleted = await app.request('/v1/errors', { method: 'DELETE' });
    expect(deleted.headers.get('allow')).toBe('GET, HEAD');
  });

  test('HEAD has the status of GET and no body', async () => {
    const { app } = appWith();
    for (const [path, status] of [
      ['/healthz', 200],
      ['/', 200],
      ['/v1/errors', 200],
      ['/v1/features', 405],
      ['/nowhere', 404],
    ] as const) {
      const response = await app.request(path, { method: 'HEAD' });
      expect(response.status).toBe(status);
      expect(await response.text()).toBe('');
    }
  });
});
