import type { Context, Handler } from 'hono';
import { Fault } from '../base/fault.ts';
import type { BodyFormat, Ingest, Receipt } from '../ingest/ingest.ts';
import { BATCH_MAX_BYTES } from '../source/segment.ts';
import { readBody } from './body.ts';
import { problem } from './problem.ts';

/** One append to the event log, with room for the newline that the last line may lack. */
export const EVENTS_BODY_MAX_BYTES = BATCH_MAX_BYTES - 1;

/**
 * 202 once every accepted event is durable and counts in lookups; 400 when not one was accepted. Either way the reply
 * lists what was rejected. Bytes go to the kernels as they came: nothing here parses an event.
 */
export function postEvents(ingest: Pick<Ingest, 'post'>): Handler {
  return async c => {
    const format = formatOf(c);
    const receipt = await ingest.post(await readBody(c.req.raw, EVENTS_BODY_MAX_BYTES), format);
    if (receipt.accepted === 0 && receipt.rejected.length > 0) return refused(receipt);
    const { accepted, rejected, position } = receipt;
    return c.json({ accepted, rejected, position }, 202);
  };
}

function refused({ rejected, position }: Receipt): Response {
  const count = rejected.length === 1 ? 'the event was' : `all ${rejected.length} events were`;
  const detail = `${count} rejected; line ${rejected[0]!.line}: ${rejected[0]!.reason}`;
  return problem('request', detail, { accepted: 0, rejected, position });
}

function formatOf(c: Context): BodyFormat {
  const type = (c.req.header('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  switch (type) {
    case 'application/json':
      return 'json';
    case 'application/x-ndjson':
    case 'application/ndjson':
    case 'application/jsonl':
      return 'ndjson';
    default:
      throw new Fault(
        'request',
        `content-type is ${type === '' ? 'missing' : type}, wanted application/json (an event or an array of them) or application/x-ndjson (an event a line)`,
      );
  }
}
