import { type Handler, Hono } from 'hono';
import { Fault } from '../base/fault.ts';
import type { Ingest } from '../ingest/ingest.ts';
import type { Meta } from '../meta/meta.ts';
import type { Plan } from '../plan/plan.ts';
import type { Reader } from '../read/read.ts';
import { showErrors } from './errors.ts';
import { postEvents } from './events.ts';
import { postFeatures } from './features.ts';
import { isBroken, methodNotAllowed, problemOf } from './problem.ts';
import { showHealth, showWelcome } from './welcome.ts';

/** What the resources need; each is handed only its own part. */
export interface Services {
  ingest: Pick<Ingest, 'post'>;
  reader: Pick<Reader, 'lookup'>;
  meta: Pick<Meta, 'errors'>;
  plan: Plan;
  /** Takes one line or one stack trace for whoever runs the server. */
  log: (text: string) => void;
  /** Called with a broken assertion, after the reply is made. Whoever serves has to end the process. */
  broken: (error: unknown) => void;
}

/** The whole HTTP surface as a function of requests; it opens nothing and listens nowhere. */
export function app(services: Services): Hono {
  const app = new Hono();
  resource(app, '/', { GET: showWelcome });
  resource(app, '/healthz', { GET: showHealth });
  resource(app, '/v1/events', { POST: postEvents(services.ingest) });
  resource(app, '/v1/features', { POST: postFeatures(services.reader, services.plan) });
  resource(app, '/v1/errors', { GET: showErrors(services.meta) });
  app.notFound(c => {
    throw new Fault('not_found', `there is no ${c.req.path} here; GET / says what there is`);
  });
  app.onError(error => {
    const response = problemOf(error, services.log);
    if (isBroken(error)) services.broken(error);
    return response;
  });
  return app;
}

/** HEAD comes with GET. Any other method is told which ones there are. */
function resource(app: Hono, path: string, handlers: { GET?: Handler; POST?: Handler }) {
  for (const [method, handler] of Object.entries(handlers)) app.on(method, path, handler);
  const allowed = Object.keys(handlers).flatMap(method => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  app.all(path, c => methodNotAllowed(c.req.method, path, allowed));
}
