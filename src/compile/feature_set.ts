import { Fault } from '../base/fault.ts';
import type { Expression } from '../plan/expression.ts';
import type { Entity, EventType, FeatureSet } from '../plan/plan.ts';
import { bindCondition } from './bind.ts';
import type { Declared } from './declare.ts';
import { DIALECTS } from './dialects.ts';
import type { Select } from './node.ts';
import type { CompiledSet } from './set/compiled.ts';
import { addDerived, readDerived } from './set/derived.ts';
import { checkNames, checkSaid, featureOf } from './set/features.ts';
import { itemCount, itemsOf } from './set/items.ts';
import { keysOf } from './set/keys.ts';
import { type SetScope, eventScope, findDeclared, readSettings } from './set/scope.ts';
import { checkDecayed, tilesOf, windowsOf } from './set/windows.ts';
import { readSelect } from './sql/read.ts';
import type { YamlDocument } from './yaml.ts';

/** A reply has a column for each; more than this is several sets. */
export const FEATURES_PER_SET_MAX = 4096;

/**
 * A feature set in order: settings -> SELECT -> keys, source and WHERE -> an aggregate for each call -> a feature for
 * each item and window -> derived features.
 */
export async function compileSet(
  document: YamlDocument,
  declared: Declared,
  defaultDialect: string,
  faults: Fault[],
): Promise<CompiledSet> {
  const settings = readSettings(document, faults);
  const set: SetScope = { document, settings, name: settings.feature_set ?? '', faults };
  const event = findDeclared(set, 'source', declared.events, 'event type', 'events');
  const entity = findDeclared(set, 'entity', declared.entities, 'entity', 'entities');
  const tiles = tilesOf(set);
  const windows = tiles && settings.windows && windowsOf(set, settings.windows, tiles);
  const dialect = DIALECTS[settings.dialect ?? defaultDialect] ?? null;
  const sql = document.textAt(['sql']);
  const select = sql && settings.sql !== null ? await readSelect(sql, faults, dialect) : null;
  const derived = await readDerived(set, dialect);
  if (!event || !select) return { set: null, aggregates: [], features: [] };

  checkFrom(set, select, event);
  const keys = keysOf(set, select, event, entity);
  const where = select.where && bindCondition(select.where, eventScope(event, 'WHERE', faults), 'WHERE');
  const shared = { set, event, entity, keys, where, tiles: tiles ?? { levelsMs: [], offsetMs: 0 } };
  const { aggregates, items } = itemsOf(shared, select);
  if (windows && tiles) checkDecayed(aggregates, windows, tiles, faults);
  if (!windows || !entity || !keys || !settings.feature_set) return { set: null, aggregates: [], features: [] };

  const features = items.flatMap(item => windows.map(window => featureOf(set, entity, item, window)));
  checkNames(set, features);
  const allNamed = select.whole && items.length === itemCount(select);
  checkSaid(
    set,
    [...items, ...derived].map(({ name }) => name),
    allNamed,
  );
  addDerived(set, entity, features, derived, allNamed);
  if (features.length > FEATURES_PER_SET_MAX) {
    const message = `${set.name} has ${features.length} features, and at most ${FEATURES_PER_SET_MAX} are kept in one set`;
    faults.push(new Fault('too_large', message, document.at(['feature_set'])));
  }
  return { set: setOf(set, event, entity, keys), aggregates, features };
}

function checkFrom({ faults }: SetScope, { from }: Select, event: EventType): void {
  if (!from || from.name === event.name) return;
  const message = `FROM ${from.name}: the source of this feature set is ${event.name}`;
  faults.push(new Fault('definition', message, from.at));
}

function setOf(
  { document, settings, name }: SetScope,
  event: EventType,
  entity: Entity,
  keys: Expression[],
): FeatureSet {
  return {
    name,
    description: settings.description ?? '',
    owner: settings.owner ?? '',
    ...(settings.version !== null && { version: Number(settings.version) }),
    entity: entity.name,
    event: event.name,
    keys,
    sql: settings.sql ?? '',
    at: document.at(['feature_set']),
  };
}
