import type { Context, MiddlewareHandler } from 'hono';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';

/** What is asked every few seconds by machines says nothing new in a log. */
const PROBES = new Set(['/healthz', '/readyz', '/metrics']);

/** Where the route of a request is kept: requests to nowhere have none, lest each makes a metric of its own. */
declare module 'hono' {
  interface ContextVariableMap {
    route: string;
  }
}

/** A line of the log and a place in the histogram for each request, with what became of it. */
export function watch(log: Log, metrics: Pick<Metrics, 'request'>): MiddlewareHandler {
  return async (c, next) => {
    const startMs = performance.now();
    await next();
    const ms = performance.now() - startMs;
    // Failures are replies of their own making, which know nothing of the request.
    c.res.headers.set('x-request-id', c.get('requestId'));
    const route = c.get('route');
    const method = route === undefined ? 'any' : c.req.method;
    metrics.request(route ?? 'none', method, c.res.status, ms / 1000);
    log[PROBES.has(c.req.path) ? 'debug' : 'info'](fieldsOf(c, ms), 'request');
  };
}

function fieldsOf(c: Context, ms: number) {
  const { method, path } = c.req;
  return { method, path, status: c.res.status, ms: Math.round(ms * 1000) / 1000, request_id: c.get('requestId') };
}
