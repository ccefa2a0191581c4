import { Fault, type Position } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import { formatDuration } from '../base/time.ts';
import { aggregateHash, featureHash, stateHash } from './canonical.ts';
import { type EventFeatureChange, eventChanges } from './event_diff.ts';
import type { Read, Window } from './expression.ts';
import { walk } from './expression.ts';
import type { Aggregate, Feature, FeatureSet, Plan } from './plan.ts';
import { LINEAR } from './plan.ts';
import type { Type } from './value.ts';
import { sameType, typeName } from './value.ts';
import type { KeptLevel } from './window.ts';
import { keptLevels, reachOf, readsOf } from './window.ts';
import { writtenText } from './written.ts';

/**
 * What a plan changes of the one in force, by meaning: what only stands elsewhere or is written otherwise is no change.
 *
 *   1. pair      features and aggregates of both by name; of those left over, by equal meaning: they are renamed
 *   2. compare   what they mean (canonical.ts): added, removed, redefined, or dirtied by what they depend on
 *   3. cost      the tiles kept, and how long each window that changed is WARMING
 *   4. refuse    what would mix two meanings under one name
 */
export interface PlanDiff {
  features: FeatureChange[];
  /** Of what events are answered with. */
  events: EventFeatureChange[];
  aggregates: AggregateChange[];
  tiles: TilesChange[];
  /** Null where it stays. */
  lateness: { beforeMs: number; afterMs: number } | null;
  /** Of what only texts for people have changed: `feature set shops`, `event sale`. */
  texts: string[];
  /** All reasons why the plan must not come into force, each with its place. */
  refusals: Fault[];
}

/** `redefined`: what its author wrote of it means something else. `dirtied`: only what it depends on does. */
export type Change = 'added' | 'removed' | 'renamed' | 'redefined' | 'dirtied';

export interface FeatureChange {
  change: Change;
  /** Null where it was not there, and where it will not be. */
  before: Feature | null;
  after: Feature | null;
  /** What dirties it: names of features, of aggregates, or of its event type. */
  through: string[];
  /** How long after the change its windows are WARMING at most, unless the log is folded for it: 0 not at all; null where it reads a lifetime, which counts from the change on. */
  warmingMs: number | null;
}

export interface AggregateChange {
  /** `kept`: the same states, of other tile levels or for another time. */
  change: Exclude<Change, 'dirtied'> | 'kept';
  before: Aggregate | null;
  after: Aggregate | null;
  /** Empty where it was not there, or will not be. */
  levelsBefore: KeptLevel[];
  levelsAfter: KeptLevel[];
  /** Tiles of events before the change are wanted, and are not there: only the log has those events. */
  needsBackfill: boolean;
}

/** Rows of one entity and level: aggregates of all sets share them. */
export interface TilesChange {
  entity: string;
  /** 0 is the lifetime. */
  levelMs: number;
  /** How long a row is kept, from its tile's start; Infinity for a lifetime, null where there are none. */
  beforeMs: number | null;
  afterMs: number | null;
}

/** A number that rows are written under. */
export interface Numbered {
  kind: string;
  id: number;
  name: string;
  hash: string;
}

/**
 * @param before null where no plan has been in force
 * @param numbers the dictionary, where there is one
 */
export function diffPlans(before: Plan | null, after: Plan, numbers: Numbered[] = []): PlanDiff {
  const sides: Sides = { before: before ?? { ...NOTHING, latenessMs: after.latenessMs }, after };
  const features = pairs(sides, plan => plan.features, featureHash);
  const stored = pairs(sides, plan => plan.aggregates, stateHash).map(pair => storedPair(sides, pair));
  const [beforeMs, afterMs] = [sides.before.latenessMs, sides.after.latenessMs];
  return {
    features: featureChanges(sides, features, stored),
    events: eventChanges(sides.before, after),
    aggregates: stored.flatMap(pair => aggregateChange(sides, pair)),
    tiles: tilesChanges(sides),
    lateness: beforeMs === afterMs ? null : { beforeMs, afterMs },
    texts: changedTexts(sides),
    refusals: [
      ...refuseKeys(sides),
      ...refuseFeatures(sides, features),
      ...refuseDangling(sides),
      ...refuseRetractions(after),
      ...refuseNumbers(numbers),
    ],
  };
}

/** Is there anything that has to be brought into force? Refusals do not count. */
export function isChanged({ features, events, aggregates, tiles, lateness, texts }: PlanDiff): boolean {
  return [features, events, aggregates, tiles, texts].some(list => list.length > 0) || lateness !== null;
}

interface Sides {
  before: Plan;
  after: Plan;
}

const NOTHING = { events: [], entities: [], aggregates: [], sets: [], features: [] };

// --- 1. pair

interface Pair<T> {
  before: T | null;
  after: T | null;
  /** The hash of what it means, on either side. */
  meaning: { before: string | null; after: string | null };
}

interface Stored extends Pair<Aggregate> {
  levelsBefore: KeptLevel[];
  levelsAfter: KeptLevel[];
}

/** In the order of `after`, what is removed behind it. */
function pairs<T extends { name: string }>(
  { before, after }: Sides,
  listOf: (plan: Plan) => T[],
  hashOf: (one: T, plan: Plan) => string,
): Pair<T>[] {
  const names = new Set(listOf(after).map(({ name }) => name));
  const known = new Map(listOf(before).map(one => [one.name, one]));
  const gone = listOf(before).filter(({ name }) => !names.has(name));
  const left = new Map(gone.map(one => [one, hashOf(one, before)]));
  const paired = listOf(after).map((one): Pair<T> => {
    const meaning = hashOf(one, after);
    const was = known.get(one.name) ?? renamed(one, meaning, left);
    if (was) left.delete(was);
    return { before: was, after: one, meaning: { before: was && hashOf(was, before), after: meaning } };
  });
  const removed = [...left].map(([one, meaning]): Pair<T> => {
    return { before: one, after: null, meaning: { before: meaning, after: null } };
  });
  return [...paired, ...removed];
}

/** What meant the same and is gone: of several the one whose name differs in its set alone. */
function renamed<T extends { name: string }>({ name }: T, meaning: string, left: Map<T, string>): T | null {
  const same = [...left].filter(([, other]) => other === meaning).map(([one]) => one);
  return same.find(one => ownName(one.name) === ownName(name)) ?? same[0] ?? null;
}

/** `shops:n_1h` -> `n_1h` */
function ownName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

function changeOf({ before, after, meaning }: Pair<{ name: string }>): Exclude<Change, 'dirtied'> | null {
  if (!before) return 'added';
  if (!after) return 'removed';
  if (meaning.before !== meaning.after) return 'redefined';
  return before.name === after.name ? null : 'renamed';
}

// --- 2. compare

function storedPair({ before, after }: Sides, pair: Pair<Aggregate>): Stored {
  const levelsBefore = pair.before ? keptLevels(pair.before, before) : [];
  const levelsAfter = pair.after ? keptLevels(pair.after, after) : [];
  return { ...pair, levelsBefore, levelsAfter };
}

function aggregateChange(sides: Sides, pair: Stored): AggregateChange[] {
  const { before, after, levelsBefore, levelsAfter } = pair;
  const isKept = JSON.stringify(levelsBefore.map(levelText)) === JSON.stringify(levelsAfter.map(levelText));
  const change = changeOf(pair) ?? (isKept ? null : 'kept');
  if (!change) return [];
  const windows = after ? readsOf(after.name, sides.after).map(read => read.window) : [];
  const needsBackfill = windows.some(window => warmingOf(window, pair, sides) !== 0);
  return [{ change, before, after, levelsBefore, levelsAfter, needsBackfill }];
}

function levelText({ levelMs, ttlMs }: KeptLevel): string {
  return `${levelMs} ${ttlMs}`;
}

function featureChanges(sides: Sides, features: Pair<Feature>[], stored: Stored[]): FeatureChange[] {
  const isOther = (pair: Pair<{ name: string }>) => changeOf(pair) === 'redefined';
  const others = {
    features: new Set(features.filter(isOther).map(pair => pair.after!.name)),
    aggregates: new Set(stored.filter(one => countsOther(one, sides)).map(pair => pair.after!.name)),
  };
  const byName = new Map(stored.flatMap(pair => (pair.after ? [[pair.after.name, pair]] : [])));
  return features.flatMap((pair): FeatureChange[] => {
    const change = changeOf(pair);
    if (!change) return [];
    const { before, after } = pair;
    const isDirtied =
      change === 'redefined' &&
      writtenText(before!.expression, sides.before) === writtenText(after!.expression, sides.after);
    return [
      {
        change: isDirtied ? 'dirtied' : change,
        before,
        after,
        through: isDirtied ? causesOf(after!, sides.after, others) : [],
        warmingMs: after ? warmingMsOf(sides, after, byName) : 0,
      },
    ];
  });
}

/** Are other events counted from now on, though it may go on with the rows that it has? */
function countsOther({ before, after }: Stored, sides: Sides): boolean {
  if (!before || !after) return false;
  return aggregateHash(before, sides.before) !== aggregateHash(after, sides.after);
}

/** Features that have changed, and the event types of aggregates that have. */
function causesOf(feature: Feature, plan: Plan, others: { features: Set<string>; aggregates: Set<string> }): string[] {
  const causes = new Set<string>();
  walk(feature.expression, node => {
    if (node.kind === 'column' && others.features.has(node.name)) causes.add(node.name);
    if (node.kind !== 'read' || !others.aggregates.has(node.read.aggregate)) return;
    causes.add(plan.aggregates.find(({ name }) => name === node.read.aggregate)!.event);
  });
  return [...causes];
}

function changedTexts({ before, after }: Sides): string[] {
  const [old, now] = [textsOf(before), textsOf(after)];
  return [...now].flatMap(([what, texts]) => (old.has(what) && old.get(what) !== texts ? what : []));
}

/** Texts for people by what they are about. What a feature was written as is none of them. */
function textsOf({ events, entities, sets, features }: Plan): Map<string, string> {
  const about = (what: string, name: string, ...texts: (string | undefined)[]): [string, string] => {
    return [`${what} ${name}`, JSON.stringify(texts.map(text => text ?? ''))];
  };
  return new Map([
    ...events.map(({ name, description, owner }) => about('event', name, description, owner)),
    ...entities.map(({ name, description, owner }) => about('entity', name, description, owner)),
    ...sets.map(({ name, description, owner }) => about('feature set', name, description, owner)),
    ...features.map(feature => about('feature', feature.name, feature.about, feature.units)),
  ]);
}

// --- 3. cost

/** The windows over every aggregate that a feature reads, itself or through features that it is derived from. */
function allReads(feature: Feature, plan: Plan, seen = new Set<string>()): Read[] {
  if (seen.has(feature.name)) return [];
  seen.add(feature.name);
  const reads: Read[] = [];
  walk(feature.expression, node => {
    if (node.kind === 'read') reads.push(node.read);
    const inner = node.kind === 'column' && plan.features.find(({ name }) => name === node.name);
    if (inner) reads.push(...allReads(inner, plan, seen));
  });
  return reads;
}

function warmingMsOf(sides: Sides, feature: Feature, stored: Map<string, Stored>): number | null {
  const spans = allReads(feature, sides.after).map(read => warmingOf(read.window, stored.get(read.aggregate)!, sides));
  return spans.reduce<number | null>((most, span) => (most === null || span === null ? null : Math.max(most, span)), 0);
}

/**
 * How long a window is WARMING where an aggregate goes on with the tiles that it has: until it is as long as what they
 * do not reach back to, and has moved on a step.
 */
function warmingOf(window: Window, { after, levelsBefore, meaning }: Stored, { before }: Sides): number | null {
  const kept = meaning.before === meaning.after ? levelsBefore : [];
  if (window.kind === 'lifetime') return kept.some(({ ttlMs }) => ttlMs === Infinity) ? 0 : null;
  const stepMs = window.resolutionMs;
  const levels = after!.tiles.levelsMs.filter(levelMs => levelMs >= stepMs);
  const lacking = levels.map(levelMs => {
    const level = kept.find(one => one.levelMs === levelMs);
    const reachMs = level ? level.ttlMs - levelMs - before.latenessMs : 0;
    return Math.max(0, reachOf(window) - reachMs);
  });
  const longestMs = Math.max(...lacking);
  return longestMs === 0 ? 0 : longestMs + stepMs;
}

function tilesChanges({ before, after }: Sides): TilesChange[] {
  const [old, now] = [keptTiles(before), keptTiles(after)];
  const places = new Map([...now, ...old].map(([place, { entity, levelMs }]) => [place, { entity, levelMs }]));
  return [...places].flatMap(([place, { entity, levelMs }]) => {
    const [beforeMs, afterMs] = [old.get(place)?.ttlMs ?? null, now.get(place)?.ttlMs ?? null];
    return beforeMs === afterMs ? [] : [{ entity, levelMs, beforeMs, afterMs }];
  });
}

export interface KeptTiles extends KeptLevel {
  entity: string;
}

/** The rows that a key has, by entity and level: a row is kept for the aggregate that needs it for longest. */
export function keptTiles(plan: Plan): Map<string, KeptTiles> {
  const kept = new Map<string, KeptTiles>();
  for (const aggregate of plan.aggregates) {
    const { entity } = aggregate;
    if (entity === null) continue;
    for (const { levelMs, ttlMs } of keptLevels(aggregate, plan)) {
      const place = `${entity} ${levelMs}`;
      kept.set(place, { entity, levelMs, ttlMs: Math.max(ttlMs, kept.get(place)?.ttlMs ?? 0) });
    }
  }
  return kept;
}

/** How many rows of a level a key with events in every tile has: those that are kept, and the one that begins. */
export function rowsPerKey({ levelMs, ttlMs }: KeptLevel): number {
  return ttlMs === Infinity ? 1 : Math.ceil(ttlMs / levelMs);
}

// --- 4. refuse

function refusal(message: string, at: Position | null): Fault {
  return new Fault('conflict', message, at);
}

function refuseKeys({ before, after }: Sides): Fault[] {
  return after.entities.flatMap(({ name, keys, at }) => {
    const old = before.entities.find(entity => entity.name === name);
    const [was, would] = [old && keysText(old.keys), keysText(keys)];
    if (!old || was === would) return [];
    const message = `entity ${name} is keyed by ${was}, and would be by ${would}: rows and lookups know it by its keys; declare the new one under another name`;
    return refusal(message, at);
  });
}

function keysText(keys: Type[]): string {
  return keys.map(typeName).join(', ');
}

/** Whoever reads a feature by its name has to be able to go on reading it. What is said of all windows of an item is said once. */
function refuseFeatures(sides: Sides, features: Pair<Feature>[]): Fault[] {
  const said = features.flatMap(({ before, after }) => {
    if (!before || before.name !== after?.name) return [];
    return reasonsAgainst(sides, before, after).map(why => ({ name: after.name, at: after.at, why }));
  });
  const together = Map.groupBy(said, ({ at, why }) => JSON.stringify([at ?? why, why]));
  return [...together.values()].map(those => {
    const [{ at, why }] = those as [(typeof those)[0]];
    return refusal(`${those.map(({ name }) => name).join(', ')}: ${why}`, at);
  });
}

function reasonsAgainst({ before, after }: Sides, old: Feature, now: Feature): string[] {
  const set = after.sets.find(({ name }) => name === now.set);
  if (set && versionOf(set) > versionOf(before.sets.find(({ name }) => name === old.set))) return [];
  const wayOut = `give it another name, or raise version: of feature set ${now.set}`;
  const reasons: string[] = [];
  const [oldType, newType] = [typeName(old.expression.type), typeName(now.expression.type)];
  if (old.entity !== now.entity)
    reasons.push(`of entity ${old.entity}, and would be of ${now.entity} under the same name; ${wayOut}`);
  if (!sameType(old.expression.type, now.expression.type))
    reasons.push(`of type ${oldType}, and would be of type ${newType} under the same name; ${wayOut}`);
  // Saying what was not said before mixes nothing.
  if (old.units !== undefined && old.units !== now.units)
    reasons.push(`in ${old.units}, and would be in ${now.units ?? 'no units'} under the same name; ${wayOut}`);
  const coarser = coarserStep(old, now);
  if (coarser) {
    const [step, would] = [coarser.beforeMs, coarser.afterMs].map(formatDuration);
    reasons.push(`moves by ${step}, and would move by ${would}; keep ${step} among tiles:, ${wayOut}`);
  }
  return reasons;
}

function versionOf(set: FeatureSet | undefined): number {
  return set?.version ?? 1;
}

/** The first window of a feature that is as long as it was, and moves in longer steps. */
function coarserStep(old: Feature, now: Feature): { beforeMs: number; afterMs: number } | null {
  const steps = stepsOf(old);
  for (const [lengthMs, afterMs] of stepsOf(now)) {
    const beforeMs = steps.get(lengthMs);
    if (beforeMs !== undefined && beforeMs < afterMs) return { beforeMs, afterMs };
  }
  return null;
}

/** Of each length of a window that a feature itself reads, the step; an exact one moves by nothing. */
function stepsOf(feature: Feature): Map<number, number> {
  const steps = new Map<number, number>();
  walk(feature.expression, node => {
    if (node.kind !== 'read' || node.read.window.kind === 'lifetime') return;
    const { window } = node.read;
    // Which tiles a hopping window is made of cannot be seen in it.
    if (window.kind !== 'hopping') steps.set(window.lengthMs, window.resolutionMs);
  });
  return steps;
}

/** The compiler finds these of its own definitions; a plan may have other makers. */
function refuseDangling({ before, after }: Sides): Fault[] {
  const names = new Set(after.features.map(({ name }) => name));
  const removed = new Set(before.features.map(({ name }) => name));
  return after.features.flatMap(feature => {
    const refused: Fault[] = [];
    walk(feature.expression, node => {
      if (node.kind !== 'column' || names.has(node.name)) return;
      const what = removed.has(node.name) ? 'would be removed' : 'is not there';
      const message = `${feature.name} reads ${node.name}, which ${what}${didYouMean(node.name, names)}`;
      refused.push(refusal(message, node.at ?? feature.at));
    });
    return refused;
  });
}

function refuseRetractions(plan: Plan): Fault[] {
  return plan.aggregates.flatMap(({ name, event, fn, at }) => {
    const { weight = null, changelog } = plan.events.find(one => one.name === event) ?? {};
    if ((weight === null && changelog === undefined) || LINEAR[fn.name]) return [];
    const linear = Object.entries(LINEAR).flatMap(([each, isLinear]) => (isLinear ? each : []));
    const message = `${name} is ${fn.name}, which cannot take back what ${event} retracts; over it there may be ${linear.join(', ')}`;
    return refusal(message, at);
  });
}

/** A number of rows that two definitions bear would mix their states. */
function refuseNumbers(numbers: Numbered[]): Fault[] {
  const first = new Map<string, Numbered>();
  return numbers.flatMap(one => {
    const place = `${one.kind} ${one.id}`;
    const other = first.get(place) ?? one;
    first.set(place, other);
    if (other.hash === one.hash) return [];
    const message = `number ${one.id} is that of ${other.kind} ${other.name} and of ${one.name}, which mean different things: rows would mix them; \`tilefold rebuild --from-log\` numbers anew`;
    return refusal(message, null);
  });
}
