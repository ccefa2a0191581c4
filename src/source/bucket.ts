import { basename } from 'node:path';
import { Fault } from '../base/fault.ts';
import { type Disk, isMissing } from './disk.ts';

/**
 * Where packed segments lie beside the log's folder, and instead of it once they have left that. Objects are written
 * whole, and never changed or deleted from here.
 */
export interface Bucket {
  /** For messages, and before the name of an object: `s3://events/shop/`. */
  readonly name: string;
  /** All objects, ascending by name. */
  list(): Promise<{ name: string; bytes: number }[]>;
  /** Null where there is no such object. */
  size(name: string): Promise<number | null>;
  /** Bytes from `offset`: fewer than `length` where the object ends, or where the answer has broken off. */
  read(name: string, offset: number, length: number): Promise<Uint8Array>;
  /** Makes an object of so many bytes: whole, or not at all. One that has the name is gone then. */
  write(name: string, bytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Makes an object where there is none of the name, whole; false where there is one, which stays as it is. */
  make(name: string, bytes: Uint8Array): Promise<boolean>;
}

/** How time passes between two tries, and by what they are spread. */
export interface Pauses {
  /** Resolves after so many milliseconds, or sooner, once `stopped` has resolved. */
  sleep(ms: number, stopped: Promise<void>): Promise<void>;
  /** In [0, 1). */
  random(): number;
}

/** The first pause; each is about twice the one before. */
const PAUSE_MIN_MS = 200;
/** Long enough to be no load for a service that is down, short enough that it is noticed when it is back. */
const PAUSE_MAX_MS = 60_000;

/** Before the try after so many failures: growing, capped, and spread, so that many machines do not come at once. */
export function pauseMs(failures: number, random: number): number {
  return Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** Math.min(failures - 1, 20)) * (0.5 + random / 2);
}

/** Whoever reads waits for it: seven tries take about 13 s, then it is told. */
const READ_TRIES_MAX = 7;

/** Read in one request: its own time is little beside that of the bytes, and a broken one costs no more than this. */
const RANGE_BYTES = 4 << 20;
/** Two, so that a reader that looks at a start once more does not fetch it again. */
const RANGES_KEPT = 2;

const PACKED_NAME = /^\d{20}\.ndjson\.zst$/;
const NEVER = new Promise<void>(() => {});

/** What readers of a log ask of a disk. */
export type ReadDisk = Pick<Disk, 'list' | 'read'>;

/** A folder whose packed segments are read from the bucket where they are not in it. */
export function readThrough(disk: ReadDisk, bucket: Bucket, pauses: Pauses): ReadDisk {
  const ranges = new Ranges(bucket, pauses);
  return {
    list: folder => disk.list(folder),
    async read(path, offset, length) {
      try {
        return await disk.read(path, offset, length);
      } catch (error) {
        if (!isMissing(error) || !PACKED_NAME.test(basename(path))) throw error;
      }
      return ranges.read(basename(path), offset, length);
    },
  };
}

/**
 * What a bucket holds now, as folders: names of objects are paths. A listing is asked for once, when it is first wanted.
 */
export function bucketDisk(bucket: Bucket, pauses: Pauses): ReadDisk {
  const ranges = new Ranges(bucket, pauses);
  let listing: Promise<{ name: string }[]> | null = null;
  return {
    async list(folder) {
      listing ??= tryOften(`${bucket.name} cannot be listed`, () => bucket.list(), pauses);
      const within = folder === '' ? '' : `${folder}/`;
      const names = (await listing).filter(({ name }) => name.startsWith(within));
      if (names.length === 0) throw missing(`there is nothing in ${bucket.name}${within}`);
      return [...new Set(names.map(({ name }) => name.slice(within.length).split('/')[0]!))];
    },
    read: (path, offset, length) => ranges.read(path, offset, length),
  };
}

/** Objects, range by range; those that were read last are kept. */
class Ranges {
  readonly #bucket: Bucket;
  readonly #pauses: Pauses;
  /** Objects never change. */
  readonly #sizes = new Map<string, number>();
  readonly #kept = new Map<string, Uint8Array>();

  constructor(bucket: Bucket, pauses: Pauses) {
    this.#bucket = bucket;
    this.#pauses = pauses;
  }

  /** @throws Fault `busy` where the bucket does not answer; what `isMissing` knows where there is no such object */
  async read(name: string, offset: number, length: number): Promise<Uint8Array> {
    const size = await this.#size(name);
    const wanted = Math.max(0, Math.min(length, size - offset));
    const bytes = new Uint8Array(wanted);
    for (let filled = 0; filled < wanted; ) {
      const at = offset + filled;
      const start = at - (at % RANGE_BYTES);
      const range = await this.#range(name, start, Math.min(RANGE_BYTES, size - start));
      const part = range.subarray(at - start, at - start + wanted - filled);
      bytes.set(part, filled);
      filled += part.length;
    }
    return bytes;
  }

  async #size(name: string): Promise<number> {
    const known = this.#sizes.get(name);
    if (known !== undefined) return known;
    const size = await this.#often(name, () => this.#bucket.size(name));
    if (size === null) throw missing(`there is no object ${this.#bucket.name}${name}`);
    this.#sizes.set(name, size);
    return size;
  }

  async #range(name: string, start: number, length: number): Promise<Uint8Array> {
    const key = `${name} ${start}`;
    const kept = this.#kept.get(key);
    if (kept) return kept;
    const bytes = await this.#often(name, () => readWhole(this.#bucket, name, start, length));
    this.#kept.set(key, bytes);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= RANGES_KEPT) break;
      this.#kept.delete(oldest);
    }
    return bytes;
  }

  #often<T>(name: string, work: () => Promise<T>): Promise<T> {
    return tryOften(`${this.#bucket.name}${name} cannot be read`, work, this.#pauses);
  }
}

/** @throws Error where an answer has broken off */
export async function readWhole(bucket: Bucket, name: string, offset: number, length: number): Promise<Uint8Array> {
  const bytes = await bucket.read(name, offset, length);
  if (bytes.length !== length) throw new Error(`the answer broke off after ${bytes.length} of ${length} bytes`);
  return bytes;
}

/**
 * Tries a few times, with pauses; what is missing, or refused for good, is not asked for again.
 *
 * @throws Fault `busy` with `what` and the last error
 */
export async function tryOften<T>(what: string, work: () => Promise<T>, pauses: Pauses): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      if (isMissing(error) || error instanceof Fault) throw error;
      if (failures === READ_TRIES_MAX) throw new Fault('busy', `${what}: ${(error as Error).message}`);
    }
    await pauses.sleep(pauseMs(failures, pauses.random()), NEVER);
  }
}

/** A bucket whose calls fail once `stopped` has resolved, however long it would take to answer. */
export function stopping(bucket: Bucket, stopped: Promise<void>): Bucket {
  const end = stopped.then((): never => {
    throw new Error('stopped');
  });
  // Nobody may be waiting when it comes.
  end.catch(() => {});
  const orEnd = <T>(work: Promise<T>) => Promise.race([work, end]);
  return {
    name: bucket.name,
    list: () => orEnd(bucket.list()),
    size: name => orEnd(bucket.size(name)),
    read: (name, offset, length) => orEnd(bucket.read(name, offset, length)),
    write: (name, bytes, chunks) => orEnd(bucket.write(name, bytes, chunks)),
    make: (name, bytes) => orEnd(bucket.make(name, bytes)),
  };
}

/** As the error of a file that is not there: `isMissing` knows it. */
export function missing(message: string): Error {
  return Object.assign(new Error(message), { code: 'ENOENT' });
}
