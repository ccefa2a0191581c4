/** What is left of a changelog is what DuckDB makes of the table that it ends with. */
import { expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { planOf } from '../compile/marked.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { memoryDatabase, openEngine } from '../sim/engine.ts';
import { valueAt } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';

const SHOPS = ['north', 'south', 'east', 'west'];

/** Quarters: DuckDB's sums of them are exact too. */
interface Order {
  id: number;
  shop: string;
  cents: number | null;
  price: number;
}

/** Changes as Flink writes them, and the table in the end. Records of a row stand in order; those of others do not. */
function ordersOf(count: number, rng: Random): { changes: [string, Order][]; table: Order[] } {
  const table = new Map<number, Order>();
  const changes: [string, Order][] = [];
  const order = (id: number): Order => ({
    id,
    shop: rng.pick(SHOPS),
    cents: rng.chance(0.2) ? null : rng.below(100_000) - 20_000,
    price: rng.below(4000) / 4,
  });
  for (let i = 0; i < count; i++) {
    const id = rng.below(200);
    const before = table.get(id);
    const after = order(id);
    if (!before) changes.push(['+I', after]);
    else if (rng.chance(0.3)) changes.push(['-D', before]);
    else changes.push(['-U', before], ['+U', after]);
    if (before && changes.at(-1)![0] === '-D') table.delete(id);
    else table.set(id, after);
  }
  return { changes, table: [...table.values()] };
}

/** The same changes as Debezium sends them, some with a schema, and a null behind each row that is deleted. */
function envelopesOf(changes: [string, Order][]): string[] {
  const lines: string[] = [];
  for (const [i, [op, row]] of changes.entries()) {
    const send = (name: string, before: Order | null, after: Order | null) => {
      const source = { table: 'captured', ts_ms: 1_704_067_200_000 + i * 1000 };
      const payload = { before, after, source, op: name, ts_ms: source.ts_ms + 5 };
      lines.push(JSON.stringify(i % 3 === 0 ? { schema: { type: 'struct' }, payload } : payload));
    };
    if (op === '+I') send(i % 2 === 0 ? 'c' : 'r', null, row);
    if (op === '-U') send('u', row, changes[i + 1]![1]);
    if (op !== '-D') continue;
    send('d', row, null);
    lines.push('null');
  }
  return lines;
}

function setOf(source: string): string {
  return `feature_set: ${source}
entity: shop
source: ${source}
windows: [lifetime]
sql: |
  SELECT shop, COUNT(*) AS n, COUNT(cents) AS priced, SUM(cents) AS cents, AVG(cents) AS mean, SUM(price) AS price,
         AVG(price) AS price_mean, COUNT(*) FILTER (WHERE price > 500) AS dear
  FROM "${source}" GROUP BY shop
`;
}

const SCRIPT = `
import json, sys, duckdb
orders = json.load(sys.stdin)
db = duckdb.connect()
db.execute("CREATE TABLE orders (id BIGINT, shop VARCHAR, cents BIGINT, price DOUBLE)")
db.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", [[o["id"], o["shop"], o["cents"], o["price"]] for o in orders])
print(json.dumps(db.execute("""
  SELECT shop, count(*), count(cents), coalesce(sum(cents), 0)::BIGINT, avg(cents), sum(price), avg(price),
         count(*) FILTER (price > 500)
  FROM orders GROUP BY shop ORDER BY shop""").fetchall()))
`;

const python = pythonOrSkip('changelog = table in DuckDB');

test.skipIf(python === null)('after any changelog, the lifetimes are those of the table', async () => {
  const plan = await planOf(`
events:
  order: { changelog: { op: op }, op: string, shop: string, cents: int64?, price: double }
  captured: { changelog: { format: debezium }, shop: string, cents: int64?, price: double }
entities: { shop: string }
---
${setOf('order')}
---
${setOf('captured')}
`);
  for (const seed of [1, 2, 3]) {
    const { changes, table } = ordersOf(4000, new Random(seed));
    const lines = changes.map(([op, { shop, cents, price }], i) =>
      JSON.stringify({ type: 'order', time: 1_704_067_200_000 + i * 1000, data: { op, shop, cents, price } }),
    );
    const captured = envelopesOf(changes);
    const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase() });
    await engine.ingest.post(new TextEncoder().encode([...lines, ...captured].join('\n')), 'ndjson');
    const shops = [...SHOPS].sort();
    const lookUp = (set: string) => {
      const answer = engine.reader.lookup({ features: [`${set}:*`], entities: { shop: shops }, at: null });
      const rows = shops.map((shop, row) => [shop, ...answer.entities[0]!.features.map(found => valueAt(found, row))]);
      return rows.map(row => row.map(value => (typeof value === 'bigint' ? Number(value) : value)));
    };
    const theirs = JSON.parse(
      new TextDecoder().decode(runPython(python!, ['-c', SCRIPT], Buffer.from(JSON.stringify(table)))),
    );
    for (const set of ['order', 'captured']) expect(lookUp(set)).toEqual(theirs);
    await engine.close();
  }
});
