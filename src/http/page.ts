import { z } from 'zod';
import { LIMITS, type LimitName } from './limits.ts';

/** How many of something a page has at most, as queries say it. */
export function pageLimit(name: LimitName, byDefault: number) {
  const { value, what } = LIMITS[name];
  return z.coerce
    .number()
    .int()
    .min(1)
    .max(value, `the limit ${name} is ${value} ${what}`)
    .default(byDefault)
    .describe('at most so many');
}
