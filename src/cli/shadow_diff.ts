import { Fault } from '../base/fault.ts';
import { formatMicros } from '../base/time.ts';
import { cellJson, keyJson } from '../http/columnar.ts';
import { type KeyInput, keyTexts } from '../kernel/key.ts';
import type { FeatureColumn } from '../kernel/feature_column.ts';
import { STATUS } from '../kernel/window.ts';
import type { Entity, Feature } from '../plan/plan.ts';
import { sameType, typeName } from '../plan/value.ts';
import type { AnswerColumn } from '../read/read.ts';
import { lineCount } from '../source/segment.ts';
import { Tail } from '../source/tail.ts';
import { readableLog } from './alone/event_log.ts';
import type { Config } from './config.ts';
import { groupKeys } from './lookup.ts';
import { type StillRows, stillNow, stillRows, stillShadow } from './shadow_rows.ts';

/** Records that a shadow may be behind: they are folded in memory for the comparison, some tenths of a second. */
const BEHIND_MAX = 200_000;

/** Keys are looked up together, so many at a time. */
const KEYS_AT_ONCE = 500;

/** Of values that differ so many are shown for each feature. */
const SHOWN_MAX = 3;

/** What became of one feature, over all keys that were compared. */
export interface FeatureDiff {
  feature: string;
  compared: number;
  same: number;
  differing: number;
  /** They differ, and one of the two knows less of the log: that tells nothing of their definitions. */
  warming: number;
  /** Of those that tell something, how many are the same; null where none do. */
  match_rate: number | null;
  /** The first few that differ. */
  examples: { key: string | string[]; served: string; shadow: string }[];
}

export interface ShadowDiff {
  /** Both are compared as of the last record before it, and at this moment. */
  position: number;
  time: string;
  /** Of each entity, how many were looked up in both. */
  keys: Record<string, number>;
  features: FeatureDiff[];
  /** Why what only one of them has, or has otherwise, is not compared. */
  not_compared: { feature: string; why: string }[];
}

/**
 * Compares the values of a shadow with those that are served, feature by feature of the same name, at one position and moment.
 * Both are only read: what is served goes on meanwhile.
 *
 *   1. hold      the shadow's rows as they are, then those that are served: these are not behind
 *   2. catch up  what the shadow lacks is folded in memory, and never written
 *   3. sample    keys of either, the same ones each time
 *   4. compare   what both answer
 *
 * @param names features to compare, or null for all
 * @throws Fault `busy` where the shadow is far behind, or rows are being folded anew
 */
export async function diffShadow(
  config: Config,
  name: string,
  { keysMax, names }: { keysMax: number; names: string[] | null },
): Promise<ShadowDiff> {
  const shadow = await stillShadow(config, name);
  const served = await stillRows(config).catch((error: unknown) => {
    shadow.close();
    throw error;
  });
  try {
    await catchUp(config, name, shadow, served.position);
    const nowMicros = stillNow(config, served);
    const { pairs, notCompared } = pairsOf(served, shadow, names);
    const keys: ShadowDiff['keys'] = {};
    const features: FeatureDiff[] = [];
    for (const [entity, of] of Map.groupBy(pairs, feature => feature.entity)) {
      const sample = sampleKeys([served, shadow], entity, keysMax);
      keys[entity] = sample.length;
      features.push(...compareKeys({ served, shadow, nowMicros }, entity, of, sample));
    }
    const position = served.position;
    return { position, time: formatMicros(nowMicros), keys, features, not_compared: notCompared };
  } finally {
    served.close();
    shadow.close();
  }
}

async function catchUp(config: Config, name: string, shadow: StillRows, until: number): Promise<void> {
  if (shadow.position > until)
    throw new Fault(
      'busy',
      `shadow ${name} contains ${shadow.position} records, and the rows that are served ${until}`,
    );
  if (until - shadow.position > BEHIND_MAX)
    throw new Fault(
      'busy',
      `shadow ${name} is ${until - shadow.position} records behind: \`tilefold shadow run ${name}\``,
    );
  let position = shadow.position;
  for await (const { bytes, arrivalMicros } of new Tail(readableLog(config), config.log.dir).read(position, until)) {
    const from = position;
    position += lineCount(bytes);
    await shadow.engine.fold(bytes, from, arrivalMicros, position < until);
  }
}

/** Features that both have, of one entity and type. */
function pairsOf({ plan }: StillRows, shadow: StillRows, names: string[] | null) {
  const asked = (one: Feature) => names === null || names.some(name => name === one.name || name === `${one.set}:*`);
  const inSets = ({ sets, features }: StillRows['plan']) =>
    features.filter(one => sets.some(set => set.name === one.set) && asked(one));
  const [ours, theirs] = [inSets(plan), inSets(shadow.plan)];
  if (names !== null && theirs.length === 0)
    throw new Fault('not_found', `no feature of the shadow is called ${names.join(' or ')}`);
  const pairs: Feature[] = [];
  const notCompared: ShadowDiff['not_compared'] = [];
  for (const feature of theirs) {
    const other = ours.find(one => one.name === feature.name);
    const why = other ? whyNot(other, feature) : 'is not served';
    if (why === null) pairs.push(feature);
    else notCompared.push({ feature: feature.name, why });
  }
  for (const { name } of ours)
    if (!theirs.some(one => one.name === name)) notCompared.push({ feature: name, why: 'is not in the shadow' });
  return { pairs, notCompared };
}

function whyNot(served: Feature, shadow: Feature): string | null {
  if (served.entity !== shadow.entity) return `is of ${served.entity}, and of ${shadow.entity} in the shadow`;
  const [type, other] = [served.expression.type, shadow.expression.type];
  return sameType(type, other) ? null : `is a ${typeName(type)}, and a ${typeName(other)} in the shadow`;
}

/** Keys of an entity in the order of their hashes, the first so many of them: the same ones each time, from anywhere. */
function sampleKeys(rows: StillRows[], name: string, keysMax: number): KeyInput[] {
  const least = new Map<string, bigint>();
  for (const { store, layout } of rows) {
    const entity = layout.ids.entities.get(name)!;
    let last = '';
    for (const row of store.scan({
      entity,
      key: new Uint8Array(0),
      levelMs: 0,
      tileStartMs: Number.MIN_SAFE_INTEGER,
    })) {
      if (row.entity !== entity) break;
      const key = Buffer.from(row.key).toString('latin1');
      if (key === last) continue;
      last = key;
      least.set(key, Bun.hash.wyhash(row.key));
      if (least.size > 2 * keysMax + KEYS_AT_ONCE) keepLeast(least, keysMax);
    }
  }
  keepLeast(least, keysMax);
  const entity = rows[0]!.plan.entities.find(one => one.name === name)!;
  return [...least.keys()].map(key => keyOf(entity, Buffer.from(key, 'latin1')));
}

function keepLeast(hashes: Map<string, bigint>, count: number): void {
  const sorted = [...hashes].sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0));
  for (const [key] of sorted.slice(count)) hashes.delete(key);
}

function keyOf(entity: Entity, bytes: Uint8Array): KeyInput {
  const texts = keyTexts(entity, bytes).map((text, i) => (entity.keys[i]!.kind === 'time' ? timeText(text) : text));
  return groupKeys(entity, texts)[0]!;
}

function timeText(digits: string): string {
  return formatMicros(BigInt(digits));
}

function compareKeys(
  { served, shadow, nowMicros }: { served: StillRows; shadow: StillRows; nowMicros: bigint },
  entity: string,
  features: Feature[],
  keys: KeyInput[],
): FeatureDiff[] {
  const diffs = features.map(({ name }): FeatureDiff => {
    return { feature: name, compared: 0, same: 0, differing: 0, warming: 0, match_rate: null, examples: [] };
  });
  const readers = [served, shadow].map(rows =>
    rows.readerAt(
      () => served.position,
      () => nowMicros,
    ),
  );
  for (let from = 0; from < keys.length; from += KEYS_AT_ONCE) {
    const part = keys.slice(from, from + KEYS_AT_ONCE);
    const request = { features: features.map(({ name }) => name), entities: { [entity]: part }, at: null };
    const [ours, theirs] = readers.map(reader => reader.lookup(request).entities[0]!.features);
    for (const diff of diffs) {
      const [one, other] = [ours!, theirs!].map(columns => columns.find(({ name }) => name === diff.feature)!);
      compareColumns(diff, one!, other!, part);
    }
  }
  for (const diff of diffs) {
    const telling = diff.same + diff.differing;
    diff.match_rate = telling === 0 ? null : diff.same / telling;
  }
  return diffs;
}

function compareColumns(diff: FeatureDiff, served: AnswerColumn, shadow: AnswerColumn, keys: KeyInput[]): void {
  const [one, other] = [cellText(served), cellText(shadow)];
  for (const [row, key] of keys.entries()) {
    diff.compared++;
    const [was, is] = [one(row), other(row)];
    if (was === is) diff.same++;
    else if (isWarming(served, row) !== isWarming(shadow, row) || isOtherwiseWarming(served, shadow, row))
      diff.warming++;
    else if (diff.differing++ < SHOWN_MAX)
      diff.examples.push({ key: JSON.parse(keyJson(key)) as string | string[], served: was, shadow: is });
  }
}

/** A value as a lookup's JSON has it, with its status behind it. */
function cellText(column: AnswerColumn): (row: number) => string {
  const cell = cellJson(column);
  return row => [cell(row), STATUS[column.statuses[row]!]].filter(text => text !== null).join(' ');
}

function isOtherwiseWarming(served: AnswerColumn, shadow: AnswerColumn, row: number): boolean {
  return isWarming(served, row) && served.sinceMicros !== shadow.sinceMicros;
}

function isWarming({ statuses }: FeatureColumn, row: number): boolean {
  return STATUS[statuses[row]!] === 'WARMING';
}
