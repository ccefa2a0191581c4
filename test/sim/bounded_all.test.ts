/**
 * The bound of memory holds for the rows of every aggregate, the largest ones too (lists of long texts, sums of doubles of
 * all sizes, counts of many values), for rows that are taken back from, and where rows expire and entities come back long
 * after they have gone: values are those of a run with memory for everything.
 */
import { expect, test } from 'bun:test';
import { LINEAR, type AggregateName, type Plan } from '../../src/plan/plan.ts';
import { planOf } from '../compile/marked.ts';
import { SimulatedDisk } from './disk.ts';
import { memoryDatabase, openEngine, PLENTY_BYTES } from './engine.ts';
import { body } from './flights.ts';
import { valueAt } from './judge.ts';
import { Random } from './random.ts';

const LINEAR_ITEMS = `COUNT(*) AS n, COUNT(s) AS texts, SUM(i) AS i, SUM(d) AS d, AVG(d) AS d_mean,
    VAR_POP(d) AS var_pop, VAR_SAMP(i) AS var_samp, STDDEV_POP(i) AS stddev_pop, STDDEV_SAMP(d) AS stddev_samp,
    COUNT(DISTINCT s) AS kinds, MODE(i) AS mode, TOP_K(s, 3) AS top, HISTOGRAM(i) AS counts,
    BUCKET_COUNTS(d, [-1e9, 0, 1e9]) AS buckets, APPROX_QUANTILE(d, [0.1, 0.9]) AS quantiles`;

const plan: Plan = await planOf(`
events:
  seen: { who: string, i: int64?, d: double?, s: string?, v: { type: [double], optional: true } }
  change: { changelog: { op: op }, op: string, who: string, i: int64?, d: double?, s: string? }
entities: { who: string }
---
feature_set: seens
entity: who
source: seen
windows: [2h, 1d, lifetime]
sql: |
  SELECT who, ${LINEAR_ITEMS},
    MIN(d) AS least, MAX(i) AS most, FIRST(s) AS first_text, LAST(s) AS last_text, LAST_N(s, 40) AS latest, LAST_N(d, 5) AS reals,
    MIN(s, 5) AS least_texts, MAX(d, 5) AS most_reals, FIRST_N(s, 5) AS earliest, LAST_N(DISTINCT s, 5) AS distinct_texts,
    LIST(i, 500) AS all_i, LIST(DISTINCT i, 100) AS set_i, ARG_MAX(s, d) AS text_of_most, ARG_MIN(i, d) AS i_of_least,
    APPROX_COUNT_DISTINCT(s) AS about, VECTOR_AVG(v, 3) AS direction
  FROM seen GROUP BY who
---
feature_set: changes
entity: who
source: change
windows: [2h, 1d, lifetime]
sql: |
  SELECT who, ${LINEAR_ITEMS} FROM change GROUP BY who
---
feature_set: faded
entity: who
source: change
windows: [2h, 1d]
sql: SELECT who, DECAYED_SUM(d, '3h') AS d, DECAYED_COUNT(s, '3h') AS n FROM change GROUP BY who
`);

const STEP = 200;
const SEED = 20010320;
const MINUTE_MS = 60_000;

/** Few of many keys at a time, each back after everybody else has been there. */
const KEYS = 60;
const KEYS_AT_ONCE = 6;

/**
 * Four days. Of changes each row is added, and half of them taken back at once or later; a row that is taken back has the
 * time of its change, and so of another tile now and then.
 */
function linesOf(count: number): Uint8Array[] {
  const random = new Random(SEED);
  const open: string[] = [];
  return Array.from({ length: count }, (_, i) => {
    const stretch = Math.floor((i / count) * 40);
    const who = `key ${(stretch * KEYS_AT_ONCE + random.below(KEYS_AT_ONCE)) % KEYS}`;
    const late = random.chance(0.1) ? random.below(2 * 24 * 60) * MINUTE_MS : 0;
    const time = new Date(Date.UTC(2024, 0, 1) + (i / count) * 4 * 86_400_000 - late).toISOString();
    const text = random.chance(0.5) ? 'x'.repeat(random.below(900)) + random.below(30) : `t${random.below(4)}`;
    const d = random.chance(0.1)
      ? random.pick(['1e300', '-1e300', '5e-324', '1e16'])
      : String(random.next() * 1e6 - 4e5);
    const row = `"who":${JSON.stringify(who)},"i":${random.below(50) - 20},"d":${d},"s":${JSON.stringify(text)}`;
    if (random.chance(0.5))
      return encode(`{"type":"seen","time":"${time}","data":{${row},"v":[1,${random.below(9)},0.5]}}`);
    const takes = open.length > 0 && random.chance(0.4);
    const told = takes ? open.splice(random.below(open.length), 1)[0]! : row;
    if (!takes) open.push(told);
    return encode(`{"type":"change","time":"${time}","data":{"op":"${takes ? '-D' : '+I'}",${told}}}`);
  });
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function fold(lines: Uint8Array[], foldMemoryBytes: number) {
  const settings = { disk: new SimulatedDisk(1), db: memoryDatabase(), foldMemoryBytes, expires: true };
  const engine = await openEngine(plan, settings);
  const [shard] = engine.folds;
  const answers: string[] = [];
  let stateBytesMax = 0;
  const keys = Array.from({ length: KEYS }, (_, i) => `key ${i}`);
  for (let from = 0; from < lines.length; from += STEP) {
    await engine.ingest.post(body(lines.slice(from, from + STEP)), 'ndjson');
    engine.ingest.barrier();
    stateBytesMax = Math.max(stateBytesMax, shard!.stateBytes);
    if (from % (10 * STEP) !== 0) continue;
    const features = plan.sets.map(set => `${set.name}:*`);
    const { entities } = engine.reader.lookup({ features, entities: { who: keys }, at: null });
    for (const column of entities[0]!.features)
      answers.push(
        `${from} ${column.name} ${keys.map((_, row) => `${text(valueAt(column, row))} ${column.statuses[row]}`).join()}`,
      );
  }
  const { loaded, evicted } = shard!;
  const outcome = { answers, stateBytesMax, loaded, evicted, expired: engine.here.expiredRows };
  const memoryBytes = shard!.kernel.exports.memory.buffer.byteLength;
  await engine.close();
  return { ...outcome, memoryBytes };
}

function text(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner));
}

test('every aggregate is there', () => {
  const names = new Set(plan.aggregates.map(({ fn }) => fn.name));
  expect((Object.keys(LINEAR) as AggregateName[]).filter(name => !names.has(name))).toEqual([]);
});

test(`little memory gives the same values, in bounds; seed ${SEED}`, async () => {
  const lines = linesOf(12_000);
  const free = await fold(lines, PLENTY_BYTES);
  expect([free.evicted, free.loaded]).toEqual([0, 0]);
  const bound = Math.floor(free.stateBytesMax / 20);
  const tight = await fold(lines, bound);
  for (const [i, answer] of tight.answers.entries())
    if (answer !== free.answers[i]) expect(answer).toBe(free.answers[i]!);
  expect(tight.answers.length).toBe(free.answers.length);
  expect(tight.evicted).toBeGreaterThan(1000);
  expect(tight.loaded).toBeGreaterThan(1000);
  expect(tight.expired).toBeGreaterThan(500);
  // After a barrier rows have left; what lookups have read stays within the bound too.
  expect(tight.stateBytesMax).toBeLessThanOrEqual(bound);
  const empty = await fold([], bound);
  console.log(
    `${(free.stateBytesMax / 2 ** 20).toFixed(1)} MiB of rows in ${(free.memoryBytes / 2 ** 20).toFixed(1)} MiB, or ${(bound / 2 ** 20).toFixed(1)} in ${(tight.memoryBytes / 2 ** 20).toFixed(1)}; empty ${(empty.memoryBytes / 2 ** 20).toFixed(1)}`,
  );
  expect(tight.memoryBytes - empty.memoryBytes).toBeLessThan((free.memoryBytes - empty.memoryBytes) / 2);
}, 300_000);
