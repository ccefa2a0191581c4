/** Pages of other origins: what browsers ask before they let one ask, and what they let it read. */
import { describe, expect, test } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import { appWith, ORIGIN, post } from './told.ts';

const PAGE = 'https://app.example';
const OTHER = 'https://elsewhere.example';

function from(origin: string, request: Request): Request {
  request.headers.set('origin', origin);
  return request;
}

/** As a browser asks, before it sends a batch with a key. */
function preflight(origin: string): Request {
  const asked = {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'content-type,idempotency-key',
  };
  return from(origin, new Request(`${ORIGIN}/v1/events`, { method: 'OPTIONS', headers: asked }));
}

const allowed = ({ headers }: Response) => headers.get('access-control-allow-origin');

describe('pages of origins that are configured', () => {
  test('may send what the API takes, with whatever headers', async () => {
    const { app, seen } = appWith({ origins: [PAGE] });
    const reply = await app.request(preflight(PAGE));
    expect([reply.status, allowed(reply), reply.headers.get('vary')]).toEqual([
      ...[204, PAGE],
      expect.stringContaining('Origin'),
    ]);
    expect(reply.headers.get('access-control-allow-headers')).toBe('content-type,idempotency-key');
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'])
      expect(reply.headers.get('access-control-allow-methods')!.split(',')).toContain(method);
    expect(reply.headers.get('access-control-allow-credentials')).toBeNull();
    expect(seen.bodies).toEqual([]);
  });

  test('read replies and refusals, and what their headers say', async () => {
    const fails = new Fault('conflict', 'no');
    for (const [told, request, status] of [
      [{}, new Request(`${ORIGIN}/v1/replays`), 200],
      [{}, new Request(`${ORIGIN}/nowhere`), 404],
      [{}, new Request(`${ORIGIN}/v1/features`), 405],
      [{ fails }, new Request(`${ORIGIN}/v1/replays/a`), 409],
      [{ opening: true }, post('/v1/features', '{}'), 503],
    ] as const) {
      const reply = await appWith({ ...told, origins: [PAGE] }).app.request(from(PAGE, request));
      expect([reply.status, allowed(reply)]).toEqual([status, PAGE]);
      const exposed = reply.headers.get('access-control-expose-headers')!.split(',');
      expect(exposed).toEqual(expect.arrayContaining(['x-request-id', 'retry-after', 'idempotency-replayed']));
    }
  });

  test('are those alone, but where any may', async () => {
    for (const [origins, origin, wanted] of [
      [[PAGE], OTHER, null],
      [[PAGE, OTHER], OTHER, OTHER],
      [['*'], OTHER, '*'],
      [[PAGE], `${PAGE}.evil.example`, null],
    ] as const) {
      const { app } = appWith({ origins: [...origins] });
      for (const request of [preflight(origin), from(origin, new Request(`${ORIGIN}/healthz`))])
        expect(allowed(await app.request(request))).toBe(wanted);
    }
  });
});

test('where none is configured browsers are told nothing, and OPTIONS is no method', async () => {
  const { app } = appWith();
  const reply = await app.request(preflight(PAGE));
  expect([reply.status, allowed(reply), reply.headers.get('access-control-expose-headers')]).toEqual([405, null, null]);
});
