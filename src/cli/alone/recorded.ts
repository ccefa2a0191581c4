import { createHash } from 'node:crypto';
import { Fault } from '../../base/fault.ts';
import { type Keeping, keepingOf, unitedKeeping } from '../../ingest/expiry.ts';
import type { Ids } from '../../kernel/layout.ts';
import { membersText, readMembers } from '../../meta/members.ts';
import type { AppliedPlan, DictionaryEntry, Meta } from '../../meta/meta.ts';
import { aggregateHash, lastRowsHash, planHash } from '../../plan/canonical.ts';
import { planJson, readPlan } from '../../plan/json.ts';
import { ALL_KNOWN } from '../../plan/known.ts';
import { rowEntities } from '../../plan/layers.ts';
import type { Entity, Plan } from '../../plan/plan.ts';
import type { InForce, Member, Transition } from '../../plan/transition.ts';
import { isLastRows, lastRowsOf } from '../../plan/upsert.ts';
import { LIFETIME_LEVEL_MS } from '../../plan/window.ts';
import { REPAIR } from '../../store/packs.ts';

/** The plan whose rows there are; null before the first. */
export function recordedPlan(meta: Meta): InForce | null {
  const current = meta.currentPlan();
  return current && inForceOf(current, meta);
}

/** A plan, and the first record that it has applied to. */
export interface PlanFrom {
  position: number;
  inForce: InForce;
}

/** All that have been in force since the rows began, the first one first. */
export function plansFrom(meta: Meta): PlanFrom[] {
  return meta.plans().map(applied => ({ position: applied.position, inForce: inForceOf(applied, meta) }));
}

function inForceOf(applied: AppliedPlan, meta: Meta): InForce {
  const plan = orHowToMend(() => readPlan(applied.json));
  return { plan, members: membersOf(applied, plan, meta) };
}

/** @param plan of the same aggregates */
function membersOf({ members }: AppliedPlan, plan: Plan, meta: Meta): InForce['members'] {
  return members === null ? numbered(plan, meta) : orHowToMend(() => readMembers(members));
}

/** Of rows of one machine, whose log is there. */
function orHowToMend<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'corrupt') throw error;
    throw new Fault('corrupt', `${error.message}; ${REPAIR}`);
  }
}

/** Aggregates that are in rows from their first record on. */
function numbered(plan: Plan, meta: Meta): InForce['members'] {
  const entries = numberedIn(plan);
  const ids = meta.dictionary(entries);
  return new Map(entries.map(({ name }, i): [string, Member] => [name, { id: ids[i]!, known: ALL_KNOWN }]));
}

/** All that stands in rows under a number of its own. */
export function numberedIn(plan: Plan): DictionaryEntry[] {
  const aggregates = plan.aggregates.map(one => ({ name: one.name, hash: aggregateHash(one, plan) }));
  const last = lastRowsOf(plan).map(one => ({ name: one.name, hash: lastRowsHash(one) }));
  return [...aggregates, ...last].map(entry => ({ kind: 'aggregate', ...entry }));
}

/**
 * Records that rows begin with a plan.
 *
 * @param from the first record that they contain
 */
export function beginPlan(meta: Meta, plan: Plan, from: number, appliedAtMicros: bigint): void {
  record(meta, { plan, members: numbered(plan, meta) }, from, null, appliedAtMicros);
}

/** Takes up what changes nothing of the rows: derived features, texts for people. */
export function renewPlan(meta: Meta, plan: Plan): InForce {
  const current = meta.currentPlan()!;
  if (current.json !== planJson(plan)) meta.rewordPlan(current.id, planJson(plan));
  return { plan, members: membersOf(current, plan, meta) };
}

/** Gives numbers to what is new. Those that are not taken over then are lost, and nobody misses them. */
export function numberNew(meta: Meta, plan: Plan, { members }: Transition): InForce {
  const added = numberedIn(plan).filter(({ name }) => members.get(name)!.id === null);
  const ids = meta.number(added);
  const numbers = new Map(added.map(({ name }, i) => [name, ids[i]!]));
  const known = [...members].map(([name, { id, known }]): [string, Member] => [
    name,
    { id: id ?? numbers.get(name)!, known },
  ]);
  const inForce = { plan, members: new Map(known) };
  // Entities that are new get theirs too.
  idsOf(inForce, meta);
  return inForce;
}

/** Brings a plan into force from a position on; what is renamed is called so from now on. */
export function takeOver(
  meta: Meta,
  next: InForce,
  { renamed }: Pick<Transition, 'renamed'>,
  position: number,
  appliedAtMicros: bigint,
) {
  for (const { to } of renamed) meta.rename('aggregate', next.members.get(to)!.id, to);
  record(meta, next, position, rowsFromOf(meta), appliedAtMicros);
}

function record(
  meta: Meta,
  { plan, members }: InForce,
  position: number,
  rowsFrom: number | null,
  appliedAtMicros: bigint,
) {
  const text = { json: planJson(plan), members: membersText(members) };
  meta.recordPlan({ hash: planHash(plan), position, appliedAtMicros, rowsFrom, ...text });
}

/** The first record of the log that the rows contain. */
export function rowsFromOf(meta: Meta): number {
  const { rowsFrom, position } = meta.currentPlan()!;
  return rowsFrom ?? position;
}

/** What rows call the plan's entities and aggregates. */
export function idsOf({ plan, members }: InForce, meta: Meta): Ids {
  const all = [
    ...rowEntities(plan).map(one => ({ name: one.name, hash: entityHash(one) })),
    // Those that begin anew are apart from those before them: both may be written to for a while.
    ...lastRowsOf(plan).map(one => ({ name: one.name, hash: `${lastRowsHash(one)} ${members.get(one.name)!.id}` })),
  ];
  const entities = meta.dictionary(all.map(entry => ({ kind: 'entity', ...entry })));
  return {
    entities: new Map(all.map(({ name }, i) => [name, entities[i]!])),
    aggregates: new Map([...members].map(([name, { id }]) => [name, id])),
    known: new Map([...members].map(([name, { known }]) => [name, known])),
  };
}

/** Last rows that none of these plans has: they go. */
export function lastRowsBefore(meta: Meta, plans: InForce[]): Keeping[] {
  const kept = new Set(plans.flatMap(one => [...idsOf(one, meta).entities.values()]));
  const named = meta.numbers().filter(({ kind, name, id }) => kind === 'entity' && isLastRows(name) && !kept.has(id));
  return named.map(({ id }) => ({ entity: id, levelMs: LIFETIME_LEVEL_MS, users: [] }));
}

/** Levels of earlier plans since the rows began, that nobody uses: what is left of them goes. */
export function keptBefore(meta: Meta): Keeping[] {
  const places = meta.plans().flatMap(applied => {
    const inForce = inForceOf(applied, meta);
    return keepingOf(inForce.plan, idsOf(inForce, meta));
  });
  return unitedKeeping([places.map(({ entity, levelMs }) => ({ entity, levelMs, users: [] }))]);
}

/** Keys of other types have other bytes. */
export function entityHash(entity: Entity): string {
  return createHash('sha256')
    .update(JSON.stringify(entity.keys.map(key => key.kind)))
    .digest('hex');
}
