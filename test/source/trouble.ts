import { Random } from '../sim/random.ts';

/** How an answer may be other than the service meant it. */
export type Trouble = 'fails' | 'slow' | 'breaks off' | 'wrong bytes';

export interface Proxy {
  url: string;
  /** What it may do to a request, and how often. */
  troubles: Trouble[];
  share: number;
  /** How often it did each. */
  done: Map<Trouble, number>;
  stop(): void;
}

const SLOW_MS = 100;

/** Between a client and a service: passes requests on, but for some, which the seed picks. */
export function troubledProxy(target: string, seed: number): Proxy {
  const random = new Random(seed);
  const proxy: Proxy = { url: '', troubles: [], share: 0, done: new Map(), stop: () => void server.stop(true) };
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const trouble = proxy.troubles.length > 0 && random.chance(proxy.share) ? random.pick(proxy.troubles) : null;
      if (trouble) proxy.done.set(trouble, (proxy.done.get(trouble) ?? 0) + 1);
      // Before the request has had any effect, or after it.
      const isBefore = random.chance(0.5);
      if (trouble === 'fails' && isBefore) return new Response('try again', { status: 500 });
      if (trouble === 'slow') await Bun.sleep(SLOW_MS);
      const { pathname, search } = new URL(request.url);
      const body = request.method === 'GET' || request.method === 'HEAD' ? null : await request.arrayBuffer();
      const { method, headers } = request;
      const answer = await fetch(`${target}${pathname}${search}`, { method, headers, body, decompress: false });
      if (trouble === 'fails') return new Response('try again', { status: 503 });
      const bytes = new Uint8Array(await answer.arrayBuffer());
      const isObject = method === 'GET' && bytes.length > 0 && search === '';
      if (isObject && trouble === 'breaks off') return brokenOff(answer, bytes, random);
      if (isObject && trouble === 'wrong bytes') bytes[random.below(bytes.length)]! ^= 0x10;
      return new Response(method === 'HEAD' ? null : bytes, { status: answer.status, headers: answer.headers });
    },
  });
  proxy.url = `http://127.0.0.1:${server.port}`;
  return proxy;
}

/** A part of the answer that looks like all there is. */
function brokenOff(answer: Response, bytes: Uint8Array, random: Random): Response {
  const headers = new Headers(answer.headers);
  headers.delete('content-length');
  return new Response(bytes.slice(0, random.below(bytes.length)), { status: answer.status, headers });
}
