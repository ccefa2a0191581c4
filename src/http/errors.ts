import type { Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import type { Meta } from '../meta/meta.ts';

export const ERRORS_LIMIT_DEFAULT = 100;

/** A page that a browser still shows at once; who wants more asks for the next one. */
export const ERRORS_LIMIT_MAX = 10_000;

const query = z.object({
  after: z.coerce.number().int().min(-1).default(-1),
  limit: z.coerce.number().int().min(1).max(ERRORS_LIMIT_MAX).default(ERRORS_LIMIT_DEFAULT),
});

/** Events that were logged but cannot count, and why, in the order they were found. */
export function showErrors(meta: Pick<Meta, 'errors'>): Handler {
  return c => c.json(errorsPage(meta, c.req.query()));
}

/**
 * @param text `after`: the `id` of the last error of the page before; `limit`: at most so many
 * @returns `next` is what to give as `after` for the next page, null at the end
 */
export function errorsPage(meta: Pick<Meta, 'errors'>, text: { after?: string; limit?: string }) {
  const parsed = query.safeParse(text);
  if (!parsed.success)
    throw new Fault(
      'request',
      parsed.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`).join('; '),
    );
  const { after, limit } = parsed.data;
  const errors = meta.errors({ after, limit });
  return { errors, next: errors.length < limit ? null : errors.at(-1)!.id };
}
