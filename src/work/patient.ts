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

/** @param pause so many milliseconds */
export function patient(rows: FoldedRows, log: Log, pause: (ms: number) => Promise<unknown> = Bun.sleep): FoldedRows {
  /** Several partitions wait for the same database: it is told once. */
  let isAway = false;

  async function untilAnswered(work: () => Promise<void>): Promise<void> {
    for (let pauseMs = PAUSE_MIN_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
      try {
        await work();
        if (isAway) log.info({}, 'the database answers again');
        isAway = false;
        return;
      } catch (error) {
        // All else is for somebody to mend, and waiting does not.
        if (!(error instanceof Fault) || error.code !== 'busy') throw error;
        if (!isAway) log.warn({ error: error.message }, 'the database does not answer: folding waits');
        isAway = true;
        await pause(pauseMs);
      }
    }
  }

  return {
    readRows: (wanted, take) => untilAnswered(() => rows.readRows(wanted, take)),
    writeRows: (run, version) => untilAnswered(() => rows.writeRows(run, version)),
  };
}
