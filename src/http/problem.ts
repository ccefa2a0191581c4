import { AssertionError } from '../base/assert.ts';
import { Fault, type FaultCode, Faults, faultLine } from '../base/fault.ts';

/** RFC 9457. `code` is a `FaultCode` where there is one: what programs should look at. */
export interface Problem {
  status: number;
  title: string;
  detail: string;
  code: FaultCode | 'method_not_allowed' | 'internal';
}

const STATUS_OF: Record<FaultCode, number> = {
  request: 400,
  not_found: 404,
  expired: 410,
  too_large: 413,
  definition: 422,
  config: 422,
  corrupt: 500,
  unsupported: 501,
  busy: 503,
};

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  410: 'Gone',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};

/** The one place where failures become replies. What is no Fault is our bug: it is logged, and told without internals. */
export function problemOf(error: unknown, log: (text: string) => void): Response {
  if (error instanceof Faults) return problem(error.faults[0]!.code, error.faults.map(faultLine).join('\n'));
  if (error instanceof Fault) {
    // Stored bytes that are not what was written concern whoever runs this more than whoever asks.
    if (error.code === 'corrupt') log(`corrupt: ${faultLine(error)}`);
    return problem(error.code, faultLine(error));
  }
  log(error instanceof Error ? (error.stack ?? String(error)) : String(error));
  return reply({ status: 500, code: 'internal', detail: 'something went wrong here; the log of the server has more' });
}

/** @param extras further members of the problem object */
export function problem(code: FaultCode, detail: string, extras: Record<string, unknown> = {}): Response {
  return reply({ status: STATUS_OF[code], code, detail }, extras);
}

export function methodNotAllowed(method: string, path: string, allowed: string[]): Response {
  const detail = `${path} does not take ${method}, only ${allowed.join(', ')}`;
  const response = reply({ status: 405, code: 'method_not_allowed', detail });
  response.headers.set('allow', allowed.join(', '));
  return response;
}

function reply(known: Omit<Problem, 'title'>, extras: Record<string, unknown> = {}): Response {
  const { status, code, detail } = known;
  const body = { type: 'about:blank', title: TITLES[status], status, code, detail, ...extras };
  return new Response(`${JSON.stringify(body)}\n`, { status, headers: { 'content-type': 'application/problem+json' } });
}

/** A broken assertion leaves memory in an unknown state: the process has to go, and start again from what is durable. */
export function isBroken(error: unknown): boolean {
  return error instanceof AssertionError;
}
