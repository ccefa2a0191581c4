import { join } from 'node:path';
import type { AppendFile, Disk } from '../source/disk.ts';
import { removeIfThere } from '../source/segments.ts';
import { LINE_MAX_BYTES } from '../source/source.ts';
import { ByteStream, fileChunks } from '../source/stream.ts';

/** An event that is given out; its line is valid until the next one. */
export interface TimedEvent {
  type: number;
  timeMicros: bigint;
  line: Uint8Array;
}

/** What is sorted in memory at once: what is more waits in files. */
export const RUN_BYTES = 64 << 20;

/** What an event takes in memory beside its line. */
const BESIDE_BYTES = 48;

/** What stands before a line in a file: time, type, length. */
const HEAD_BYTES = 16;

/** Written at a time. */
const WRITE_BYTES = 1 << 20;

/**
 * Puts events in the order of their times, those of equal times as they were given: in memory while there are few, and
 * else in files beside, of sorted runs that are merged. `close` removes those.
 */
export class ByTime {
  #run = new Run();
  readonly #files: string[] = [];

  /** @param name of the files, in the folder */
  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    private readonly name: string,
    private readonly runBytes = RUN_BYTES,
  ) {}

  add(type: number, timeMicros: bigint, line: Uint8Array): void {
    this.#run.add(type, timeMicros, line);
  }

  /** Makes room: to be called now and then, at the latest after some megabytes. */
  async settle(): Promise<void> {
    if (this.#run.heldBytes < this.runBytes) return;
    const path = join(this.folder, `${this.name}.${this.#files.length}.run`);
    await removeIfThere(this.disk, path);
    this.#files.push(path);
    const file = await this.disk.create(path);
    try {
      await writeRun(file, this.#run);
    } finally {
      await file.close();
    }
    this.#run = new Run();
  }

  /** All of them, once. */
  async *sorted(): AsyncGenerator<TimedEvent> {
    const runs: RunReader[] = this.#files.map(path => runFile(this.disk, path));
    runs.push(this.#run.sorted());
    const heads: (TimedEvent | null)[] = [];
    for (const run of runs) heads.push(await run.next());
    for (;;) {
      // Of equal times the run that was given first.
      let first = -1;
      for (const [i, head] of heads.entries())
        if (head && (first < 0 || head.timeMicros < heads[first]!.timeMicros)) first = i;
      if (first < 0) return;
      yield heads[first]!;
      heads[first] = await runs[first]!.next();
    }
  }

  async close(): Promise<void> {
    for (const path of this.#files) await removeIfThere(this.disk, path);
  }
}

interface RunReader {
  next(): Promise<TimedEvent | null> | TimedEvent | null;
}

/** What is sorted at once. */
class Run {
  bytes = 0;
  #lines = new Uint8Array(1 << 20);
  #ends: number[] = [];
  #types: number[] = [];
  #times: bigint[] = [];

  get heldBytes(): number {
    return this.bytes + BESIDE_BYTES * this.#times.length;
  }

  add(type: number, timeMicros: bigint, line: Uint8Array): void {
    if (this.bytes + line.length > this.#lines.length) {
      const grown = new Uint8Array(2 * (this.bytes + line.length));
      grown.set(this.#lines);
      this.#lines = grown;
    }
    this.#lines.set(line, this.bytes);
    this.bytes += line.length;
    this.#ends.push(this.bytes);
    this.#types.push(type);
    this.#times.push(timeMicros);
  }

  sorted(): { next(): TimedEvent | null } {
    const order = this.#order();
    let at = 0;
    return {
      next: () => {
        const i = order[at++];
        if (i === undefined) return null;
        const line = this.#lines.subarray(this.#ends[i - 1] ?? 0, this.#ends[i]);
        return { type: this.#types[i]!, timeMicros: this.#times[i]!, line };
      },
    };
  }

  #order(): Uint32Array {
    const times = this.#times;
    const order = Uint32Array.from(times, (_, i) => i);
    const isSorted = times.every((time, i) => i === 0 || times[i - 1]! <= time);
    if (!isSorted) order.sort((a, b) => (times[a]! < times[b]! ? -1 : times[a]! > times[b]! ? 1 : a - b));
    return order;
  }
}

async function writeRun(file: AppendFile, run: Run): Promise<void> {
  const { next } = run.sorted();
  const out = new Uint8Array(WRITE_BYTES + HEAD_BYTES + LINE_MAX_BYTES);
  const view = new DataView(out.buffer);
  let length = 0;
  for (let event = next(); event; event = next()) {
    view.setBigInt64(length, event.timeMicros, true);
    view.setUint32(length + 8, event.type, true);
    view.setUint32(length + 12, event.line.length, true);
    out.set(event.line, length + HEAD_BYTES);
    length += HEAD_BYTES + event.line.length;
    if (length < WRITE_BYTES) continue;
    await file.write(out.subarray(0, length));
    length = 0;
  }
  await file.write(out.subarray(0, length));
}

/** Nobody but this process has written it, a moment ago. */
function runFile(disk: Disk, path: string): RunReader {
  const stream = new ByteStream(fileChunks(disk, path));
  return {
    async next() {
      const head = await stream.peek(HEAD_BYTES);
      if (head.length < HEAD_BYTES) return null;
      const view = new DataView(head.buffer, head.byteOffset);
      const [timeMicros, type, length] = [view.getBigInt64(0, true), view.getUint32(8, true), view.getUint32(12, true)];
      const whole = await stream.peek(HEAD_BYTES + length);
      stream.skip(HEAD_BYTES + length);
      return { type, timeMicros, line: whole.subarray(HEAD_BYTES) };
    },
  };
}
