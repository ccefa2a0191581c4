import { assert } from '../base/assert.ts';
import type { Expression } from '../plan/expression.ts';
import { EVENT_TIME } from '../plan/expression.ts';
import type { Aggregate, EventType, Plan } from '../plan/plan.ts';
import { keptLevels } from '../plan/window.ts';
import { caseOf, kindOf, kindOfType, limitOf, rankOf } from './aggregate.ts';
import { identityOf, Lowering } from './expression.ts';
import type { Kernel } from './instance.ts';
import { keyKindOf } from './key.ts';
import type { Ids, Layout, TypeLayout } from './layout.ts';
import { registerOf, typeIndex } from './layout.ts';
import { addType, isReadable, setChangelog } from './ndjson.ts';
import type { Group } from './tile.ts';
import { addGroup } from './tile.ts';
import { layAnswer } from './window.ts';

export interface Settings {
  clock: { kind: 'event' | 'wall'; maxJumpMs: number };
  /** An event this far ahead of its arrival is bad, where that is known. */
  aheadMaxMs: number;
  shards: number;
}

/** Loads a plan into a fresh kernel instance. */
export function layPlan(kernel: Kernel, plan: Plan, ids: Ids, settings: Settings): Layout {
  const { exports } = kernel;
  const isWall = settings.clock.kind === 'wall';
  exports.setClock(isWall ? 1 : 0, settings.clock.maxJumpMs, settings.aheadMaxMs);
  exports.setLateness(plan.latenessMs);
  exports.setShards(settings.shards);
  const layout: Layout = { kernel, plan, ids, types: [], groups: [], lookups: new Map() };
  layout.types = plan.events.map((event, index) => layType(kernel, plan, event, index));
  layout.groups = layGroups(layout);
  for (const entity of plan.entities) {
    const features = plan.features.filter(feature => feature.entity === entity.name);
    if (features.length > 0) layout.lookups.set(entity.name, layAnswer(layout, entity.name, features, null));
  }
  return layout;
}

/** Everything that stages compute from one event of a type: what aggregates count, and how sets key it. */
function expressionsOver(plan: Plan, event: string): Expression[] {
  return [
    ...plan.aggregates.filter(a => a.event === event).flatMap(aggregateExpressions),
    ...plan.sets.filter(set => set.event === event).flatMap(set => set.keys),
  ];
}

function aggregateExpressions(aggregate: Aggregate): Expression[] {
  return [...aggregate.keys, ...aggregate.fn.args, ...(aggregate.where ? [aggregate.where] : [])];
}

function layType(kernel: Kernel, plan: Plan, event: EventType, index: number): TypeLayout {
  const expressions = expressionsOver(plan, event.name);
  // An event type that nothing is computed from may have inputs that no kernel reads: nobody misses them.
  const inputs = event.inputs.filter(isReadable);
  assert(expressions.length === 0 || inputs.length === event.inputs.length, `${event.name} has an unreadable input`);
  const leaf = (expression: Expression, lowering: Lowering): number => {
    assert(expression.kind === 'column', `${expression.kind} in an event's scope has no kernel yet`);
    const input = inputs.findIndex(i => i.name === expression.name);
    if (input >= 0) return input;
    if (expression.name === EVENT_TIME) return inputs.length;
    const column = event.columns.find(c => c.name === expression.name);
    assert(column, `event ${event.name} has no column ${expression.name}`);
    return lowering.lower(column.expression);
  };
  // Behind the inputs come the event's time and, in a changelog, its weight.
  const lowering = new Lowering(inputs.length + (event.changelog ? 2 : 1), leaf);
  const all = event.weight ? [...expressions, event.weight] : expressions;
  const registers = new Map(all.map(expression => [identityOf(expression), lowering.lower(expression)]));
  assert(addType(kernel, event, inputs, lowering.registerCount) === index, 'types are numbered in order');
  if (event.changelog) setChangelog(kernel, index, event.changelog, inputs);
  const frame = kernel.exports.typeFrame(index) >>> 0;
  return { event, inputs, frame, program: lowering.load(kernel, frame), registers };
}

/** Aggregates that are keyed, selected and tiled alike form a group: one hash and one probe serve them all. */
function layGroups(layout: Layout): { index: number; group: Group }[] {
  const { plan, ids, kernel } = layout;
  const groups = new Map<string, Group>();
  for (const aggregate of plan.aggregates) {
    const type = typeIndex(layout, aggregate.event);
    const typeLayout = layout.types[type]!;
    const levels = keptLevels(aggregate, plan);
    if (levels.length === 0) continue; // nobody reads it
    assert(aggregate.entity !== null, `aggregate ${aggregate.name} without an entity has no kernel yet`);
    const { where, keys, tiles } = aggregate;
    const { weight, changelog } = typeLayout.event;
    const group: Group = {
      type,
      entity: ids.entities.get(aggregate.entity)!,
      where: where && registerOf(typeLayout, where),
      weight: changelog ? typeLayout.inputs.length + 1 : weight && registerOf(typeLayout, weight),
      offsetMs: tiles.offsetMs,
      keys: keys.map(key => ({ register: registerOf(typeLayout, key), kind: keyKindOf(key.type) })),
      levels,
      members: [],
    };
    const identity = JSON.stringify(group);
    if (!groups.has(identity)) groups.set(identity, group);
    const [argument] = aggregate.fn.args;
    const rank = rankOf(aggregate.fn);
    groups.get(identity)!.members.push({
      id: ids.aggregates.get(aggregate.name)!,
      aggregateCase: caseOf(aggregate.fn),
      kind: kindOf(aggregate.fn),
      limit: limitOf(aggregate.fn),
      rank: rank && { register: registerOf(typeLayout, rank), kind: kindOfType(rank.type) },
      value: argument ? registerOf(typeLayout, argument) : null,
    });
  }
  return [...groups.values()].map(group => ({ index: addGroup(kernel, group), group }));
}
