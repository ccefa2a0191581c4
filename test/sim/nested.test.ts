/**
 * Lists and structs in events, end to end: lookups at prefixes and replayed rows are the oracle's, and rows do not show how
 * events were cut.
 */
import { expect, test } from 'bun:test';
import { compileSources } from '../../src/compile/compile.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import { parseLog } from '../oracle/log.ts';
import { SimulatedDisk } from './disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine, rowMap } from './engine.ts';
import { damage } from '../kernel/json_text.ts';
import { body, tame } from './flights.ts';
import { compareLookups, compareValue } from './judge.ts';
import { Random } from './random.ts';
import { replayed } from './replayed.ts';

const DEFINITIONS = `
types:
  item: { sku: string, price: double, count: { type: int64, default: 1 }, tags: { type: [string], optional: true } }
  address: { city: string?, point: { type: [double], optional: true } }
events:
  sale:
    shop: string
    items: [item]
    codes: { type: [int64?], optional: true, path: $.data.meta.codes }
    to: address?
entities:
  shop: string
---
feature_set: orders
entity: shop
source: sale
windows: [2h, lifetime]
sql: |
  SELECT shop,
         COUNT(to) AS delivered,
         COUNT(codes) AS coded,
         SUM(LEN(items)) AS items,
         SUM(items[1].price * items[1].count) AS first_total,
         LAST(items[-1].sku) AS last_sku,
         MIN(items[LEN(items)].price) AS least_last,
         COUNT(*) FILTER (WHERE LIST_CONTAINS(items[1].tags, 'new')) AS new_first,
         SUM(LIST_SUM(codes)) AS code_sum,
         MAX(LIST_MAX(codes) - LIST_MIN(codes)) AS code_spread,
         AVG(LIST_AVG(to.point)) AS mean_point,
         LAST(COALESCE(to.city, items[2].tags[1], 'none')) AS place,
         COUNT(COALESCE(items[1].tags, items[2].tags)) AS tagged
  FROM sale
  WHERE items[1].count < 9 AND COALESCE(codes[2] <> 7, TRUE)
  GROUP BY shop
derive:
  mean_items: items_lifetime / NULLIF(delivered_lifetime, 0)
`;

async function ordersPlan(): Promise<Plan> {
  const sources = [{ file: 'orders.yaml', text: DEFINITIONS }];
  const { plan, faults } = await compileSources(sources, { latenessMs: 3_600_000 });
  expect(faults.map(fault => fault.message)).toEqual([]);
  return plan;
}

const SHOPS = ['a', 'b', 'ü'];

function orderLine(i: number, rng: Random): string {
  const some = <T>(make: () => T) => Array.from({ length: rng.below(4) }, make);
  const price = () => (rng.below(100_000) - 1000) / 100;
  const item = () => ({
    sku: rng.pick(['s1', 's2', 'größe', '\u{1f600}', 'quote " and \\']),
    price: price(),
    ...(rng.chance(0.5) ? { count: rng.below(11) } : {}),
    ...(rng.chance(0.6) ? { tags: some(() => rng.pick(['new', 'used', '\n'])) } : {}),
  });
  const data = {
    shop: rng.pick(SHOPS),
    items: [...(rng.chance(0.1) ? [] : [item()]), ...some(item)],
    ...(rng.chance(0.8)
      ? { meta: { codes: rng.chance(0.1) ? null : some(() => (rng.chance(0.2) ? null : rng.below(9))) } }
      : {}),
    ...(rng.chance(0.5)
      ? { to: { city: rng.chance(0.5) ? 'x' : null, point: rng.chance(0.3) ? undefined : [price(), price()] } }
      : {}),
  };
  // Some cannot count: a wrong element, a missing field.
  const wrong = rng.chance(0.05) ? { items: [item(), rng.pick([null, 5, {}, { sku: 's', price: '1' }])] } : {};
  const time = new Date(Date.UTC(2024, 0, 1) + i * 15_000 - rng.below(900_000)).toISOString();
  return JSON.stringify({ type: 'sale', time, data: { ...data, ...wrong } });
}

/** Still one line. */
function damaged(line: Uint8Array, rng: Random): Uint8Array {
  return damage(line, rng).map(byte => (byte === 10 ? 32 : byte));
}

test.each([
  ['tame', 1],
  ['damaged', 2],
])('%s: lookups = oracle, replayed rows = oracle, and rows do not show how events were cut', async (name, seed) => {
  const plan = await ordersPlan();
  const rng = new Random(seed);
  const texts = Array.from({ length: 1200 }, (_, i) => orderLine(i, rng));
  const lines = name === 'tame' ? tame(texts) : tame(texts).map(line => (rng.chance(0.1) ? damaged(line, rng) : line));
  const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const good = log.records.filter(record => record.bad === null);
  expect(good.length).toBeGreaterThan(900);
  expect(good.length).toBeLessThan(log.records.length - 30);
  const keys = new Map([['shop', [...SHOPS, '?'].map((shop): Value[] => [shop])]]);
  const rows: Map<string, string>[] = [];
  let asked = 0;
  for (const [shards, step] of [
    [1, 101],
    [1, 7],
    [3, 500],
  ] as const) {
    const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase(), shards });
    for (let from = 0; from < lines.length; from += step) {
      await engine.ingest.post(body(lines.slice(from, from + step)), 'ndjson');
      if (step === 101) asked += compareLookups(engine, log, keys);
    }
    engine.ingest.barrier();
    rows.push(rowMap(engine.store));
    await engine.close();
  }
  expect(asked).toBeGreaterThan(11 * 4 * 25);
  expect(rows[1]).toEqual(rows[0]!);
  expect(rows[2]).toEqual(rows[0]!);

  let row = 0;
  for await (const batch of (await replayed(plan, lines)).batches)
    for (let i = 0; i < batch.count; i++, row++) {
      const record = good[row]!;
      expect(Number(batch.positions[i])).toBe(record.position);
      for (const column of batch.columns)
        compareValue(plan, column, i, log, [record.inputs.shop!], record.position, record.time);
    }
  expect(row).toBe(good.length);
});
