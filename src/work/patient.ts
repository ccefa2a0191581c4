/**
 * Rows of a database that may be slow, or away for a while: what it does not answer is asked again, until it does. Whoever
 * folds waits for it, and so do messages, where they are safe: memory holds no more than it would otherwise.
 */
import { Fault } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import type { RemoteRows } from '../store/remote.ts';

/** Before the next try: longer each time, as long as the database is away. */
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5_000;

export type FoldedRows = Pick<RemoteRows, 'readRows' | 'writeRows'>;

/** Does what the database may not answer, until it does. */
export type Patience = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * @param what waits: it is told once, however many wait for the same database
 * @param pause so many milliseconds
 */
export function patience(what: string, log: Log, pause: (ms: number) => Promise<unknown> = Bun.sleep): Patience {
  let isAway = false;
  return async work => {
    for (let pauseMs = PAUSE_MIN_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
      try {
        const result = await work();
        if (isAway) log.info({}, 'the database answers again');
        isAway = false;
        return result;
      } catch (error) {
        // All else is for somebody to mend, and waiting does not.
        if (!(error instanceof Fault) || error.code !== 'busy') throw error;
        if (!isAway) log.warn({ error: error.message }, `the database does not answer: ${what} waits`);
        isAway = true;
        await pause(pauseMs);
      }
    }
  };
}

export function patient(rows: FoldedRows, log: Log, pause?: (ms: number) => Promise<unknown>): FoldedRows {
  const untilAnswered = patience('folding', log, pause);
  return {
    readRows: (wanted, take) => untilAnswered(() => rows.readRows(wanted, take)),
    writeRows: (run, version) => untilAnswered(() => rows.writeRows(run, version)),
  };
}
