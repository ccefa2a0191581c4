/** Functions of texts, times and numbers in feature sets, end to end: lookups are the oracle's, however events are cut. */
import { expect, test } from 'bun:test';
import { compileSources } from '../../src/compile/compile.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { parseLog } from '../oracle/log.ts';
import { SimulatedDisk } from './disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine, rowMap } from './engine.ts';
import { body, smallWeek, wild } from './flights.ts';
import { compareLookups, keysOf } from './judge.ts';

const DEFINITIONS = `
events:
  flight:
    origin: string
    destination: string
    delay: { type: int64, optional: true }
    distance: int64
entities:
  origin: string
---
feature_set: words
entity: origin
source: flight
windows: [2h, lifetime]
sql: |
  SELECT origin,
         COUNT(*) FILTER (WHERE LOWER(destination) LIKE '%a_') AS at_a,
         COUNT(*) FILTER (WHERE LOWER(destination) || '/' || LOWER(origin) > 'm') AS late_letters,
         SUM(LENGTH(CONCAT(origin, '-', destination, delay))) AS letters,
         SUM(STRPOS(destination, 'A') + CAST(LPAD(CAST(distance AS VARCHAR), 8, '1') AS BIGINT)) AS padded,
         MAX(DATE_TRUNC('hour', _time)) AS hour,
         SUM(EXTRACT(hour FROM _time - INTERVAL (COALESCE(delay, 0)) MINUTE)) AS planned_hours,
         SUM(GREATEST(ABS(delay), distance // 100)) AS most
  FROM flight
  WHERE SUBSTR(destination, 1, 1) <> 'M' AND EXTRACT(dow FROM _time) BETWEEN 1 AND 5
  GROUP BY origin
derive:
  mean_letters: ROUND(letters_lifetime / NULLIF(late_letters_lifetime, 0), 2)
  label: "UPPER('n' || at_a_2h) || ' until ' || hour_lifetime"
  age_minutes: DATE_DIFF('minute', hour_2h, hour_lifetime + INTERVAL 1 DAY)
`;

async function wordsPlan(): Promise<Plan> {
  const { plan, faults } = await compileSources([{ file: 'words.yaml', text: DEFINITIONS }], { latenessMs: 3_600_000 });
  expect(faults.map(fault => fault.message)).toEqual([]);
  return plan;
}

test('lookups = oracle at some prefixes of a wild log, and rows do not show how events were cut', async () => {
  const words = await wordsPlan();
  const lines = wild(await smallWeek(8, 2), 4);
  const log = parseLog(body(lines), words, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const keys = new Map([['origin', keysOf(log).get('origin')!]]);
  const rows: Map<string, string>[] = [];
  let asked = 0;
  for (const step of [Math.ceil(lines.length / 5), 37]) {
    const engine = await openEngine(words, { disk: new SimulatedDisk(1), db: memoryDatabase() });
    for (let from = 0; from < lines.length; from += step) {
      await engine.ingest.post(body(lines.slice(from, from + step)), 'ndjson');
      if (step !== 37) asked += compareLookups(engine, log, keys);
    }
    engine.ingest.barrier();
    rows.push(rowMap(engine.store));
    await engine.close();
  }
  expect(asked).toBeGreaterThan(5 * 8 * 17);
  expect(rows[1]).toEqual(rows[0]!);
});
