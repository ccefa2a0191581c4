import type { Handler } from 'hono';
import { z } from 'zod';
import type { Metrics } from '../base/metrics.ts';
import type { Operation } from './operation.ts';

const OK = { name: 'Ok', schema: z.object({ status: z.literal('ok') }) };

export const GET_HEALTH: Operation = {
  id: 'isAlive',
  summary: 'Is the process alive?',
  description: 'Answers as long as the process does. Whether it should be sent requests is what GET /readyz says.',
  replies: {
    200: { description: 'It is.', type: 'application/json', content: { shape: OK, example: { status: 'ok' } } },
  },
};

export const showHealth: Handler = c => c.json({ status: 'ok' });

export const GET_READY: Operation = {
  id: 'isReady',
  summary: 'Should it be sent requests?',
  description: 'Not before the log is folded up to its end, and not any more once the process is on its way out.',
  replies: {
    200: { description: 'Yes.', type: 'application/json', content: { shape: OK, example: { status: 'ok' } } },
    503: {
      description: 'No, and why.',
      type: 'application/json',
      content: {
        shape: { name: 'NotReady', schema: z.object({ status: z.literal('unavailable'), reason: z.string() }) },
        example: { status: 'unavailable', reason: 'the log is still being folded' },
      },
    },
  },
};

/** @param unready why not, or null */
export function showReady(unready: () => string | null): Handler {
  return c => {
    const reason = unready();
    return reason === null ? c.json({ status: 'ok' }) : c.json({ status: 'unavailable', reason }, 503);
  };
}

export const GET_METRICS: Operation = {
  id: 'metrics',
  summary: 'Counts and sizes, for Prometheus',
  description: 'In the text format of Prometheus; each metric says its meaning and its unit in its # HELP line.',
  replies: { 200: { description: 'The metrics.', type: 'text/plain', content: { shape: null } } },
};

export function showMetrics(metrics: Pick<Metrics, 'text' | 'contentType'>): Handler {
  return async c => c.body(await metrics.text(), 200, { 'content-type': metrics.contentType });
}
