import { Fault, type Position } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import { children, type Expression } from '../../plan/expression.ts';
import type { Aggregate, Entity, Feature, FeatureSet } from '../../plan/plan.ts';
import { isScalar, type Type } from '../../plan/value.ts';
import { KEY_COLUMNS_MAX } from '../declare.ts';
import { NAME_LENGTH_MAX } from '../name.ts';
import { refuse } from './bound.ts';
import { lineText, SCALARS, typeText } from './slot.ts';
import type { Definition, Desk, EntityStatement, Written } from './desk.ts';

/** What can be looked up by key, without an event at hand. */
export interface CompiledLookups {
  sets: FeatureSet[];
  features: Feature[];
}

/**
 * `entity email: string` lets the features that are aggregates by email be looked up: their aggregates are kept in rows of
 * that entity, and for each event that reads and each that writes them there is a feature set.
 */
export function lookupsOf(desk: Desk, merged: Written[]): CompiledLookups {
  const lookups: CompiledLookups = { sets: [], features: [] };
  const byKeys = new Map<string, EntityStatement>();
  for (const one of desk.entities) {
    const entity = declareEntity(one, desk);
    if (!entity) continue;
    const { statement, place } = one;
    const names = keyNamesOf(one);
    const first = byKeys.get(names.join());
    byKeys.set(names.join(), one);
    if (first) {
      const text = `${first.statement.name.name} and ${entity.name} are both looked up by ${names.join(', ')}`;
      refuse(text, place(statement.start, statement.end), desk);
    } else addLookups(entity, one, desk, merged, lookups);
  }
  return lookups;
}

function keyNamesOf({ statement }: EntityStatement): string[] {
  return (statement.keys.length > 0 ? statement.keys : [statement.name]).map(({ name }) => name);
}

/** With its types it is declared here, without them in YAML. */
function declareEntity({ statement, place }: EntityStatement, desk: Desk): Entity | null {
  const { name, start, end } = statement.name;
  const at = place(start, end);
  const { entities } = desk.declared;
  const known = entities.get(name);
  if (!statement.types) {
    if (known !== undefined) return known;
    const hint = didYouMean(name, entities.keys()) || `; write its type, like entity ${name}: string`;
    return refuse(`unknown entity "${name}"${hint}`, at, desk);
  }
  if (known !== undefined)
    return refuse(`entity "${name}" is there twice${known?.at ? `: first at ${lineText(known.at)}` : ''}`, at, desk);
  entities.set(name, null);
  const keys = statement.types.map(spec => {
    const type = SCALARS.get(spec.name);
    if (type && type.kind !== 'double') return type;
    const hint = didYouMean(spec.name, ['bool', 'int', 'string', 'time']);
    return refuse(`a key is bool, int, string or time, not ${spec.name}${hint}`, place(spec.start, spec.end), desk);
  });
  if (keys.length > KEY_COLUMNS_MAX)
    return refuse(`${name} has ${keys.length} keys, and at most ${KEY_COLUMNS_MAX} are read`, at, desk);
  if (keys.includes(null)) return null;
  const entity: Entity = { name, keys: keys as Type[], at };
  entities.set(name, entity);
  return entity;
}

function addLookups(
  entity: Entity,
  one: EntityStatement,
  desk: Desk,
  merged: Written[],
  lookups: CompiledLookups,
): void {
  const names = keyNamesOf(one);
  const at = one.place(one.statement.name.start, one.statement.name.end);
  const byName = new Map<string, Aggregate>();
  for (const { aggregate, keyNames } of merged)
    if (keyNames.some(each => each.join() === names.join())) byName.set(aggregate.name, aggregate);
  for (const topic of desk.topics.values())
    for (const definition of topic.definitions.values()) {
      const read = aggregatesIn(definition, byName);
      if (!read) continue;
      if (!matches(entity, read[0]!, at, desk)) return;
      addFeature(definition, entity, read, at, desk, lookups);
    }
}

/** The aggregates that a feature is made of, if it can be looked up; null where it needs an event. */
function aggregatesIn({ bound, statement }: Definition, byName: Map<string, Aggregate>): Aggregate[] | null {
  if (!bound || statement.kind !== 'feature') return null;
  const found: Aggregate[] = [];
  let needsEvent = !isFeatureType(bound.value.type);
  const visit = (expression: Expression): void => {
    if (expression.kind === 'column' || expression.kind === 'fault') needsEvent = true;
    else if (expression.kind === 'read') {
      const { after, exclusive, aggregate: name } = expression.read;
      const aggregate = byName.get(name);
      if (after || exclusive || !aggregate) needsEvent = true;
      else found.push(aggregate);
    } else for (const child of children(expression)) visit(child);
  };
  visit(bound.value);
  return needsEvent || found.length === 0 ? null : found;
}

function isFeatureType(type: Type): boolean {
  return isScalar(type) || type.kind === 'map' || (type.kind === 'list' && isScalar(type.of.type));
}

function matches(entity: Entity, { keys, name }: Aggregate, at: Position, desk: Desk): boolean {
  const isSame = keys.length === entity.keys.length && keys.every(({ type }, i) => type.kind === entity.keys[i]!.kind);
  if (isSame) return true;
  const [wanted, got] = [entity.keys, keys.map(({ type }) => type)].map(types => types.map(typeText).join(', '));
  refuse(`the key of entity ${entity.name} is ${wanted}, and that of ${name} is ${got}`, at, desk);
  return false;
}

function addFeature(
  definition: Definition,
  entity: Entity,
  aggregates: Aggregate[],
  at: Position,
  desk: Desk,
  lookups: CompiledLookups,
): void {
  for (const aggregate of aggregates) aggregate.entity = entity.name;
  const [first] = aggregates;
  const writer = (aggregates.find(({ event }) => event === definition.event) ?? first)!;
  const of = writer.event === definition.event ? '' : `_of_${writer.event}`;
  const name = `${definition.event}${of}_by_${entity.name}`;
  if (name.length > NAME_LENGTH_MAX) {
    const message = `the feature set ${name} would have a name of more than ${NAME_LENGTH_MAX} characters`;
    desk.faults.push(new Fault('too_large', message, at));
    return;
  }
  if (!lookups.sets.some(set => set.name === name))
    lookups.sets.push({
      ...{ name, description: '', owner: '', entity: entity.name, event: writer.event, keys: writer.keys, sql: '' },
      at,
    });
  lookups.features.push({
    ...{ name: `${name}:${definition.name}`, set: name, entity: entity.name },
    expression: byEntity(definition.bound!.value),
    description: definition.text,
    ...(definition.about !== null && { about: definition.about }),
    at: definition.at,
  });
}

/** The same, read by the entity that is looked up. */
function byEntity(expression: Expression): Expression {
  switch (expression.kind) {
    case 'read':
      return { ...expression, read: { ...expression.read, keys: null } };
    case 'call':
      return { ...expression, args: expression.args.map(byEntity) };
    case 'field':
      return { ...expression, of: byEntity(expression.of) };
    case 'index':
      return { ...expression, of: byEntity(expression.of), by: byEntity(expression.by) };
    default:
      return expression;
  }
}
