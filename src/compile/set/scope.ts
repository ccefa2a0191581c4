import { Fault } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import { EVENT_TIME, type Expression } from '../../plan/expression.ts';
import type { Entity, EventType, Tiles } from '../../plan/plan.ts';
import { TIME } from '../../plan/value.ts';
import { type Scope, fieldOf } from '../bind.ts';
import { standsOnAggregate } from '../inline.ts';
import { READ_TIME, type SqlNode } from '../node.ts';
import { SET_REQUIRED, SET_SHAPE, type SetKey } from '../shape.ts';
import { type YamlDocument, check, isRecord } from '../yaml.ts';

type Settings = { [K in SetKey]: ReturnType<(typeof SET_SHAPE)[K]['parse']> | null };

export interface SetScope {
  document: YamlDocument;
  settings: Settings;
  name: string;
  faults: Fault[];
}

/** What all aggregates of a set have in common. */
export interface Shared {
  set: SetScope;
  event: EventType;
  entity: Entity | null;
  /** Null where they are faulty. */
  keys: Expression[] | null;
  where: Expression | null;
  tiles: Tiles;
}

/** Every key is checked by itself: null where it is absent or faulty. */
export function readSettings(document: YamlDocument, faults: Fault[]): Settings {
  const value = isRecord(document.value) ? document.value : {};
  for (const key of SET_REQUIRED) {
    if (value[key] !== undefined) continue;
    const at = document.keyAt(value.feature_set === undefined ? [] : ['feature_set']);
    faults.push(new Fault('definition', `${key} is missing from the feature set`, at));
  }
  const read = (key: SetKey) =>
    value[key] === undefined ? null : check<unknown>(SET_SHAPE[key], document, [key], faults);
  return Object.fromEntries((Object.keys(SET_SHAPE) as SetKey[]).map(key => [key, read(key)])) as Settings;
}

export function findDeclared<T>(
  { document, settings, faults }: SetScope,
  key: 'source' | 'entity',
  known: Map<string, T | null>,
  what: string,
  section: string,
): T | null {
  const name = settings[key];
  if (name === null) return null;
  const found = known.get(name);
  if (found === undefined) {
    const hint = didYouMean(name, known.keys()) || `; declare it under ${section}:`;
    faults.push(new Fault('definition', `unknown ${what} "${name}"${hint}`, document.at([key])));
  }
  return found ?? null;
}

/** In an event's scope names are its inputs, and there is nothing to aggregate. */
export function eventScope(event: EventType, what: string, faults: Fault[]): Scope {
  return {
    faults,
    name(node) {
      const struct = structOf(node, event);
      if (struct) return fieldOf(struct, { name: node.name, at: node.at }, node.table!.name, node.at, faults);
      if (!isTable(node, event, faults)) return null;
      const input = event.inputs.find(i => i.name === node.name);
      if (input) return { kind: 'column', name: input.name, type: input.type, at: node.at };
      const computed = event.columns.find(({ name }) => name === node.name);
      if (computed && standsOnAggregate(node.name, event)) {
        const message = `${node.name} is made of an aggregate, and a feature set looks at one event at a time: keep it in the topology`;
        faults.push(new Fault('unsupported', message, node.at));
        return null;
      }
      if (computed) return { kind: 'column', name: node.name, type: computed.expression.type, at: node.at };
      if (node.name === READ_TIME) {
        const message = `${node.text}: an event has no other time than its own: write ${EVENT_TIME}`;
        faults.push(new Fault('unsupported', message, node.at));
        return null;
      }
      if (node.name === EVENT_TIME) return { kind: 'column', name: EVENT_TIME, type: TIME, at: node.at };
      const names = [...event.inputs, ...event.columns].map(({ name }) => name);
      const hint = didYouMean(node.name, names) || `; it has ${names.join(', ')}`;
      faults.push(new Fault('definition', `event ${event.name} has no input "${node.name}"${hint}`, node.at));
      return null;
    },
    aggregate(node) {
      const message = `an aggregate inside ${what} is not supported: ${what} looks at one event at a time`;
      faults.push(new Fault('unsupported', message, node.symbol.at));
      return null;
    },
  };
}

/** What `a.b` is a field of: the input `a`, unless `a` is the event type and has an input `b`. */
export function structOf({ table, name }: SqlNode & { kind: 'name' }, event: EventType): Expression | null {
  if (!table || (table.name === event.name && event.inputs.some(input => input.name === name))) return null;
  const input = event.inputs.find(({ name }) => name === table.name);
  return input ? { kind: 'column', name: input.name, type: input.type, at: table.at } : null;
}

export function isTable(node: SqlNode & { kind: 'name' }, event: EventType, faults: Fault[]): boolean {
  if (!node.table || node.table.name === event.name) return true;
  const structs = event.inputs.filter(({ type }) => type.kind === 'struct').map(({ name }) => name);
  const hint = didYouMean(node.table.name, structs) || ', and no input is called so';
  const message = `unknown table "${node.table.name}": the only one is ${event.name}${hint}`;
  faults.push(new Fault('definition', message, node.table.at));
  return false;
}

/** Around aggregates an item is computed when it is read. */
export function isReadTime({ name, table }: SqlNode & { kind: 'name' }, event: EventType): boolean {
  return table === null && name === READ_TIME && !event.inputs.some(input => input.name === name);
}

export function readTime({ at }: SqlNode): Expression {
  return { kind: 'now', type: TIME, at };
}
