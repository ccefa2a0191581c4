import type { Context, Handler } from 'hono';
import { accepts } from 'hono/accepts';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import type { ResultKind } from '../replay/tables.ts';
import { issueLine } from './features.ts';
import type { Operation } from './operation.ts';
import { pageLimit } from './page.ts';
import type { ReplayService } from './replay_service.ts';
import { FORMATS, type ResultBytes } from './result_format.ts';

const JSON_TYPE = 'application/json';

/** Rows of a page, where nothing is said. */
export const RESULT_LIMIT_DEFAULT = 1000;

const PARAMS = z.object({
  id: z.string().describe('of a replay that is done'),
  type: z.string().describe('the event type'),
});

const QUERY = z.object({
  after: z.string().optional().describe('`next` of the page before; of JSON alone'),
  limit: pageLimit('replay_page', RESULT_LIMIT_DEFAULT).describe('at most so many; of JSON alone'),
});

const ROW = z.record(z.string(), z.unknown());

const NEXT = z.string().nullable().describe('what to give as `after` for the next page; null at the end');

const HOW =
  'Accept says how: an Arrow stream (or file), Parquet, NDJSON and CSV have all of them, and are written while they are read; JSON, the default, comes in pages.';

export const GET_REPLAY_EVENTS: Operation = {
  id: 'replayEvents',
  summary: 'Events of a replay, with their features',
  description: `\`_id\`, \`_type\` and \`_time\` of each event of a type, and its features by name. ${HOW}`,
  params: PARAMS,
  query: QUERY,
  replies: {
    200: {
      description: 'The events, in their order.',
      type: JSON_TYPE,
      content: {
        shape: { name: 'ReplayEvents', schema: z.object({ events: z.array(ROW), next: NEXT }) },
        example: {
          events: [{ _id: 'p1', _type: 'payment', _time: '2026-03-02T10:05:00Z', 'payment.risk': false }],
          next: null,
        },
      },
      others: Object.keys(FORMATS),
    },
  },
  problems: [400, 404, 409, 501, 503],
};

export const GET_REPLAY_ERRORS: Operation = {
  id: 'replayErrors',
  summary: 'What is wrong with events of a replay',
  description: `Of each event of a type whatever is wrong with it: with a feature, or, where \`feature\` is null, with all of it. ${HOW}`,
  params: PARAMS,
  query: QUERY,
  replies: {
    200: {
      description: 'The errors, in the order of their events.',
      type: JSON_TYPE,
      content: {
        shape: { name: 'ReplayErrors', schema: z.object({ errors: z.array(ROW), next: NEXT }) },
        example: {
          errors: [
            { _id: 'p1', _type: 'payment', _time: '2026-03-02T10:05:00Z', feature: 'payment.rate', error: 'overflow' },
          ],
          next: null,
        },
      },
      others: Object.keys(FORMATS),
    },
  },
  problems: [400, 404, 409, 501, 503],
};

export function showResults(service: ReplayService, kind: ResultKind): Handler {
  return async c => {
    const [id, type] = [c.req.param('id')!, c.req.param('type')!];
    const wanted = accepts(c, {
      header: 'Accept',
      supports: [JSON_TYPE, ...Object.keys(FORMATS)],
      default: JSON_TYPE,
    }) as keyof typeof FORMATS | typeof JSON_TYPE;
    c.header('vary', 'Accept', { append: true });
    if (wanted === JSON_TYPE) return showPage(c, service, kind, id, type);
    const bytes = await service.table(id, kind, type, FORMATS[wanted]);
    // What is wrong from the start is told as a problem; later there is only the connection to break.
    const first = bytes.next();
    return c.body(streamOf(first, bytes), 200, { 'content-type': wanted });
  };
}

async function showPage(
  c: Context,
  service: ReplayService,
  kind: ResultKind,
  id: string,
  type: string,
): Promise<Response> {
  const parsed = QUERY.safeParse(c.req.query());
  if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
  const { after = null, limit } = parsed.data;
  const { lines, next } = await service.page(id, kind, type, { after, limit });
  const text = `{"${kind}":[${lines.join(',')}],"next":${JSON.stringify(next)}}\n`;
  return c.body(text, 200, { 'content-type': JSON_TYPE });
}

/** No block is made before the one before it is on its way: whoever reads slowly takes no room here. */
function streamOf(first: IteratorResult<Uint8Array>, bytes: ResultBytes): ReadableStream<Uint8Array> {
  let block = first;
  return new ReadableStream(
    {
      pull(controller) {
        if (block.done) return controller.close();
        controller.enqueue(block.value);
        block = bytes.next();
      },
      cancel() {
        bytes.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
