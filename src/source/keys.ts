/** How long a retry of a batch is known as one, by arrival. */
export const KEY_KEPT_MS = 24 * 3_600_000;
const KEY_KEPT_MICROS = BigInt(KEY_KEPT_MS) * 1000n;

/**
 * Keys remembered at a time, at about 560 bytes each. Beyond it the oldest are forgotten before their time: what is
 * remembered are the last so many batches with keys of the last 24 hours. That too is a matter of the log alone, so
 * every process that opens it remembers the same.
 */
export const KEYS_MAX = 200_000;

/** Characters of a key, all of them visible ASCII: it stands in a header line of the log, and in one of HTTP. */
export const KEY_MAX_CHARACTERS = 255;
const KEY = new RegExp(`^[\\x21-\\x7e]{1,${KEY_MAX_CHARACTERS}}$`);

export function isBatchKey(text: string): boolean {
  return KEY.test(text);
}

/** What a client calls a batch, so that it counts once however often it is sent. */
export interface BatchKey {
  key: string;
  /** Of the body that it came with, 64 hex digits: the same key with another body is a mistake. */
  digest: string;
}

/** A batch of the log that had a key. */
export interface KeyedBatch {
  digest: string;
  /** Of its first record. */
  position: number;
  count: number;
  arrivalMicros: bigint;
}

/** The keys of a log's last batches, in the log's order. */
export class KeyMemory {
  readonly #batches = new Map<string, KeyedBatch>();

  get count(): number {
    return this.#batches.size;
  }

  /** The batch that a retry arriving now would be a retry of. */
  recall(key: string, nowMicros: bigint): KeyedBatch | null {
    const batch = this.#batches.get(key);
    return batch && batch.arrivalMicros + KEY_KEPT_MICROS > nowMicros ? batch : null;
  }

  /** In the log's order. */
  batches(): Iterable<[key: string, batch: KeyedBatch]> {
    return this.#batches;
  }

  /** Batches come in the log's order. */
  remember(key: string, batch: KeyedBatch): void {
    this.#batches.delete(key);
    this.#batches.set(key, batch);
    for (const [oldest, { arrivalMicros }] of this.#batches) {
      if (this.#batches.size <= KEYS_MAX && arrivalMicros + KEY_KEPT_MICROS > batch.arrivalMicros) return;
      this.#batches.delete(oldest);
    }
  }
}

/** Batches that arrived before it are not remembered by a log whose last record arrived then. */
export function keysFromMicros(lastArrivalMicros: bigint): bigint {
  return lastArrivalMicros - KEY_KEPT_MICROS;
}
