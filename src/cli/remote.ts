import { Fault } from '../base/fault.ts';
import type { Receipt } from '../ingest/ingest.ts';

/**
 * Asks the server that holds the data folder.
 *
 * @returns the reply's body
 * @throws Fault with what the server says is wrong, `busy` where it does not answer
 */
export async function askServer(url: string, path: string, init: RequestInit = {}): Promise<string> {
  const { ok, status, text } = await exchange(url, path, init);
  if (!ok) throw refusal(url, status, text);
  return text;
}

/** Posts lines to the server. That all were rejected is a receipt like any other. */
export async function postLines(url: string, lines: Uint8Array, key: string | null): Promise<Receipt> {
  const headers = { 'content-type': 'application/x-ndjson', ...(key === null ? {} : { 'idempotency-key': key }) };
  const { ok, status, text, isReplayed } = await exchange(url, '/v1/events', {
    method: 'POST',
    headers,
    body: lines.slice(),
  });
  const { accepted, rejected, position } = JSON.parse(text) as Partial<Receipt>;
  if (accepted === undefined || !rejected || position === undefined || (!ok && status !== 400))
    throw refusal(url, status, text);
  return { accepted, rejected, position, replayed: isReplayed };
}

async function exchange(url: string, path: string, init: RequestInit) {
  try {
    const response = await fetch(new URL(path, url), init);
    const isReplayed = response.headers.get('idempotency-replayed') === 'true';
    return { ok: response.ok, status: response.status, text: await response.text(), isReplayed };
  } catch (error) {
    throw new Fault('busy', `the data folder is held by ${url}, which does not answer: ${(error as Error).message}`);
  }
}

/** The server's own words, from its problem+json. */
function refusal(url: string, status: number, text: string): Fault {
  const problem: { detail?: string } = text.startsWith('{') ? JSON.parse(text) : {};
  return new Fault(status < 500 ? 'request' : 'busy', problem.detail ?? `${url} answered with status ${status}`);
}
