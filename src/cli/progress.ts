import { open, stat } from 'node:fs/promises';
import { SingleBar } from 'cli-progress';
import type { Watcher } from '../ingest/engine.ts';
import type { Block, Source } from '../source/source.ts';
import type { BackfillState } from './alone/backfill.ts';

/** How often a log file of somebody's batch job gets a line. */
export const LINE_EVERY_MS = 5_000;

/**
 * Tells how far a replay has come, and how many rows it has made: a bar on a terminal, a line now and then elsewhere, both on
 * standard error. Of files it is counted in bytes read, as nobody knows how many events they hold; of an event log in records.
 */
export class Progress {
  private bytes = 0;
  private rows = 0;
  private readonly startMs = performance.now();
  private lineMs = this.startMs;
  private readonly bar: SingleBar | null;

  private constructor(
    private readonly total: number,
    private readonly unit: 'bytes' | 'records',
    private readonly what: 'events' | 'labels',
  ) {
    this.bar = process.stderr.isTTY
      ? new SingleBar({ format: `{bar} {percentage}% | {rows} ${what} | {eta_formatted} left`, hideCursor: true })
      : null;
    this.bar?.start(total, 0, { rows: 0 });
  }

  static async overFiles(paths: string[], what: Progress['what']): Promise<Progress> {
    const sizes = await Promise.all(paths.map(unpackedBytes));
    return new Progress(
      sizes.reduce((sum, size) => sum + size, 0),
      'bytes',
      what,
    );
  }

  static overRecords(total: number, what: Progress['what']): Progress {
    return new Progress(total, 'records', what);
  }

  /** The same source; what is read of it is counted. */
  watch(source: Source): Source {
    const counted = (block: Block) => {
      this.bytes += block.bytes.length;
    };
    return {
      clock: source.clock,
      async *read(from) {
        for await (const block of source.read(from)) {
          counted(block);
          yield block;
        }
      },
    };
  }

  /** @param records read by now */
  count(rows: number, records: number) {
    this.rows += rows;
    // The total is an estimate where files are packed; a bar that runs over its end would look broken.
    const done = Math.min(this.unit === 'bytes' ? this.bytes : records, this.total);
    this.bar?.update(done, { rows: this.rows });
    if (this.bar || performance.now() - this.lineMs < LINE_EVERY_MS) return;
    this.lineMs = performance.now();
    const percent = this.total === 0 ? 100 : Math.floor((100 * done) / this.total);
    console.error(`replay: ${percent}% of the log, ${this.rows} ${this.what}`);
  }

  end(out: string): { count: number; seconds: number } {
    this.bar?.update(this.total, { rows: this.rows });
    this.stop();
    const seconds = (performance.now() - this.startMs) / 1000;
    console.error(`replay: ${this.rows} ${this.what} in ${seconds.toFixed(1)} s, written to ${out}`);
    return { count: this.rows, seconds };
  }

  stop() {
    this.bar?.stop();
  }
}

/** Tells how many jobs of a replay are completed: a bar on a terminal, a line now and then elsewhere, both on standard error. */
export class JobsProgress {
  #lineMs = Number.NEGATIVE_INFINITY;
  #last = -1;
  readonly #bar: SingleBar | null = process.stderr.isTTY
    ? new SingleBar({
        format: '{bar} {value} of {total} jobs completed | stage {stage} | {rate} jobs/s | {eta_formatted} left',
        hideCursor: true,
      })
    : null;
  readonly #startMs = performance.now();

  tell(done: number, total: number, stage: number): void {
    const seconds = (performance.now() - this.#startMs) / 1000;
    const rate = seconds > 0 ? (done / seconds).toFixed(1) : '-';
    if (this.#last < 0) this.#bar?.start(total, done, { stage, rate });
    this.#last = done;
    this.#bar?.update(done, { stage, rate });
    if (this.#bar || (done < total && performance.now() - this.#lineMs < LINE_EVERY_MS)) return;
    this.#lineMs = performance.now();
    console.error(`replay: ${done} of ${total} jobs completed`);
  }

  end(): void {
    this.#bar?.stop();
  }
}

/** A gzip file ends with the size of its last member, modulo 2^32: right for nearly every file, and only for the bar. */
async function unpackedBytes(path: string): Promise<number> {
  const size = await stat(path).then(
    stats => stats.size,
    () => 0, // the source says it better, with the file's name
  );
  if (!path.endsWith('.gz') || size < 4) return size;
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, size - 4);
    return buffer.readUInt32LE();
  } finally {
    await file.close();
  }
}

/** Tells how far a log is folded, a line now and then on standard error. */
export function foldProgress(verb: string): Watcher {
  let lineMs = performance.now();
  return {
    bad() {},
    barrier() {},
    caughtUp(folded, end) {
      if (performance.now() - lineMs < LINE_EVERY_MS) return;
      lineMs = performance.now();
      console.error(`${verb}: ${Math.floor((100 * folded) / end)}% of the log, ${folded} of ${end} records folded`);
    },
  };
}

export interface BackfillTeller {
  tell(state: BackfillState): void;
  end(): void;
}

/** Tells how far what is computed from the log has come: a bar on a terminal, a line now and then elsewhere. */
export function backfillTeller(): BackfillTeller {
  const format = '{bar} {percentage}% | {value} of {total} records, {rate}/s | {merged} rows merged';
  const bar = process.stderr.isTTY ? new SingleBar({ format, hideCursor: true }) : null;
  let lineMs = performance.now();
  bar?.start(0, 0, { rate: 0, merged: 0 });
  return {
    tell({ folded, end, rate, merged }) {
      bar?.setTotal(end);
      bar?.update(folded, { rate, merged });
      if (bar || performance.now() - lineMs < LINE_EVERY_MS) return;
      lineMs = performance.now();
      const percent = end === 0 ? 100 : Math.floor((100 * folded) / end);
      console.error(`apply: ${percent}% of the log, ${folded} of ${end} records at ${rate}/s, ${merged} rows merged`);
    },
    end: () => bar?.stop(),
  };
}
