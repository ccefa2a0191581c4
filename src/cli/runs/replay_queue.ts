import { Fault } from '../../base/fault.ts';
import { busyWith, LIMITS } from '../../http/limits.ts';
import type { Runs } from './runs.ts';

/** What replays of a server may take. */
export interface QueueSettings {
  workers: number;
  memoryBytes: number;
  /** Hears of what nobody waits for and no replay's state says. */
  note: (text: string) => void;
}

/**
 * Replays that a server was asked for: one at a time is computed, in threads of this process, and the others wait in the order in
 * which they came. What each has come to stands in its folder, for whoever asks.
 */
export class ReplayQueue {
  readonly #runs: Runs;
  readonly #settings: QueueSettings;
  readonly #stop = Promise.withResolvers<void>();
  /** Those that wait, those that are being planned, and the one that is computed. */
  #count = 0;
  #planned: Promise<unknown> = Promise.resolve();
  #computed: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(runs: Runs, settings: QueueSettings) {
    this.#runs = runs;
    this.#settings = settings;
  }

  /**
   * Takes a replay in, when those before it are planned.
   *
   * @param plan makes its folder, or finds it
   * @returns the folder
   * @throws Fault `busy` where too many wait, and as `plan` and `Runs.hold`
   */
  async add(plan: () => Promise<string>): Promise<string> {
    const { value } = LIMITS.replays_waiting;
    if (this.#count >= value) throw busyWith('replays_waiting', `${this.#count} replays are under way`);
    this.#count++;
    try {
      const folder = await this.#afterOthers(plan);
      if (this.#isClosed) throw new Fault('busy', 'the server is shutting down');
      this.#runs.hold(folder);
      this.#computed = this.#computed.then(() => this.#compute(folder)).finally(() => this.#count--);
      return folder;
    } catch (error) {
      this.#count--;
      throw error;
    }
  }

  /** Stops what is computed; that and what waits is interrupted, and can be resumed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stop.resolve();
    await this.#computed;
  }

  #afterOthers(plan: () => Promise<string>): Promise<string> {
    const planned = this.#planned.then(plan);
    this.#planned = planned.catch(() => {});
    return planned;
  }

  async #compute(folder: string): Promise<void> {
    const { workers, memoryBytes, note } = this.#settings;
    try {
      // Somebody may have cancelled and deleted it meanwhile.
      if (!this.#runs.isWaiting(folder)) return;
      if (this.#isClosed) return this.#runs.release(folder);
      await this.#runs.runHeld(folder, {
        workers,
        memoryBytes,
        note,
        stopped: this.#stop.promise,
        stoppedAs: 'interrupted',
      });
    } catch (error) {
      // Of faults its state tells.
      if (!(error instanceof Fault)) note(`a replay could not go on: ${(error as Error).stack}`);
    }
  }
}
