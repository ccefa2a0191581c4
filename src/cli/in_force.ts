import { existsSync } from 'node:fs';
import { Fault } from '../base/fault.ts';
import { greatest, MICROS_PER_MS } from '../base/time.ts';
import type { Now } from '../http/feature_sets.ts';
import type { Numbered } from '../plan/diff.ts';
import { readMembers } from '../meta/members.ts';
import type { Meta } from '../meta/meta.ts';
import { readPlan } from '../plan/json.ts';
import type { Plan } from '../plan/plan.ts';
import { knownOf } from '../plan/transition.ts';
import type { Config } from './config.ts';
import { openSnapshot } from './alone/database.ts';

/** What the rows of a data folder are made of, as of its last barrier. */
export interface InForce {
  plan: Plan;
  /** Of the first record that they contain, or would. */
  from: number;
  numbers: Numbered[];
  now: Now;
  /** Definitions that are to come into force; null where none are. */
  coming: Coming | null;
}

export interface Coming {
  plan: Plan;
  /** From when on what is new is whole, where they wait for that; null where it is computed from the log. */
  untilMicros: bigint | null;
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
    const coming = comingOf(meta);
    // What waits is made beside the plan that it was applied to, which is the one that anybody sees.
    const { json, members } = coming?.before ?? current;
    const known = members === null ? new Map() : knownOf(readMembers(members));
    const now = { position: position - 1, clocks, nowMicros, known };
    const from = current.rowsFrom ?? current.position;
    return { plan: readPlan(json), from, numbers: meta.numbers(), now, coming };
  } finally {
    close();
  }
}

/**
 * The plan that a server beside goes by, whatever the definitions in the folder say by now.
 *
 * @throws Fault `not_found` where nothing has been in force yet
 */
export function servedPlan(config: Config): Plan {
  const inForce = planInForce(config);
  if (!inForce) throw new Fault('not_found', 'no definitions are in force yet');
  return inForce.plan;
}

function comingOf(meta: Meta): (Coming & { before: { json: string; members: string } | null }) | null {
  const coming = meta.backfill();
  if (!coming || coming.isAborted) return null;
  const { json, until, before, beforeMembers } = coming;
  return {
    plan: readPlan(json),
    untilMicros: until === null ? null : BigInt(until),
    before: before === null ? null : { json: before, members: beforeMembers! },
  };
}
