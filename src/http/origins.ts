import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import type { Operation } from './operation.ts';

/** `*`, or origins as browsers name them: `https://app.example`, without a path. */
export type Origins = string[];

/** How long a browser need not ask again whether it may ask: Chromium remembers no longer. */
const ASKED_FOR_S = 7200;

/** Of every reply, and of those that are to be asked for again. */
const ALWAYS_TOLD = ['x-request-id', 'retry-after'];

/**
 * Lets pages of other origins ask, which browsers refuse them else, and read what only headers say. Whatever headers a page wants to
 * send it may; cookies it may not, for there is nothing here that they would be for.
 */
export function shareWith(origins: Origins, operations: Operation[]): MiddlewareHandler {
  const told = operations.flatMap(({ replies }) =>
    Object.values(replies).flatMap(({ headers = {} }) => Object.keys(headers)),
  );
  return cors({
    origin: origins.includes('*') ? '*' : origins,
    allowMethods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    exposeHeaders: [...new Set([...told.map(name => name.toLowerCase()), ...ALWAYS_TOLD])],
    maxAge: ASKED_FOR_S,
  });
}
