/**
 * What has to hold of every aggregate's states, whatever definitions and events made them: rows do not show in which
 * order or in which groups changes were merged; each has one encoding, which is protobuf's; what is taken back leaves
 * nothing behind.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'bun:test';
import { ChangeBatchSchema } from '../../src/gen/tilefold/v1/change_pb.ts';
import {
  FeaturesCombinedCompatibleSchema,
  type FeatureValue,
  FeatureValueSchema,
} from '../../src/gen/tilefold/v1/row_pb.ts';
import { select } from '../../src/ingest/advance.ts';
import type { FoldedRow } from '../../src/kernel/folded_row.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { changes, spellChanges } from '../../src/kernel/change.ts';
import { tile } from '../../src/kernel/tile.ts';
import { type AggregateName, LINEAR, type Plan } from '../../src/plan/plan.ts';
import { INT64 } from '../../src/plan/value.ts';
import { countedIds } from '../sim/engine.ts';
import { column } from '../oracle/fixtures/spell.ts';
import { Random } from '../sim/random.ts';
import { seedLots } from '../seeds.ts';
import { NEVER_MS } from '../kernel/columns.ts';
import { withoutTaken } from '../kernel/naive_row.ts';
import { randomCase } from './case.ts';
import { compileDefinitions } from './definitions.ts';

const SEEDS_PER_TEST = 10;
const TIMEOUT_MS = 300_000;
/** Other seeds than those of proof.test.ts. */
const FIRST_SEED = 100_000;

const LOTS = seedLots(60, 3_000, SEEDS_PER_TEST).map(lot => ({ first: FIRST_SEED + lot[0]! - 1, lot }));

/** A fold in a kernel of its own; `empty` lets go of all that it holds. */
async function newFold(): Promise<{ fold: Fold; empty: () => Fold }> {
  const fold = new Fold(await loadKernel(), () => null);
  const empty = () => {
    fold.settle();
    fold.evict(0);
    return fold;
  };
  return { fold, empty };
}

const { empty } = await newFold();

/** Of each record the changes that it makes by itself, and those of all records at once. */
async function changesOf(
  plan: Plan,
  maxJumpMs: number,
  lines: string[],
): Promise<{ each: Uint8Array[]; all: Uint8Array[] }> {
  const clock = { kind: 'event', maxJumpMs } as const;
  const layout = layPlan(await loadKernel(), plan, countedIds(plan), { clock, aheadMaxMs: 0, shards: 1 });
  const decoder = new Decoder(layout.kernel, layout.types);
  const out: { each: Uint8Array[]; all: Uint8Array[] } = { each: [], all: [] };
  decoder.fill(new TextEncoder().encode(lines.map(line => `${line}\n`).join('')));
  for (let position = 0; decoder.next(position, null); position += decoder.count) {
    select(layout);
    for (let record = 0; record < decoder.count; record++) {
      tile(layout.kernel, record, record + 1);
      spellChanges(layout.kernel);
      out.each.push(changes(layout.kernel, 0).slice());
    }
    tile(layout.kernel, 0, decoder.count);
    spellChanges(layout.kernel);
    out.all.push(changes(layout.kernel, 0).slice());
  }
  return out;
}

function folded(batches: Uint8Array[]): FoldedRow[] {
  const fold = empty();
  for (const batch of batches) fold.apply(batch);
  return fold.dirtyRows();
}

function asChanges(rows: FoldedRow[]): Uint8Array {
  const list = rows.map(({ entity, key, levelMs, tileStartMs, value }) => ({
    ...{ entity, key: new Uint8Array(key), level: BigInt(levelMs), tileStart: BigInt(tileStartMs) },
    features: new Uint8Array(value),
  }));
  return toBinary(ChangeBatchSchema, create(ChangeBatchSchema, { changes: list }));
}

function told(rows: FoldedRow[]): Map<string, string> {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  return new Map(
    rows.map(({ entity, key, levelMs, tileStartMs, value }) => [
      `${entity} ${hex(key)} ${levelMs} ${tileStartMs}`,
      hex(value),
    ]),
  );
}

/** In groups of any size, whose rows are merged in any order, pair by pair. */
function foldedInGroups(batches: Uint8Array[], random: Random): FoldedRow[] {
  const groups: Uint8Array[] = [];
  for (let left = batches; left.length > 0; ) {
    const count = 1 + random.below(Math.max(1, Math.ceil(batches.length / 4)));
    groups.push(asChanges(folded(left.slice(0, count))));
    left = left.slice(count);
  }
  while (groups.length > 1) {
    const [one] = groups.splice(random.below(groups.length), 1);
    const [other] = groups.splice(random.below(groups.length), 1);
    groups.push(asChanges(folded([one!, other!])));
  }
  return folded(groups);
}

function shuffled<T>(list: T[], random: Random): T[] {
  const left = [...list];
  return list.map(() => left.splice(random.below(left.length), 1)[0]!);
}

test.each(LOTS)(
  'merges are associative and commutative to the bit, updates know no order, states have one encoding; seeds from $first',
  async ({ first, lot }) => {
    for (let seed = first; seed < first + lot.length; seed++) {
      const random = new Random(seed);
      const of = await randomCase(seed);
      const { plan } = await compileDefinitions(of.definitions);
      const { each, all } = await changesOf(plan, of.clock.maxJumpMs, of.lines);
      const rows = folded(all);
      const wanted = told(rows);
      expect([seed, told(folded(each))]).toEqual([seed, wanted]);
      expect([seed, told(folded(shuffled(each, random)))]).toEqual([seed, wanted]);
      expect([seed, told(foldedInGroups(each, random))]).toEqual([seed, wanted]);
      expect([seed, told(foldedInGroups(shuffled(each, random), random))]).toEqual([seed, wanted]);
      // A state that is read and written again is the same bytes, by the kernel as by protobuf.
      expect([seed, told(folded([asChanges(rows)]))]).toEqual([seed, wanted]);
      for (const { value } of rows) {
        const message = fromBinary(FeaturesCombinedCompatibleSchema, value);
        const bytes = toBinary(FeaturesCombinedCompatibleSchema, message);
        expect([seed, Buffer.from(bytes).toString('hex')]).toEqual([seed, Buffer.from(value).toString('hex')]);
      }
    }
  },
  TIMEOUT_MS,
);

/** What weighs an event, +1 or -1. */
const WEIGHT = 'weighs';

/**
 * Their states say of a value that was taken back that it is there 0 times, for how many values there were decides on
 * OVERFLOW. That their values are those of what is left is proof.test.ts' business, as is every value over a changelog.
 */
const REMEMBER: ReadonlySet<AggregateName> = new Set([
  'countUnique',
  'mode',
  'topK',
  'valueCounts',
  'bucketCounts',
  'quantile',
]);

/** The plan over changelogs: with what cannot be taken back left out, and what remembers it. */
function weighted(plan: Plan): Plan {
  const weight = { name: WEIGHT, path: [WEIGHT], type: INT64, presence: { kind: 'default' as const, value: 1n } };
  // A changelog says by itself what its rows weigh.
  const events = plan.events.map(({ changelog: _, ...event }) => ({
    ...event,
    inputs: [...event.inputs, weight],
    weight: column(WEIGHT, INT64),
  }));
  const aggregates = plan.aggregates.filter(({ fn }) => LINEAR[fn.name] && !REMEMBER.has(fn.name));
  const isKept = (read: string) => aggregates.some(({ name }) => name === read);
  const features = plan.features.filter(
    ({ expression }) => expression.kind === 'read' && isKept(expression.read.aggregate),
  );
  return { ...plan, events, aggregates, features };
}

const START = '"data":{';

/** Lines that are records, and that a weight can be put into. */
function weighable(line: string): boolean {
  try {
    JSON.parse(line);
  } catch {
    return false;
  }
  return line.startsWith('{"type":"event') && line.includes('"time":') && line.includes(START);
}

function weighing(lines: string[], weight: number): string[] {
  return lines.map(line =>
    line.replace(START, `${START}"${WEIGHT}":${weight}${line.includes(`${START}}`) ? '' : ','}`),
  );
}

const OVERFLOWN = 'overflown';

/** A state's bytes; without values that were taken back as often as they came, which it remembers (assembly/counts.ts). */
function stateText(value: FeatureValue): string {
  const { state } = value;
  if (state.case === 'counts' && state.value.overflown !== undefined) return OVERFLOWN;
  return Buffer.from(toBinary(FeatureValueSchema, withoutTaken(value))).toString('hex');
}

/** Of rows, each entry by its address and id. */
function entriesOf(rows: FoldedRow[]): Map<string, { id: number; state: string }> {
  const entries = new Map<string, { id: number; state: string }>();
  for (const row of rows) {
    const [address] = told([row]).keys();
    for (const { key: id, value } of fromBinary(FeaturesCombinedCompatibleSchema, row.value).features)
      entries.set(`${address} ${id}`, {
        id,
        state: stateText(value!),
      });
  }
  return entries;
}

test.each(LOTS)(
  'what is taken back leaves nothing behind; seeds from $first',
  async ({ first, lot }) => {
    for (let seed = first; seed < first + lot.length; seed++) {
      const random = new Random(seed);
      const of = await randomCase(seed);
      const plan = weighted((await compileDefinitions(of.definitions)).plan);
      if (plan.aggregates.length === 0) continue;
      const lines = of.lines.filter(weighable);
      const [kept, taken] = [lines.filter((_, i) => i % 3 > 0), lines.filter((_, i) => i % 3 === 0)];
      const all = [...weighing(kept, 1), ...weighing(taken, 1), ...weighing(taken, -1)];
      // None of it is too late, or too far ahead, the second time.
      const { each } = await changesOf({ ...plan, latenessMs: NEVER_MS / 1e3 }, NEVER_MS, all);
      const before = entriesOf(folded(each.slice(0, kept.length)));
      const rows = folded(each);
      expect([seed, told(folded(shuffled(each, random)))]).toEqual([seed, told(rows)]);
      // What only the taken ones touched is as nothing: one encoding for each aggregate.
      const nothing = new Map<number, string>();
      const after = entriesOf(rows);
      for (const [place, { id, state }] of after) {
        // A bound on values holds for those that were taken back, too, in whatever order that was.
        if (state === OVERFLOWN) continue;
        const wanted = before.get(place)?.state ?? nothing.get(id) ?? state;
        if (!before.has(place)) nothing.set(id, state);
        expect([seed, place, state]).toEqual([seed, place, wanted]);
      }
      for (const place of before.keys()) expect([seed, place, after.has(place)]).toEqual([seed, place, true]);
    }
  },
  TIMEOUT_MS,
);
