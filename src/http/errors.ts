import type { Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import type { Ingest } from '../ingest/ingest.ts';
import type { ErrorRow, ErrorsPage } from '../meta/meta.ts';
import type { Operation } from './operation.ts';
import { pageLimit } from './page.ts';

export const ERRORS_LIMIT_DEFAULT = 100;

const query = z.object({
  after: z.coerce.number().int().min(-1).default(-1).describe('the `id` of the last error of the page before'),
  limit: pageLimit('errors_page', ERRORS_LIMIT_DEFAULT),
  type: z.string().min(1).optional().describe('only those of this event type'),
});

const PAGE = z.object({
  errors: z.array(
    z.object({
      id: z.int().min(1),
      position: z.int().min(0).nullable().describe('in a cluster, among the events of its partition'),
      source: z.string().describe('`log`; in a cluster the partition, and the offset of the message'),
      line: z.int().nullable(),
      type: z.string().nullable(),
      time: z.string().nullable(),
      code: z.string(),
      message: z.string(),
      sample: z.string().describe('the beginning of the event'),
    }),
  ),
  next: z.int().nullable().describe('what to give as `after` for the next page; null at the end'),
});

export const GET_ERRORS: Operation = {
  id: 'listErrors',
  summary: 'List events that cannot count',
  description:
    'Events that were logged, for they are events, but whose inputs are not what is declared, in the order they were found. The oldest are forgotten where there are very many. In a cluster they are what its topic of errors has, with what was no event at all.',
  query,
  replies: {
    200: {
      description: 'A page of them.',
      type: 'application/json',
      content: {
        shape: { name: 'ErrorsPage', schema: PAGE },
        example: {
          errors: [
            {
              id: 1,
              position: 70,
              source: 'log',
              line: null,
              type: 'flight',
              time: '2001-03-05T00:01:00Z',
              code: 'missing',
              message: 'required input origin is missing or null',
              sample: '{"type":"flight","time":"2001-03-05T00:01:00Z","data":{"destination":"LAS"}}',
            },
          ],
          next: null,
        },
      },
    },
  },
  problems: [400, 501, 503],
};

/** At most `limit` errors, the oldest first. */
export type ListErrors = (page: ErrorsPage) => ErrorRow[] | Promise<ErrorRow[]>;

/** Events that were logged but cannot count, and why, in the order they were found: of every event acknowledged before. */
export function showErrors(ingest: Pick<Ingest, 'barrier'>, meta: { errors: ListErrors }): Handler {
  return async c => {
    // Errors reach the database with the rows.
    await ingest.barrier();
    return c.json(await errorsPage(meta.errors, c.req.query()));
  };
}

/**
 * @param text `after`: the `id` of the last error of the page before; `limit`: at most so many; `type`: of events
 * @returns `next` is what to give as `after` for the next page, null at the end
 */
export async function errorsPage(list: ListErrors, text: { after?: string; limit?: string; type?: string }) {
  const parsed = query.safeParse(text);
  if (!parsed.success)
    throw new Fault(
      'request',
      parsed.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`).join('; '),
    );
  const { after, limit, type } = parsed.data;
  const errors = await list({ after, limit, ...(type !== undefined && { type }) });
  return { errors, next: errors.length < limit ? null : errors.at(-1)!.id };
}
