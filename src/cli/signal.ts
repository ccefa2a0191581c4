import { EXIT } from './exit.ts';

/** What wraps a command passes a terminal's Ctrl-C on, which makes two signals of one. */
const SAME_SIGNAL_MS = 200;

/** The first signal; one that comes later ends the process where it stands. */
export function stopSignal(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let firstMs: number | null = null;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (firstMs !== null && performance.now() - firstMs > SAME_SIGNAL_MS) process.exit(EXIT.stopped);
      firstMs ??= performance.now();
      resolve(signal);
    });
  return promise;
}
