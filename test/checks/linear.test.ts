/** Linear aggregates as DuckDB has them, and variances as Python's fractions do: from SQL to the values of lookups. */
import { expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { ACCURACY_DEFAULT } from '../../src/compile/aggregates.ts';
import { compileSources } from '../../src/compile/compile.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { memoryDatabase, openEngine } from '../sim/engine.ts';
import { body } from '../sim/flights.ts';
import { valueAt } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';

const DEFINITIONS = `events:
  e: { who: string, i: int64?, d: double?, s: string? }
entities: { who: string }
---
feature_set: f
entity: who
source: e
windows: [2d]
sql: |
  SELECT who, VAR_POP(i) AS var_i, VAR_SAMP(i) AS var_samp_i, VAR_POP(d) AS var_d, VARIANCE(d) AS var_samp_d,
         STDDEV_POP(d) AS deviation_d, STDDEV(i) AS deviation_i, COUNT(DISTINCT s) AS texts, COUNT_DISTINCT(i, 500) AS ints,
         HISTOGRAM(s) AS by_text, VALUE_COUNTS(i) AS by_int, MODE(s) AS most, TOP_K(i, 4) AS top,
         BUCKET_COUNTS(i, [-10, 0]) AS buckets, APPROX_QUANTILE(d, [0, 0.25, 0.5, 0.99, 1]) AS quantiles,
         DECAYED_SUM(d, '1h') AS decayed, DECAYED_COUNT(s, INTERVAL 60 MINUTES) AS decayed_count
  FROM e GROUP BY who
`;

const WHO = ['ann', 'bob', 'cy'];
const START_MS = Date.UTC(2024, 0, 1, 5);

interface Event {
  who: string;
  i: number | null;
  d: number | null;
  s: string | null;
  time: number;
}

/** Some far from 0 and near to each other, where variances that are not exact go wrong. */
function randomEvent(index: number, rng: Random): Event {
  const or = <T>(value: T) => (rng.chance(0.15) ? null : value);
  const time = (START_MS + index * 3000 - rng.below(600) * 1000) * 1000;
  const who = rng.pick(WHO);
  const d = who === 'bob' ? 1e9 + rng.next() : (rng.next() - 0.3) * 10 ** rng.below(6);
  return { who, i: or(rng.below(40) - 25), d: or(d), s: or(rng.pick(['a', 'b', 'c', 'ü', ''])), time };
}

/** As scripts/python/duckdb_linear.py writes it. */
interface Theirs {
  who: string;
  exact: Record<'i' | 'd', [string, string]>;
  duckdb: [number, number, number, number, number, number, string, string, number[], number[], number, number];
}

function fromHex(text: string): number {
  const [, sign, whole, fraction = '0', exponent] = /^(-?)0x(\d)(?:\.([0-9a-f]+))?p([+-]\d+)$/.exec(text)!;
  return Number(`${sign}1`) * (Number(whole) + Number(`0x${fraction}`) / 16 ** fraction.length) * 2 ** Number(exponent);
}

const python = pythonOrSkip('linear aggregates = DuckDB');

test.skipIf(python === null)(
  'variances to the last bit, counts, histograms and modes exactly, quantiles and decay within their error',
  async () => {
    const rng = new Random(20010305);
    const events = Array.from({ length: 4000 }, (_, i) => randomEvent(i, rng));
    const input = new TextEncoder().encode(events.map(event => JSON.stringify(event)).join('\n'));
    const output = new TextDecoder().decode(runPython(python!, ['scripts/python/duckdb_linear.py'], input));
    const theirs: Theirs[] = output
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(theirs.map(({ who }) => who)).toEqual(WHO);

    const { plan, faults } = await compileSources([{ file: 'f.yaml', text: DEFINITIONS }], { latenessMs: 3_600_000 });
    expect(faults).toEqual([]);
    const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
    const lines = events.map(({ time, ...data }) =>
      new TextEncoder().encode(JSON.stringify({ type: 'e', time: new Date(time / 1000).toISOString(), data })),
    );
    for (let from = 0; from < lines.length; from += 777) {
      await engine.ingest.post(body(lines.slice(from, from + 777)), 'ndjson');
      engine.ingest.barrier();
    }
    const answer = engine.reader.lookup({ features: ['f:*'], entities: { who: WHO }, at: null });
    for (const [row, { exact, duckdb }] of theirs.entries()) {
      const of = (name: string) => {
        const found = answer.entities[0]!.features.find(column => column.name === `f:${name}_2d`)!;
        return valueAt(found, row);
      };
      const [varD, varSampD, deviationD, deviationI, texts, ints, byText, byInt, buckets, quantiles, sum, count] =
        duckdb;
      expect([of('var_i'), of('var_samp_i'), of('var_d'), of('var_samp_d')]).toEqual(
        [...exact.i, ...exact.d].map(fromHex),
      );
      // Of values that are far from 0 and near to each other the running means of DuckDB lose digits.
      for (const [ours, other] of [
        [of('var_d'), varD],
        [of('var_samp_d'), varSampD],
        [of('deviation_d'), deviationD],
        [of('deviation_i'), deviationI],
      ] as [number, number][])
        expect(Math.abs(ours / other - 1)).toBeLessThan(1e-6);
      expect([of('texts'), of('ints')]).toEqual([BigInt(texts), BigInt(ints)]);
      const entries = (text: string) => {
        const list: { key: string | number; value: number }[] = JSON.parse(text);
        return Object.fromEntries(list.map(({ key, value }) => [String(key), BigInt(value)]));
      };
      expect([of('by_text'), of('by_int')]).toEqual([entries(byText), entries(byInt)]);
      const ranked = Object.entries(entries(byInt)).sort(([a, x], [b, y]) => Number(y - x) || Number(a) - Number(b));
      expect(of('top')).toEqual(ranked.slice(0, 4).map(([value]) => BigInt(value)));
      const most = Object.entries(entries(byText)).sort(
        ([a, x], [b, y]) => Number(y - x) || Buffer.compare(Buffer.from(a), Buffer.from(b)),
      );
      expect(of('most')).toBe(most[0]![0]);
      expect(of('buckets')).toEqual(buckets.map(BigInt));
      for (const [i, quantile] of (of('quantiles') as number[]).entries())
        expect(nearest(quantile, quantiles[i]!, events, WHO[row]!)).toBeLessThanOrEqual(ACCURACY_DEFAULT);
      expect(Math.abs((of('decayed') as number) / sum - 1)).toBeLessThan(1e-9);
      expect(Math.abs((of('decayed_count') as number) / count - 1)).toBeLessThan(1e-9);
    }
    await engine.close();
  },
);

/** How far a quantile is off, for its size. Where q of n values falls between two of them, DuckDB may take the one after ours. */
function nearest(ours: number, theirs: number, events: Event[], who: string): number {
  const sorted = events.flatMap(({ who: of, d }) => (of === who && d !== null ? d : [])).sort((a, b) => a - b);
  const at = sorted.indexOf(theirs);
  const errors = [sorted[at - 1] ?? theirs, theirs, sorted[at + 1] ?? theirs].map(exact => Math.abs(ours / exact - 1));
  return Math.min(...errors);
}
