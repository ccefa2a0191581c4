import { Hono } from 'hono';
import type { Metrics } from '../base/metrics.ts';
import { showHealth, showMetrics, showReady } from './health.ts';

/** What a process that serves nothing else answers to whoever looks after it. */
export function vitals(unready: () => string | null, metrics: Pick<Metrics, 'text' | 'contentType'>): Hono {
  return new Hono()
    .get('/healthz', showHealth)
    .get('/readyz', showReady(unready))
    .get('/metrics', showMetrics(metrics));
}
