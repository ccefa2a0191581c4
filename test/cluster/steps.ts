/**
 * Loaded into a process before the program: stops it where it is told to, as a machine does that falls asleep, or has its clock go
 * wrong. The program knows nothing of it: what stops is a call of a driver.
 *
 *   consumed    messages have come, and nothing is made of them yet
 *   produced    changes are sent, in a transaction that is not ended
 *   offered     so is how far they come
 *   committed   the transaction is ended, and nobody here has heard it
 *   writing     some rows of a flush are written, others are not
 *   written     all are, and the offset is not committed
 */
import { Client } from 'cassandra-driver';
import Broker from 'kafkajs/src/broker/index.js';

export const STEPS = ['consumed', 'produced', 'offered', 'committed', 'writing', 'written'] as const;
export type Step = (typeof STEPS)[number];

/** How a process goes wrong. */
export interface Fate {
  /** Where it stops, when it comes there for so many times. */
  stop?: { step: Step; times: number };
  /** What its clock is ahead by, or behind. */
  clockMs?: number;
}

export const FATE = 'TILEFOLD_TEST_FATE';

type Call = (this: unknown, ...args: unknown[]) => Promise<unknown>;

interface Stop {
  calls: object;
  names: string[];
  when: 'before' | 'behind';
}

/** Of each step the calls, and whether it is before or behind them. */
const STOPS: Record<Step, Stop> = {
  consumed: { calls: Broker.prototype, names: ['fetch'], when: 'behind' },
  produced: { calls: Broker.prototype, names: ['produce'], when: 'behind' },
  offered: { calls: Broker.prototype, names: ['txnOffsetCommit'], when: 'behind' },
  committed: { calls: Broker.prototype, names: ['endTxn'], when: 'behind' },
  writing: { calls: Client.prototype, names: ['execute', 'batch'], when: 'before' },
  written: { calls: Broker.prototype, names: ['offsetCommit'], when: 'before' },
};

/** Rows are written alone, or a few at a time; all else that goes to the database is a question. */
function isQuestion([first]: unknown[]): boolean {
  return typeof first === 'string' && !first.startsWith('INSERT');
}

function stopAt({ step, times }: NonNullable<Fate['stop']>): void {
  const { names, when, ...of } = STOPS[step];
  const calls = of.calls as Record<string, Call>;
  let count = 0;
  const stopNow = (args: unknown[]) => {
    if (!isQuestion(args) && ++count === times) process.kill(process.pid, 'SIGSTOP');
  };
  for (const name of names) {
    const call = calls[name]!;
    calls[name] = async function (...args) {
      if (when === 'before') stopNow(args);
      const result = await call.apply(this, args);
      if (when === 'behind') stopNow(args);
      return result;
    };
  }
}

const { stop, clockMs = 0 } = JSON.parse(process.env[FATE] ?? '{}') as Fate;
if (stop) stopAt(stop);
if (clockMs !== 0) {
  const { now } = Date;
  Date.now = () => now() + clockMs;
}
