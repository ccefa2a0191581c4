import { Database } from 'bun:sqlite';
import type { Store } from '../../src/store/store.ts';
import { Crash } from './disk.ts';
import { memoryDatabase } from './engine.ts';
import type { Random } from './random.ts';

/** Where in a commit a process may die. */
export const MOMENTS = ['before', 'inside', 'after'] as const;
export type Moment = (typeof MOMENTS)[number];

/**
 * A database as crashes see it: SQLite keeps its own promise, so a commit is there whole or not at all; but with a
 * write-ahead log and `synchronous = NORMAL` a power cut may take the last commits away.
 *
 * - `open()` starts a process on what is there; `wrap` puts its store under watch.
 * - `kill(n, moment)` lets the process die in its n-th commit from now (0 is the next).
 * - `restart()` ends the process: every commit stays. `powerCut()` too, but goes back to any commit.
 */
export class SimulatedDatabase {
  /** Commits done since it was made. */
  commitCount = 0;
  readonly #random: Random;
  readonly #onDeath: () => void;
  /** The database after each commit; null is a database without any. */
  readonly #states: (Uint8Array | null)[] = [null];
  #db: Database | null = null;
  #killAt = Number.POSITIVE_INFINITY;
  #moment: Moment = 'before';
  #process = 0;
  #dead = false;

  /** @param onDeath the process dies in a commit: what else it was doing ends too */
  constructor(random: Random, onDeath: () => void) {
    this.#random = random;
    this.#onDeath = onDeath;
  }

  open(): Database {
    const state = this.#states.at(-1)!;
    this.#db = state === null ? memoryDatabase() : Database.deserialize(state, { strict: true });
    return this.#db;
  }

  kill(n: number, moment: Moment): void {
    this.#killAt = this.commitCount + n;
    this.#moment = moment;
  }

  /** The process has died elsewhere. */
  die(): void {
    this.#dead = true;
  }

  restart(): void {
    this.#db?.close();
    this.#db = null;
    this.#dead = false;
    this.#killAt = Number.POSITIVE_INFINITY;
    this.#process++;
  }

  powerCut(): void {
    this.restart();
    if (this.#random.chance(0.6)) this.#states.length = 1 + this.#random.below(this.#states.length);
  }

  wrap(store: Store): Store {
    const process = this.#process;
    const db = this.#db!;
    const assertAlive = () => {
      if (this.#dead || process !== this.#process) throw new Crash('the process is dead');
    };
    return {
      ...store,
      mark() {
        assertAlive();
        return store.mark();
      },
      commit: (rows, mark, alongside = () => {}) => {
        assertAlive();
        const fatal = this.commitCount++ === this.#killAt ? this.#moment : null;
        if (fatal === 'before') this.#end();
        store.commit(rows, mark, () => {
          alongside();
          if (fatal === 'inside') this.#end();
        });
        this.#states.push(db.serialize());
        if (fatal === 'after') this.#end();
      },
    };
  }

  #end(): never {
    this.#dead = true;
    this.#onDeath();
    throw new Crash('the process died');
  }
}
