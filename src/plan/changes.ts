import { canonicalSource } from './canonical.ts';
import { type Expression, walk } from './expression.ts';
import { columnType, Identities } from './identity.ts';
import type { EventFeature, EventType, Feature, Plan } from './plan.ts';
import { type Field, type Type, typeName } from './value.ts';
import { isTiled } from './window.ts';
import { writtenText } from './written.ts';

/** What definitions change of other ones, by meaning: what only stands elsewhere or is written otherwise is no change. */
export interface Changes {
  events: EventTypeChange[];
  /** Those that events are answered with, and those that are looked up by key. */
  features: DefinitionChange[];
}

export interface EventTypeChange {
  change: 'added' | 'deleted' | 'redefined';
  name: string;
  /** What of it is another: `input carrier: string, added`. */
  what: string[];
}

export interface DefinitionChange {
  /** `redefined`: what its author wrote means something else. `dirtied`: only what it stands on does. */
  change: 'added' | 'deleted' | 'renamed' | 'redefined' | 'dirtied';
  name: string;
  /** What a renamed one was called. */
  was: string | null;
  type: Type;
  /** The text that it is made of, and that it was made of where it is redefined. */
  description: string;
  descriptionWas: string | null;
  /** Of a dirtied one: itself, what of that it is made of is another, and so on to what was redefined. */
  chain: string[];
}

/**
 *   1. nodes    of both: whatever has a name and means something, with what is written of it and what it directly stands on
 *   2. compare  features by identity (identity.ts): added, deleted, renamed; of those that are others, whether what is written is
 *   3. chain    of the dirtied ones, the shortest way down to what is another in itself
 */
export function changesOf(before: Plan, after: Plan): Changes {
  const sides = { before: nodesOf(before), after: nodesOf(after) };
  return { events: eventTypeChanges(before, after), features: featureChanges(sides) };
}

interface Sides {
  before: Map<string, Node>;
  after: Map<string, Node>;
}

// --- 1. nodes

interface Node {
  /** Of its value. */
  hash: string;
  written: string;
  /** Names of nodes. */
  madeOf: string[];
  /** Null of what is none: a column that no author has named, what makes events bad. */
  feature: Shown | null;
}

/** A feature as it is given out: with what is said to be wrong with it, where it is of an event. */
interface Shown {
  type: Type;
  description: string;
  hash: string;
  written: string;
  madeOf: string[];
}

const LATENESS = 'lateness';

function nodesOf(plan: Plan): Map<string, Node> {
  const identities = new Identities(plan);
  const nodes = new Map<string, Node>();
  const lateness = String(plan.latenessMs);
  nodes.set(LATENESS, { hash: lateness, written: lateness, madeOf: [], feature: null });
  for (const event of plan.events) {
    const { hash } = identities.event(event.name);
    nodes.set(eventNode(event.name), { hash, written: hash, madeOf: [], feature: null });
    for (const { name } of [...event.inputs, ...event.columns])
      nodes.set(`${event.name}.${name}`, columnNode(name, event, identities));
  }
  for (const feature of plan.features) nodes.set(feature.name, lookupNode(feature, identities));
  return nodes;
}

/** Of an event type itself: its name alone is a part of what it has. */
function eventNode(event: string): string {
  return `event ${event}`;
}

function columnNode(name: string, event: EventType, identities: Identities): Node {
  const { plan } = identities;
  const column = event.columns.find(one => one.name === name);
  const feature = event.features?.find(one => one.column === name);
  const node = {
    hash: identities.column(event.name, name).hash,
    written: writtenText(column?.expression ?? canonicalSource(name, event), plan),
    madeOf: [eventNode(event.name), ...(column ? partsOf([column.expression], event.name, plan) : [])],
  };
  return { ...node, feature: feature ? shownOf(node, feature, event, identities) : null };
}

function shownOf(
  { written, madeOf }: Omit<Node, 'feature'>,
  feature: EventFeature,
  event: EventType,
  identities: Identities,
): Shown {
  const { column, description, error } = feature;
  const wrong = error ? partsOf([error], event.name, identities.plan) : [];
  return {
    ...{ type: columnType(event, column), description, hash: identities.eventFeature(event.name, feature).hash },
    written: `${written} ${writtenText(error, identities.plan)}`,
    madeOf: [...madeOf, ...wrong.filter(part => part !== `${event.name}.${column}`)],
  };
}

/** As who looks it up by key sees it, and who replays events of its set's type. */
function lookupNode(feature: Feature, identities: Identities): Node {
  const { plan } = identities;
  const { expression, description } = feature;
  const set = plan.sets.find(({ name }) => name === feature.set);
  const replayed = set ? identities.replayed(feature, set.event, set.keys).hash : '';
  const node = {
    hash: identities.feature(feature).hash + replayed,
    written: writtenText([expression, set && [set.event, set.keys]], plan),
    madeOf: [...partsOf([expression], null, plan), ...(set ? partsOf(set.keys, set.event, plan) : [])],
  };
  return { ...node, feature: { ...node, type: expression.type, description } };
}

/** @param event whose scope they are in; null for that of an entity, whose columns are features */
function partsOf(expressions: Expression[], event: string | null, plan: Plan): string[] {
  const parts = new Set<string>();
  const seen = new Set<string>();
  const visit = (expression: Expression, scope: string | null): void =>
    walk(expression, node => {
      if (node.kind === 'column') parts.add(scope === null ? node.name : `${scope}.${node.name}`);
      if (node.kind !== 'read') return;
      const { aggregate: name, window } = node.read;
      if (isTiled(window)) parts.add(LATENESS);
      if (seen.has(name)) return;
      seen.add(name);
      const { event: writer, keys, where, fn } = plan.aggregates.find(one => one.name === name)!;
      parts.add(eventNode(writer));
      for (const part of [...keys, ...(where ? [where] : []), ...fn.args]) visit(part, writer);
    });
  for (const expression of expressions) visit(expression, event);
  return [...parts];
}

// --- 2. compare

/** In the order of `after`, what is deleted behind it. */
function featureChanges(sides: Sides): DefinitionChange[] {
  const { before, after } = sides;
  const gone = new Map([...before].filter(([name, { feature }]) => feature && !after.get(name)?.feature));
  const changes: DefinitionChange[] = [];
  for (const [name, node] of after) {
    const was = before.get(name);
    if (!node.feature || was?.feature?.hash === node.feature.hash) continue;
    if (was?.feature) changes.push(otherwise(name, sides));
    else changes.push(isNew(name, node.feature, gone));
  }
  for (const [name, { feature }] of gone) changes.push({ ...PLAIN, change: 'deleted', name, ...textsOf(feature!) });
  return changes;
}

const PLAIN = { was: null, descriptionWas: null, chain: [] };

/** Unless it only has another name: of several that mean the same it is the one that is called alike in its set or event. */
function isNew(name: string, shown: Shown, gone: Map<string, Node>): DefinitionChange {
  const same = [...gone].filter(([, other]) => other.feature!.hash === shown.hash).map(([other]) => other);
  const was = same.find(other => ownName(other) === ownName(name)) ?? same[0];
  if (was === undefined) return { ...PLAIN, change: 'added', name, ...textsOf(shown) };
  gone.delete(was);
  return { ...PLAIN, change: 'renamed', name, was, ...textsOf(shown) };
}

/** `shops:n_1h` and `login.n_1h` -> `n_1h` */
function ownName(name: string): string {
  return name.slice(name.search(/[.:]/) + 1);
}

function otherwise(name: string, sides: Sides): DefinitionChange {
  const [was, now] = [sides.before.get(name)!.feature!, sides.after.get(name)!.feature!];
  const chain = was.written === now.written ? chainOf(name, now, sides) : [];
  const isDirtied = chain.length > 1;
  const descriptionWas = isDirtied ? null : was.description;
  return { ...PLAIN, change: isDirtied ? 'dirtied' : 'redefined', name, ...textsOf(now), descriptionWas, chain };
}

function textsOf({ type, description }: Shown): Pick<DefinitionChange, 'type' | 'description'> {
  return { type, description };
}

// --- 3. chain

/** The first found is the shortest; what no author has written is called after what it belongs to. */
function chainOf(name: string, { madeOf }: Shown, { before, after }: Sides): string[] {
  const isOther = (part: string) => before.get(part)?.hash !== after.get(part)?.hash;
  const ways = madeOf.filter(isOther).map(part => [name, part]);
  const seen = new Set(ways.map(way => way[1]));
  for (const way of ways) {
    const last = way.at(-1)!;
    if (before.get(last)?.written !== after.get(last)?.written) return named(way);
    for (const part of after.get(last)?.madeOf ?? []) {
      if (seen.has(part) || !isOther(part)) continue;
      seen.add(part);
      ways.push([...way, part]);
    }
  }
  return [];
}

function named(way: string[]): string[] {
  const names = way.map(part => part.replace(/\$.*$/, ''));
  return names.filter((part, i) => part !== names[i - 1]);
}

// --- event types

function eventTypeChanges(before: Plan, after: Plan): EventTypeChange[] {
  const [old, now] = [new Identities(before), new Identities(after)];
  const was = new Map(before.events.map(event => [event.name, event]));
  const changes = after.events.flatMap((event): EventTypeChange[] => {
    const { name } = event;
    const other = was.get(name);
    if (!other) return [{ change: 'added', name, what: event.inputs.map(input => inputText(input)) }];
    const what = eventDifferences(other, event, old.event(name).hash === now.event(name).hash);
    return what.length > 0 ? [{ change: 'redefined', name, what }] : [];
  });
  const gone = before.events.filter(({ name }) => !after.events.some(event => event.name === name));
  return [...changes, ...gone.map(({ name }): EventTypeChange => ({ change: 'deleted', name, what: [] }))];
}

function eventDifferences(before: EventType, after: EventType, isSame: boolean): string[] {
  const differences = after.inputs.flatMap(input => {
    const was = before.inputs.find(({ name }) => name === input.name);
    if (!was) return `input ${inputText(input)}, added`;
    const [old, now] = [before, after].map(event => JSON.stringify(canonicalSource(input.name, event)));
    return old === now ? [] : `input ${inputText(input)}, was ${inputText(was)}`;
  });
  const gone = before.inputs.filter(({ name }) => !after.inputs.some(input => input.name === name));
  const inputs = [...differences, ...gone.map(input => `input ${inputText(input)}, deleted`)];
  if (inputs.length > 0 || isSame) return inputs;
  return ['what makes an event of it bad, or how its rows change'];
}

function inputText({ name, type, path, presence }: Field): string {
  const rest = presence.kind === 'default' ? 'default' : presence.kind === 'optional' ? 'optional' : null;
  const from = path.join('.') === name ? [] : [`from ${path.join('.')}`];
  return [`${name}: ${typeName(type)}`, ...(rest ? [rest] : []), ...from].join(' ');
}
