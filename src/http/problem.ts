import { z } from 'zod';
import { AssertionError } from '../base/assert.ts';
import { Fault, type FaultCode, Faults, faultLine } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import { ENCODINGS_READ } from './body.ts';
import type { Named } from './operation.ts';

const STATUS_OF: Record<FaultCode, number> = {
  request: 400,
  not_found: 404,
  expired: 410,
  conflict: 409,
  too_large: 413,
  media_type: 415,
  definition: 422,
  config: 422,
  corrupt: 500,
  unsupported: 501,
  busy: 503,
};

export const TITLES: Record<number, string> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  410: 'Gone',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};

const CODES = [...(Object.keys(STATUS_OF) as FaultCode[]), 'method_not_allowed', 'internal'] as const;

/** RFC 9457. Further members say more where there is more to say. */
export const PROBLEM = z.looseObject({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int().min(400).max(599),
  code: z.enum(CODES).describe('what programs should look at'),
  detail: z.string().describe('for people: what it is about, what was found, what was wanted'),
});

export const PROBLEM_TYPE = 'application/problem+json';
export const PROBLEM_SHAPE: Named = { name: 'Problem', schema: PROBLEM };

type Problem = Pick<z.infer<typeof PROBLEM>, 'status' | 'code' | 'detail'>;

/** The one place where failures become replies. What is no Fault is our bug: it is logged, and told without internals. */
export function problemOf(error: unknown, log: Log): Response {
  if (error instanceof Faults) return problem(error.faults[0]!.code, error.faults.map(faultLine).join('\n'));
  if (error instanceof Fault) {
    // Stored bytes that are not what was written concern whoever runs this more than whoever asks.
    if (error.code === 'corrupt') log.error({ code: error.code }, faultLine(error));
    return problem(error.code, faultLine(error));
  }
  log.error({ code: 'internal' }, error instanceof Error ? (error.stack ?? String(error)) : String(error));
  return reply({ status: 500, code: 'internal', detail: 'something went wrong here; the log of the server has more' });
}

/** @param extras further members of the problem object */
export function problem(code: FaultCode, detail: string, extras: Record<string, unknown> = {}): Response {
  const response = reply({ status: STATUS_OF[code], code, detail }, extras);
  if (code === 'media_type') response.headers.set('accept-encoding', ENCODINGS_READ);
  if (code === 'busy') response.headers.set('retry-after', '1');
  return response;
}

export function methodNotAllowed(method: string, path: string, allowed: string[]): Response {
  const detail = `${path} does not take ${method}, only ${allowed.join(', ')}`;
  const response = reply({ status: 405, code: 'method_not_allowed', detail });
  response.headers.set('allow', allowed.join(', '));
  return response;
}

function reply({ status, code, detail }: Problem, extras: Record<string, unknown> = {}): Response {
  const body = { type: 'about:blank', title: TITLES[status], status, code, detail, ...extras };
  const text = `${JSON.stringify(body)}\n`;
  const headers = { 'content-type': PROBLEM_TYPE, 'content-length': String(Buffer.byteLength(text)) };
  return new Response(text, { status, headers });
}

/** A broken assertion leaves memory in an unknown state: the process has to go, and start again from what is durable. */
export function isBroken(error: unknown): boolean {
  return error instanceof AssertionError;
}
