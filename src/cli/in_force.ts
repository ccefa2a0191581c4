import { existsSync } from 'node:fs';
import { MICROS_PER_MS } from '../base/time.ts';
import type { Now } from '../http/feature_sets.ts';
import type { Numbered } from '../plan/diff.ts';
import { readMembers } from '../meta/members.ts';
import { readPlan } from '../plan/json.ts';
import type { Plan } from '../plan/plan.ts';
import { knownOf } from '../plan/transition.ts';
import type { Config } from './config.ts';
import { openSnapshot } from './database.ts';

/** What the rows of a data folder are made of, as of its last barrier. */
export interface InForce {
  plan: Plan;
  /** Of the first record that they contain, or would. */
  from: number;
  numbers: Numbered[];
  now: Now;
}

/** Reads the database beside whoever writes to it, and holds no lock; null where nothing has been in force yet. */
export function planInForce({ store: { sqlite }, log }: Config): InForce | null {
  if (!existsSync(sqlite)) return null;
  const { store, meta, close } = openSnapshot(sqlite);
  try {
    const current = meta.currentPlan();
    if (!current) return null;
    const { position, clocks } = store.mark();
    const wall = log.clock.kind === 'wall' ? [BigInt(Date.now()) * MICROS_PER_MS] : [];
    const nowMicros = greatest([...clocks.values().map(({ at }) => at), ...wall]);
    const known = current.members === null ? new Map() : knownOf(readMembers(current.members));
    const now = { position: position - 1, clocks, nowMicros, known };
    return { plan: readPlan(current.json), from: current.rowsFrom ?? current.position, numbers: meta.numbers(), now };
  } finally {
    close();
  }
}

function greatest(times: bigint[]): bigint | null {
  return times.reduce<bigint | null>((most, time) => (most === null || time > most ? time : most), null);
}
