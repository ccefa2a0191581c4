/**
 * Keeps what is made of earlier events from getting ahead of rows: a changelog is folded in its order, and live changes would wait
 * behind all of it. At most so many bytes of changes are under way; who is to send more waits until they are in rows.
 */
import type { Outbox, Outgoing, Placed, Progress } from '../source/partition.ts';

/** Between two looks at how far rows are. */
const LOOK_EVERY_MS = 100;

/** It rests as long as it has worked, for whoever works beside it; not for less, which is not worth a timer, nor for longer. */
const REST_MIN_MS = 10;
const REST_MAX_MS = 200;

export interface PaceParts {
  /** Bytes of changes. */
  aheadBytes: number;
  /** Of each partition of the changelog, the first offset that is not in rows; of others there is none yet. */
  folded: () => Promise<Map<number, bigint>>;
  pause: (ms: number) => Promise<unknown>;
  /** Monotone, milliseconds. */
  nowMs: () => number;
}

/** What was sent together. */
interface Sent {
  bytes: number;
  placed: Placed[];
}

export class Pace {
  /** Under way, or about to be. */
  #bytes = 0;
  #sent: Sent[] = [];
  /** One look serves all who wait. */
  #looking: Promise<void> | null = null;
  #isOver = false;
  #workedSinceMs: number;

  constructor(private readonly parts: PaceParts) {
    this.#workedSinceMs = parts.nowMs();
  }

  /** The same outbox, in which what there is no room for yet waits. */
  over(outbox: Outbox): Outbox {
    return {
      send: (messages, progress) => this.#send(outbox, messages, progress),
      close: () => outbox.close(),
    };
  }

  /** Waits until rows have what lies there, and all before; false where it has ended before that. */
  async areFolded(placed: Placed[]): Promise<boolean> {
    const sent = { bytes: 0, placed };
    this.#sent.push(sent);
    while (this.#sent.includes(sent)) {
      if (this.#isOver) return false;
      await this.#look();
    }
    return true;
  }

  /** Nobody waits any more. */
  end(): void {
    this.#isOver = true;
  }

  async #send(outbox: Outbox, messages: Outgoing[], progress: Progress): Promise<Placed[]> {
    await this.#rest();
    while (this.#bytes >= this.parts.aheadBytes && !this.#isOver) await this.#look();
    const bytes = messages.reduce((sum, { value }) => sum + value.length, 0);
    this.#bytes += bytes;
    try {
      const placed = await outbox.send(messages, progress);
      this.#sent.push({ bytes, placed });
      return placed;
    } catch (error) {
      this.#bytes -= bytes;
      throw error;
    } finally {
      this.#workedSinceMs = this.parts.nowMs();
    }
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #lookNow(): Promise<void> {
    await this.parts.pause(LOOK_EVERY_MS);
    const folded = await this.parts.folded();
    const isFolded = ({ partition, offset }: Placed) => offset < (folded.get(partition) ?? 0n);
    this.#sent = this.#sent.filter(({ bytes, placed }) => {
      if (!placed.every(isFolded)) return true;
      this.#bytes -= bytes;
      return false;
    });
  }

  async #rest(): Promise<void> {
    const workedMs = this.parts.nowMs() - this.#workedSinceMs;
    if (workedMs >= REST_MIN_MS && !this.#isOver) await this.parts.pause(Math.min(workedMs, REST_MAX_MS));
  }
}
