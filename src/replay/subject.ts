import { assert } from '../base/assert.ts';
import type { AnswerLayout, Layout } from '../kernel/layout.ts';
import { identityOf } from '../kernel/expression.ts';
import { layAnswer } from '../kernel/window.ts';
import type { Expression } from '../plan/expression.ts';
import type { Plan } from '../plan/plan.ts';
import type { Type } from '../plan/value.ts';

/** An entity as an event names it: an event of one type may name several, and one entity in several ways. */
export interface Subject {
  event: string;
  entity: string;
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
    const { event, entity, keys, label } = mapping;
    const features = layout.plan.features.filter(f => f.entity === entity);
    const answer = layAnswer(layout, entity, features, { event, keys });
    const own = new Set(mapping.sets);
    const named = features.map(feature => {
      const bare = own.has(feature.set) || label === null;
      const column = columnAt(bare ? feature.name : `${feature.name}@${label}`, feature.expression.type);
      return { column, feature: feature.name };
    });
    subjects.push({ event, entity, answer, columns: named });
  }
  return { columns: columns, subjects };
}

/** What events of topologies are answered with, by their types. */
export function eventColumns({ types }: Layout): ReplayColumn[] {
  return types.flatMap(({ features }) => features.map(({ name, type }) => ({ name, type })));
}

interface Mapping {
  event: string;
  entity: string;
  keys: Expression[];
  /** Sets that name their entity like this. */
  sets: string[];
  /** Told apart by it from other ways in which events of the type name the entity; null where there is one way. */
  label: string | null;
}

/** Every way in which events name entities, in the plan's order. */
function mappingsOf(plan: Plan): Mapping[] {
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

function keyLabel(key: Expression): string {
  assert(key.kind === 'column', 'a set is keyed by columns');
  return key.name;
}
