import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { wholeFrom } from './catalogue.ts';
import type { Expression } from './expression.ts';
import { windowKnown } from './known.ts';
import type { EventType, Feature, Plan } from './plan.ts';
import { type InForce, pairsOf, planOnly, type Transition } from './transition.ts';
import { isTiled, readsOf } from './window.ts';

/**
 * The plan in force with what another one begins, which is made beside it until that one takes over:
 *
 *   - features and sets are those in force: nobody sees a difference
 *   - aggregates are those in force, and those that the next plan has and this one has not; where a name is taken, as
 *     `set:name@next`
 *   - the windows of the next plan are read by features without a set, so that their tiles are kept
 *
 * From here the next plan takes over as from any other: what it calls `set:name` has the states of `set:name@next`, and so
 * has been renamed.
 */
export function planBeside(current: Plan, next: Plan): { plan: Plan; refusals: Fault[] } {
  const pairs = pairsOf(current, next);
  const taken = new Set(current.aggregates.map(({ name }) => name));
  const begun = next.aggregates.filter(aggregate => !pairs.has(aggregate));
  const besideName = (name: string) => (taken.has(name) ? `${name}@next` : name);
  const names = new Map(next.aggregates.map(one => [one.name, pairs.get(one)?.name ?? besideName(one.name)]));
  const known = new Set(current.entities.map(({ name }) => name));
  const events = current.events.map(event => {
    const other = next.events.find(({ name }) => name === event.name);
    return other ? withInputs(event, other) : event;
  });
  const plan: Plan = {
    ...current,
    events: [...events, ...next.events.filter(({ name }) => !current.events.some(event => event.name === name))],
    entities: [...current.entities, ...next.entities.filter(({ name }) => !known.has(name))],
    aggregates: [...current.aggregates, ...begun.map(one => ({ ...one, name: names.get(one.name)! }))],
    features: [...current.features, ...readers(current, next, names)],
  };
  return { plan, refusals: refusalsOf(current, next) };
}

/** What reads the windows of the next plan's aggregates, under the names that these have beside it, where nothing else does. */
function readers(current: Plan, next: Plan, names: Map<string, string>): Feature[] {
  return planOnly(next, new Set(names.keys())).features.flatMap(feature => {
    const { expression } = feature;
    assert(expression.kind === 'read', 'a plan of aggregates alone has features that read them');
    const aggregate = names.get(expression.read.aggregate)!;
    const window = textOf(expression.read.window);
    if (readsOf(aggregate, current).some(read => textOf(read.window) === window)) return [];
    const read = { ...expression.read, aggregate };
    // No name of a definition has two of these.
    return { ...feature, name: `${feature.name}@next`, expression: { ...expression, read } };
  });
}

/**
 * A plan that keeps the tiles too which the one before it reads of the aggregates that go on: it takes over, and the other
 * one is still asked.
 */
export function withReadsOf({ plan: before, members: were }: InForce, { plan, members }: InForce): Plan {
  const names = new Map([...members].map(([name, { id }]) => [id, name]));
  const read = before.aggregates.flatMap(({ name: wasCalled, entity, type }) => {
    const name = names.get(were.get(wasCalled)!.id);
    if (name === undefined) return [];
    const known = readsOf(name, plan).map(({ window }) => textOf(window));
    return readsOf(wasCalled, before).flatMap(({ window }, i): Feature[] => {
      if (known.includes(textOf(window))) return [];
      const read = { aggregate: name, window, keys: null, after: null, exclusive: false };
      const expression: Expression = { kind: 'read', type, read, at: null };
      // No name of a definition has two of these.
      return [{ name: `${name}@before${i}`, set: name, entity: entity!, expression, description: '', at: null }];
    });
  });
  return { ...plan, features: [...plan.features, ...read] };
}

/** Events are judged by both declarations meanwhile. */
function withInputs(event: EventType, other: EventType): EventType {
  const inputs = other.inputs.filter(({ name }) => !event.inputs.some(input => input.name === name));
  const columns = other.columns.filter(({ name }) => !event.columns.some(column => column.name === name));
  return { ...event, inputs: [...event.inputs, ...inputs], columns: [...event.columns, ...columns] };
}

function refusalsOf(current: Plan, next: Plan): Fault[] {
  const refusals: Fault[] = [];
  const instead = '--backfill or --since-now takes them over at once';
  if (current.latenessMs !== next.latenessMs)
    refusals.push(new Fault('conflict', `lateness cannot change while definitions wait: ${instead}`));
  for (const event of next.events) {
    const before = current.events.find(({ name }) => name === event.name);
    const changed = before && changedMember(before, event);
    if (!changed) continue;
    const message = `${changed} of event ${event.name} would be read in two ways while definitions wait: ${instead}`;
    refusals.push(new Fault('conflict', message, event.at));
  }
  return refusals;
}

/** What two declarations of an event type say differently; null where all that both have is the same. */
function changedMember(before: EventType, after: EventType): string | null {
  for (const list of ['inputs', 'columns'] as const)
    for (const one of after[list]) {
      const was = before[list].find(({ name }) => name === one.name);
      if (was && textOf(was) !== textOf(one)) return `${list === 'inputs' ? 'input' : 'column'} ${one.name}`;
    }
  const rest = ({ features, onFault, weight, changelog }: EventType) => textOf([features, onFault, weight, changelog]);
  return rest(before) === rest(after) ? null : 'the changes';
}

/** Where something stands says nothing of it. */
function textOf(node: unknown): string {
  return JSON.stringify(node ?? null, (name, value: unknown) => {
    if (name === 'at') return undefined;
    return typeof value === 'bigint' ? `${value}n` : value;
  });
}

/**
 * From when on all windows are whole that a transition has begun; null where it has begun none that are not.
 *
 * @param before the members that it has started from
 */
export function warmFrom(
  plan: Plan,
  { members, added, extended }: Transition,
  before: InForce['members'],
): bigint | null {
  let latest: bigint | null = null;
  for (const name of [...added, ...extended]) {
    const aggregate = plan.aggregates.find(one => one.name === name)!;
    const was = before.get(name)?.known;
    for (const { window } of readsOf(name, plan)) {
      const since = windowKnown(members.get(name)!.known, window)?.sinceMicros ?? null;
      if (!isTiled(window) || since === null || (was && windowKnown(was, window)?.sinceMicros === since)) continue;
      const warm = wholeFrom(window, aggregate, since);
      if (latest === null || warm > latest) latest = warm;
    }
  }
  return latest;
}
