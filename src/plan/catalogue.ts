import { assert } from '../base/assert.ts';
import { MICROS_PER_MS } from '../base/time.ts';
import { eventOf } from './canonical.ts';
import { rowsPerKey } from './diff.ts';
import type { Expression, Read, Window } from './expression.ts';
import { walk } from './expression.ts';
import { ALL_KNOWN, type Known, windowKnown } from './known.ts';
import type { Aggregate, AggregateName, Entity, Feature, FeatureSet, Plan } from './plan.ts';
import { LINEAR } from './plan.ts';
import type { Type } from './value.ts';
import type { KeptLevel } from './window.ts';
import { firstMomentMs, floorTile, keptLevels, type TiledWindow } from './window.ts';

/**
 * What is known of features besides their values, for whoever looks for one: what its author said of it, what it is made
 * of, what is kept for it, and how fresh and how whole it is.
 */
export interface SetEntry {
  set: FeatureSet;
  entity: Entity;
  /** How events name the entity: a column for each of its keys, null where it is no plain input. */
  keyColumns: (string | null)[];
  event: { name: string; description: string; owner: string };
  /** The type's clock, and what it showed after the first event: microseconds since 1970 UTC, null before any. */
  clockMicros: bigint | null;
  sinceMicros: bigint | null;
  features: FeatureEntry[];
}

export interface FeatureEntry {
  feature: Feature;
  type: Type;
  /** Null where it is computed from others, or from several; of a series the latest. */
  window: Window | null;
  /** How many of them a series has, each as long before the one before it as it is itself; null of a single window. */
  seriesCount: number | null;
  aggregates: AggregateEntry[];
  /** Names of features that it is computed from. */
  from: string[];
  /** From when on its windows are whole: null where they are, where it reads lifetimes alone, and before any event. */
  warmMicros: bigint | null;
}

export interface AggregateEntry {
  name: string;
  fn: AggregateName;
  isLinear: boolean;
  /** Rows of the levels, for a key with events in every tile. */
  tiles: (KeptLevel & { rowsPerKey: number })[];
}

/** How far the log has come, as the catalogue asks for it. */
export interface Moment {
  nowMicros: bigint | null;
  clocks: Map<string, { at: bigint; since: bigint }>;
  /** What aggregates know of the log, by name; one that is not here knows all of it. */
  known?: Map<string, Known>;
}

/** Every set with its features, in the order of the plan. */
export function catalogueOf(plan: Plan, moment: Moment): SetEntry[] {
  const features = Map.groupBy(plan.features, feature => feature.set);
  const aggregates = new Map(plan.aggregates.map(aggregate => [aggregate.name, aggregateEntry(aggregate, plan)]));
  const byName = new Map(plan.features.map(feature => [feature.name, feature]));
  return plan.sets.map(set => {
    const entity = plan.entities.find(({ name }) => name === set.entity);
    assert(entity, `feature set ${set.name} is of an entity of the plan`);
    const { name, description = '', owner = '' } = eventOf(plan, set.event);
    const clock = moment.clocks.get(name);
    return {
      set,
      entity,
      keyColumns: set.keys.map(columnOf),
      event: { name, description, owner },
      clockMicros: clock?.at ?? null,
      sinceMicros: clock?.since ?? null,
      features: (features.get(set.name) ?? []).map(feature => featureEntry(feature, plan, moment, aggregates, byName)),
    };
  });
}

function columnOf(key: Expression): string | null {
  return key.kind === 'column' ? key.name : null;
}

function aggregateEntry(aggregate: Aggregate, plan: Plan): AggregateEntry {
  const { name, fn } = aggregate;
  const tiles = keptLevels(aggregate, plan).map(level => ({ ...level, rowsPerKey: rowsPerKey(level) }));
  return { name, fn: fn.name, isLinear: LINEAR[fn.name], tiles };
}

function featureEntry(
  feature: Feature,
  plan: Plan,
  moment: Moment,
  aggregates: Map<string, AggregateEntry>,
  byName: Map<string, Feature>,
): FeatureEntry {
  const { expression } = feature;
  const reads = readsUnder(feature, byName);
  const own = readsOf(expression);
  return {
    feature,
    type: expression.type,
    window: own.reads.length > 0 ? own.reads[0]!.window : null,
    seriesCount: expression.kind === 'call' && expression.fn === 'list' ? expression.args.length : null,
    aggregates: [...new Set(reads.map(read => read.aggregate))].map(name => aggregates.get(name)!),
    from: own.features,
    warmMicros: warmMicrosOf(reads, plan, moment),
  };
}

/** What an expression reads itself. */
function readsOf(expression: Expression): { reads: Read[]; features: string[] } {
  const reads: Read[] = [];
  const features = new Set<string>();
  walk(expression, node => {
    if (node.kind === 'read') reads.push(node.read);
    if (node.kind === 'column') features.add(node.name);
  });
  return { reads, features: [...features] };
}

/** What a feature reads itself, and through those that it is computed from. */
function readsUnder(feature: Feature, byName: Map<string, Feature>, seen = new Set<string>()): Read[] {
  if (seen.has(feature.name)) return [];
  seen.add(feature.name);
  const { reads, features } = readsOf(feature.expression);
  return [...reads, ...features.flatMap(name => readsUnder(byName.get(name)!, byName, seen))];
}

/** The latest of its windows' moments, where it is yet to come. */
function warmMicrosOf(reads: Read[], plan: Plan, { nowMicros, clocks, known }: Moment): bigint | null {
  let latest: bigint | null = null;
  for (const { aggregate: name, window } of reads) {
    const aggregate = plan.aggregates.find(one => one.name === name)!;
    const first = clocks.get(aggregate.event)?.since;
    if (first === undefined || window.kind === 'lifetime') continue;
    const later = windowKnown(known?.get(name) ?? ALL_KNOWN, window)?.sinceMicros;
    const warm = wholeFrom(window, aggregate, later !== undefined && later > first ? later : first);
    if (latest === null || warm > latest) latest = warm;
  }
  return latest !== null && (nowMicros === null || nowMicros < latest) ? latest : null;
}

/** A window is whole once the tile that it begins with begins no earlier than what is known. */
export function wholeFrom(window: TiledWindow, { tiles }: Aggregate, sinceMicros: bigint): bigint {
  const sinceMs = Number((sinceMicros + MICROS_PER_MS - 1n) / MICROS_PER_MS);
  const { resolutionMs } = window;
  const startMs = floorTile(sinceMs + resolutionMs - 1, resolutionMs, tiles.offsetMs);
  return BigInt(firstMomentMs(window, startMs, tiles.offsetMs)) * MICROS_PER_MS;
}
