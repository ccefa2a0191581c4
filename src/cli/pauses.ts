import type { Pauses } from '../source/bucket.ts';

/** Between tries of what a bucket did not answer: by the clock on the wall. */
export const WALL_PAUSES: Pauses = {
  async sleep(ms, stopped) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([promise, stopped]);
    clearTimeout(timer);
  },
  random: Math.random,
};
