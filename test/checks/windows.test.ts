/** Windows that are over, and series of them, of every airport of the bundled week, as DuckDB has them. */
import { expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { compileSources } from '../../src/compile/compile.ts';
import type { Value } from '../../src/plan/value.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { memoryDatabase, openEngine } from '../sim/engine.ts';
import { body, tame, weekLines } from '../sim/flights.ts';
import { valueAt } from '../sim/judge.ts';

const DEFINITIONS = `events:
  flight: { origin: string, destination: string, delay: int64? }
entities: { origin: string }
---
feature_set: s
entity: origin
source: flight
tile_offset: 5h30m
windows:
  - tumbling 1h
  - tumbling 1d
  - tumbling 45m
  - hopping 1d every 6h
  - hopping 2h every 30m offset 1d
  - 1d offset 2d
  - 2h offset 37m
  - 3 x 1d
  - 2 x tumbling 1d
sql: SELECT origin, COUNT(*) AS n, MAX(delay) AS delay, AVG(delay) AS mean FROM flight GROUP BY origin
`;

/** What scripts/python/duckdb_windows.py writes for one position. */
interface Moment {
  position: number;
  origins: Record<string, Record<string, Plain | Plain[]>>;
}
type Plain = number | null;

const python = pythonOrSkip('windows = DuckDB');

test.skipIf(python === null)('count, max and avg at several prefixes', async () => {
  const lines = tame(await weekLines());
  const positions = [0, 5_000, 31_000, 64_000, 99_000, lines.length - 1];
  const output = new TextDecoder().decode(
    runPython(python!, ['scripts/python/duckdb_windows.py', positions.join(',')]),
  );
  const moments: Moment[] = output
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
  const { plan, faults } = await compileSources([{ file: 's.yaml', text: DEFINITIONS }], { latenessMs: 3_600_000 });
  expect(faults).toEqual([]);
  const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase(), segmentBytes: 1 << 24 });
  let posted = 0;
  let compared = 0;
  for (const { position, origins } of moments) {
    await engine.ingest.post(body(lines.slice(posted, position + 1)), 'ndjson');
    posted = position + 1;
    engine.ingest.barrier();
    engine.folds[0]!.evict(0);
    const keys = Object.keys(origins);
    const { entities } = engine.reader.lookup({ features: ['s:*'], entities: { origin: keys }, at: null });
    const columns = entities[0]!.features;
    expect(columns.map(({ name }) => name.slice(2)).sort()).toEqual(Object.keys(origins[keys[0]!]!).sort());
    for (const column of columns)
      for (const [row, key] of keys.entries()) {
        const theirs = origins[key]![column.name.slice(2)]!;
        const ours = plain(valueAt(column, row));
        compared++;
        if (JSON.stringify(ours) !== JSON.stringify(theirs))
          expect({ position, key, feature: column.name, value: ours }).toEqual({
            ...{ position, key, feature: column.name, value: theirs },
          });
      }
  }
  await engine.close();
  expect(compared).toBeGreaterThan(25_000);
});

function plain(value: Value): Plain | Plain[] {
  if (Array.isArray(value)) return value.map(each => plain(each) as Plain);
  return typeof value === 'bigint' ? Number(value) : (value as Plain);
}
