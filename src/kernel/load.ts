import { assert } from '../base/assert.ts';
import type { Expression, Read } from '../plan/expression.ts';
import { EVENT_TIME } from '../plan/expression.ts';
import { entityOf, expressionsOver, isReadByEvents, isTopology, Layers } from '../plan/layers.ts';
import type { EventType, Plan } from '../plan/plan.ts';
import { lastRowsOf } from '../plan/upsert.ts';
import { type Field, STRING } from '../plan/value.ts';
import { type KeptLevel, keptLevels } from '../plan/window.ts';
import { layAnswered } from './answered.ts';
import { caseOf, kindOf, kindOfType, limitOf, rankOf } from './aggregate.ts';
import { identityOf, Lowering } from './expression.ts';
import { decodedRegisters, faultRegister } from './fault.ts';
import type { Kernel } from './instance.ts';
import { keyKindOf } from './key.ts';
import type { EventFeatureLayout, EventReadLayout, Ids, Layout, TypeLayout } from './layout.ts';
import { registerOf, typeIndex } from './layout.ts';
import { addType, isReadable, setChangelog } from './event_type.ts';
import { laySteps } from './sequence.ts';
import { addGroup, type Group } from './group.ts';
import { layAnswer } from './answer.ts';

export interface Settings {
  clock: { kind: 'event' | 'wall'; maxJumpMs: number };
  /** An event this far ahead of its arrival is bad, where that is known. */
  aheadMaxMs: number;
  shards: number;
  /** Nothing is looked up in the kernel: it only tiles. */
  isUnasked?: boolean;
}

/** Loads a plan into a fresh kernel instance. */
export function layPlan(kernel: Kernel, plan: Plan, ids: Ids, settings: Settings): Layout {
  const { exports } = kernel;
  const isWall = settings.clock.kind === 'wall';
  exports.setClock(isWall ? 1 : 0, settings.clock.maxJumpMs, settings.aheadMaxMs);
  exports.setLateness(plan.latenessMs);
  exports.setShards(settings.shards);
  const layers = plan.events.map(event => new Layers(plan, event));
  const last = lastRowsOf(plan);
  const layout: Layout = {
    ...{ kernel, plan, ids, types: [], groups: [], lookups: new Map(), eventAnswers: new Map() },
    ...{ isSequenced: isTopology(plan), keepsLastRows: last.length > 0 },
  };
  assert(!layout.isSequenced || settings.shards === 1, 'records of a topology are taken one after the other');
  layout.types = plan.events.map((event, index) => layType(kernel, plan, event, index, layers[index]!));
  layout.groups = layGroups(layout, layers);
  for (const index of layout.types.keys()) {
    laySteps(layout, index);
    layAnswered(layout, index);
  }
  for (const { name, event } of last)
    exports.keepLastRows(typeIndex(layout, event.name), ids.entities.get(name)!, ids.aggregates.get(name)!);
  for (const entity of plan.entities) {
    const features = plan.features.filter(feature => feature.entity === entity.name);
    if (features.length > 0 && !settings.isUnasked)
      layout.lookups.set(entity.name, layAnswer(layout, entity.name, features, null));
  }
  return layout;
}

function layType(kernel: Kernel, plan: Plan, event: EventType, index: number, layers: Layers): TypeLayout {
  const features = (event.features ?? []).map(feature => ({ feature, of: columnOf(event, feature.column) }));
  const expressions = [...expressionsOver(plan, event), ...features.map(({ of }) => of)];
  // An event type that nothing is computed from may have inputs that no kernel reads: nobody misses them.
  const inputs = event.inputs.filter(isReadable);
  assert(expressions.length === 0 || inputs.length === event.inputs.length, `${event.name} has an unreadable input`);
  const reads = new Map<string, EventReadLayout>();
  const readOf = (read: Read, lowering: Lowering): EventReadLayout => {
    const keys = read.keys!.map(key => lowering.lower(key));
    const after = read.after && lowering.lower(read.after);
    const place = JSON.stringify([read.aggregate, read.window, keys, after, read.exclusive]);
    const register = reads.get(place)?.register ?? lowering.registerCount++;
    if (!reads.has(place)) reads.set(place, { read, layer: layers.read(read), keys, after, register, fault: null });
    return reads.get(place)!;
  };
  const leaf = (expression: Expression, lowering: Lowering): number => {
    if (expression.kind === 'read') return readOf(expression.read, lowering).register;
    if (expression.kind === 'fault') {
      if (expression.of.kind === 'column') return faultLeaf(event, inputs, expression.of.name, lowering);
      const read = readOf(expression.of.read, lowering);
      read.fault ??= lowering.registerCount++;
      return read.fault;
    }
    assert(expression.kind === 'column', `${expression.kind} in an event's scope has no kernel yet`);
    const filled = given.get(expression.name);
    if (filled !== undefined) return filled;
    const input = inputs.findIndex(i => i.name === expression.name);
    if (input >= 0) return input;
    if (expression.name === EVENT_TIME) return inputs.length;
    const column = event.columns.find(c => c.name === expression.name);
    assert(column, `event ${event.name} has no column ${expression.name}`);
    return lowering.lower(column.expression);
  };
  const firstGiven = decodedRegisters(event, inputs.length);
  const given = new Map((event.given ?? []).map(({ name }, i) => [name, firstGiven + i]));
  const lowering = new Lowering(firstGiven + given.size, leaf);
  const registers = new Map(expressions.map(expression => [identityOf(expression), lowering.lower(expression)]));
  assert(addType(kernel, event, inputs, lowering.registerCount) === index, 'types are numbered in order');
  if (event.changelog) setChangelog(kernel, index, event.changelog, inputs);
  const frame = kernel.exports.typeFrame(index) >>> 0;
  const fromReads = new Map<number, number>();
  for (const { register, fault, layer } of reads.values()) {
    fromReads.set(register, layer + 1);
    if (fault !== null) fromReads.set(fault, layer + 1);
  }
  const [program = null, ...laterPrograms] =
    reads.size > 0 ? lowering.loadLayers(kernel, frame, fromReads) : [lowering.load(kernel, frame)];
  const answered = features.map(({ feature: { column, error }, of }): EventFeatureLayout => {
    const [register, wrong] = [registers.get(identityOf(of))!, error && registers.get(identityOf(error))!];
    return { name: `${event.name}.${column}`, column, type: of.type, register, error: wrong };
  });
  return {
    ...{ event, inputs, frame, program, laterPrograms, registers, given },
    ...{ reads: [...reads.values()], features: answered },
  };
}

/** A column or an input of an event, as an expression in its scope. */
function columnOf(event: EventType, name: string): Expression {
  const type = event.columns.find(one => one.name === name)?.expression.type;
  const input = event.inputs.find(one => one.name === name)?.type;
  const given = event.given?.find(one => one.name === name)?.type;
  const found = type ?? input ?? given;
  assert(found, `event ${event.name} has no column ${name}`);
  return { kind: 'column', name, type: found, at: null };
}

/** What is wrong with an input; nothing is with those of an event that is bad where something is. */
function faultLeaf(event: EventType, inputs: Field[], name: string, lowering: Lowering): number {
  const input = inputs.findIndex(one => one.name === name);
  assert(input >= 0, `${name} is no input of ${event.name}: nothing is known to be wrong with it`);
  const register = faultRegister(event, inputs.length, input);
  return register ?? lowering.lower({ kind: 'literal', value: null, type: STRING, at: null });
}

/** Of two lists of the same levels. */
function longest(a: KeptLevel[], b: KeptLevel[]): KeptLevel[] {
  return a.map(({ levelMs, ttlMs }, i) => ({ levelMs, ttlMs: Math.max(ttlMs, b[i]!.ttlMs) }));
}

/** Aggregates that are keyed, selected and tiled alike form a group: one hash and one probe serve them all. */
function layGroups(layout: Layout, layers: Layers[]): { index: number; group: Group }[] {
  const { plan, ids, kernel } = layout;
  const groups = new Map<string, Group>();
  for (const aggregate of plan.aggregates) {
    const type = typeIndex(layout, aggregate.event);
    const typeLayout = layout.types[type]!;
    const levels = keptLevels(aggregate, plan);
    if (levels.length === 0) continue; // nobody reads it
    const { where, keys, tiles } = aggregate;
    const { weight, changelog } = typeLayout.event;
    const group: Group = {
      type,
      entity: ids.entities.get(entityOf(aggregate))!,
      where: where && registerOf(typeLayout, where),
      weight: changelog ? typeLayout.inputs.length + 1 : weight && registerOf(typeLayout, weight),
      offsetMs: tiles.offsetMs,
      keys: keys.map(key => ({ register: registerOf(typeLayout, key), kind: keyKindOf(key.type) })),
      levels,
      layer: isReadByEvents(aggregate, plan) ? layers[type]!.write(aggregate) : null,
      members: [],
    };
    // How long a tile takes events does not show in what events read: theirs are tiled together, as long as any wants it.
    const identity = JSON.stringify(group.layer === null ? group : { ...group, levels: levels.map(l => l.levelMs) });
    const known = groups.get(identity);
    if (known) known.levels = longest(known.levels, levels);
    else groups.set(identity, group);
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
