import { createHash } from 'node:crypto';
import { aggregateHash, canonicalSource, eventFeatureMeaning } from './canonical.ts';
import { walk } from './expression.ts';
import { columnType } from './identity.ts';
import type { EventFeature, EventType, Plan } from './plan.ts';
import type { Type } from './value.ts';
import { writtenText } from './written.ts';

/** What becomes of a feature that events are answered with: all of them are computed anew for each event, so nothing is WARMING but what they read. */
export interface EventFeatureChange {
  /** `redefined`: what its author wrote means something else. `dirtied`: only what it stands on does. */
  change: 'added' | 'removed' | 'redefined' | 'dirtied';
  /** `event.feature` */
  name: string;
  type: Type;
  description: string;
  /** What dirties it: features of its event, and events that write what it reads. */
  through: string[];
}

interface Answered {
  event: EventType;
  feature: EventFeature;
  type: Type;
  meaning: string;
}

/** In the order of `after`, what is removed behind it. */
export function eventChanges(before: Plan, after: Plan): EventFeatureChange[] {
  const [old, now] = [answeredBy(before), answeredBy(after)];
  const isOther = (name: string) => old.has(name) && old.get(name)!.meaning !== now.get(name)?.meaning;
  const changed = [...now].flatMap(([name, answered]): EventFeatureChange[] => {
    const was = old.get(name);
    const { type, feature } = answered;
    const of = { name, type, description: feature.description, through: [] };
    if (!was) return [{ change: 'added', ...of }];
    if (!isOther(name)) return [];
    if (ownText(was, before) !== ownText(answered, after)) return [{ change: 'redefined', ...of }];
    return [{ change: 'dirtied', ...of, through: causesOf(answered, after, isOther, before) }];
  });
  const removed = [...old].flatMap(([name, { type, feature }]): EventFeatureChange[] =>
    now.has(name) ? [] : [{ change: 'removed', name, type, description: feature.description, through: [] }],
  );
  return [...changed, ...removed];
}

function answeredBy(plan: Plan): Map<string, Answered> {
  const answered = new Map<string, Answered>();
  for (const event of plan.events)
    for (const feature of event.features ?? []) {
      const type = columnType(event, feature.column);
      const meaning = eventFeatureMeaning(event, feature, type, plan);
      const hash = createHash('sha256').update(JSON.stringify(meaning)).digest('hex');
      answered.set(`${event.name}.${feature.column}`, { event, feature, type, meaning: hash });
    }
  return answered;
}

/** What its author wrote of it. */
function ownText({ event, feature }: Answered, plan: Plan): string {
  const column = event.columns.find(({ name }) => name === feature.column);
  return writtenText(column?.expression ?? canonicalSource(feature.column, event), plan);
}

function causesOf(
  { event, feature }: Answered,
  plan: Plan,
  isOther: (name: string) => boolean,
  before: Plan,
): string[] {
  const causes = new Set<string>();
  const column = event.columns.find(({ name }) => name === feature.column);
  if (!column) return [];
  const meaningOf = (name: string, of: Plan) => {
    const aggregate = of.aggregates.find(each => each.name === name);
    return aggregate && aggregateHash(aggregate, of);
  };
  walk(column.expression, node => {
    if (node.kind === 'column' && isOther(`${event.name}.${node.name}`)) causes.add(`${event.name}.${node.name}`);
    if (node.kind !== 'read') return;
    const { aggregate } = node.read;
    const writer = plan.aggregates.find(({ name }) => name === aggregate)!.event;
    if (meaningOf(aggregate, plan) !== meaningOf(aggregate, before)) causes.add(writer);
  });
  return [...causes];
}
