import { assert } from '../base/assert.ts';
import type { AnswerLayout, Layout } from '../kernel/layout.ts';
import { identityOf } from '../kernel/expression.ts';
import { layAnswer } from '../kernel/answer.ts';
import type { Expression } from '../plan/expression.ts';
import { Identities, type Identity } from '../plan/identity.ts';
import type { Feature, Plan } from '../plan/plan.ts';
import type { Type } from '../plan/value.ts';

/** An entity as an event names it: an event of one type may name several, and one entity in several ways. */
export interface Subject {
  event: string;
  entity: string;
  /** How they name it. */
  keys: Expression[];
  answer: AnswerLayout;
  /** Output columns by the feature they show. */
  columns: { column: number; feature: string }[];
}

export interface ReplayColumn {
  name: string;
  type: Type;
}

/**
 * Which columns a replay of a plan has, and who fills them. A feature's column bears its name. Where events of its own
 * set's type name its entity in one way, the features of other sets of that entity are read through that; where they
 * do in several, each gets a column of its own, `set:feature@key`.
 */
export function subjectsOf(layout: Layout): { columns: ReplayColumn[]; subjects: Subject[] } {
  const columns: ReplayColumn[] = [];
  const columnAt = (name: string, type: Type) => {
    const known = columns.findIndex(column => column.name === name);
    return known >= 0 ? known : columns.push({ name, type }) - 1;
  };
  const subjects: Subject[] = [];
  for (const mapping of mappingsOf(layout.plan)) {
    const { event, entity, keys } = mapping;
    const features = layout.plan.features.filter(f => f.entity === entity);
    const answer = layAnswer(layout, entity, features, { event, keys });
    const named = features.map(feature => {
      const column = columnAt(columnOf(feature, mapping), feature.expression.type);
      return { column, feature: feature.name };
    });
    subjects.push({ event, entity, keys, answer, columns: named });
  }
  return { columns: columns, subjects };
}

/** What events of topologies are answered with, by their types. */
export function eventColumns({ types }: Layout): ReplayColumn[] {
  return types.flatMap(({ features }) => features.map(({ name, type }) => ({ name, type })));
}

/** A column of a replay as events of one type fill it: those of all others have nulls there, or fill it otherwise. */
export interface Given {
  column: string;
  event: string;
  identity: Identity;
}

/** All that a replay of a plan gives out, and what each of it is: with the same identity it has the same values. */
export function givenOut(plan: Plan): Given[] {
  const identities = new Identities(plan);
  const ofEntities = mappingsOf(plan).flatMap(mapping => {
    const { event, entity, keys } = mapping;
    const features = plan.features.filter(feature => feature.entity === entity);
    return features.map(feature => {
      return { column: columnOf(feature, mapping), event, identity: identities.replayed(feature, event, keys) };
    });
  });
  const ofEvents = plan.events.flatMap(({ name: event, features = [] }) =>
    features.map(feature => {
      return { column: `${event}.${feature.column}`, event, identity: identities.eventFeature(event, feature) };
    }),
  );
  return [...ofEntities, ...ofEvents];
}

export interface Mapping {
  event: string;
  entity: string;
  keys: Expression[];
  /** Sets that name their entity like this. */
  sets: string[];
  /** Told apart by it from other ways in which events of the type name the entity; null where there is one way. */
  label: string | null;
}

/** Every way in which events name entities, in the plan's order. */
export function mappingsOf(plan: Plan): Mapping[] {
  const found = new Map<string, Mapping>();
  for (const set of plan.sets) {
    const identity = JSON.stringify([set.event, set.entity, set.keys.map(identityOf)]);
    const known = found.get(identity);
    if (known) known.sets.push(set.name);
    else found.set(identity, { event: set.event, entity: set.entity, keys: set.keys, sets: [set.name], label: null });
  }
  const mappings = [...found.values()];
  for (const mapping of mappings) {
    const { event, entity } = mapping;
    if (mappings.filter(m => m.event === event && m.entity === entity).length > 1)
      mapping.label = mapping.keys.map(keyLabel).join('+');
  }
  return mappings;
}

/** The column of a feature as events name its entity so. */
export function columnOf({ name, set }: Feature, { sets, label }: Mapping): string {
  return label === null || sets.includes(set) ? name : `${name}@${label}`;
}

function keyLabel(key: Expression): string {
  assert(key.kind === 'column', 'a set is keyed by columns');
  return key.name;
}
