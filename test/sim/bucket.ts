import { type Bucket, missing, type Pauses } from '../../src/source/bucket.ts';
import { Random } from './random.ts';

/**
 * A bucket in memory, which survives whatever becomes of the process and its disk. `trouble` is the share of calls that
 * fail: without having done anything, or after they have.
 */
export class SimulatedBucket implements Bucket {
  readonly name = 's3://sim/';
  readonly objects = new Map<string, Uint8Array>();
  trouble = 0;
  /** Called before each call: throws where the process is dead. */
  alive: () => void = () => {};
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  list(): Promise<{ name: string; bytes: number }[]> {
    return this.#call(() =>
      [...this.objects]
        .map(([name, { length }]) => ({ name, bytes: length }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
  }

  size(name: string): Promise<number | null> {
    return this.#call(() => this.objects.get(name)?.length ?? null);
  }

  read(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#call(() => {
      const bytes = this.objects.get(name);
      if (!bytes) throw missing(`there is no object ${name}`);
      const whole = bytes.slice(offset, offset + length);
      const isCut = this.#random.chance(this.trouble);
      return isCut ? whole.subarray(0, this.#random.below(whole.length)) : whole;
    });
  }

  async write(name: string, _bytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    await this.#call(() => void this.objects.set(name, Uint8Array.from(Buffer.concat(parts))));
  }

  make(name: string, bytes: Uint8Array): Promise<boolean> {
    return this.#call(() => {
      if (this.objects.has(name)) return false;
      this.objects.set(name, bytes.slice());
      return true;
    });
  }

  async #call<T>(work: () => T): Promise<T> {
    // Even a near one answers in a later turn.
    await null;
    this.alive();
    if (this.#random.chance(this.trouble)) throw new Error('503: slow down');
    const result = work();
    if (this.#random.chance(this.trouble)) throw new Error('the connection was lost');
    return result;
  }
}

/** No time passes; `waited` has what would have. */
export function noPauses(seed: number): Pauses & { waited: number[] } {
  const random = new Random(seed);
  const waited: number[] = [];
  return {
    waited,
    async sleep(ms) {
      waited.push(ms);
      await new Promise<void>(resolve => setImmediate(resolve));
    },
    random: () => random.below(1000) / 1000,
  };
}
