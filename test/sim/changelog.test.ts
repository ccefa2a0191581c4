/** Changelogs: what a record takes back is taken back to the bit, in windows and lifetimes, online and in replay. */
import { describe, expect, test } from 'bun:test';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import { planOf } from '../compile/marked.ts';
import { lateIn } from '../oracle/late.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { now } from '../oracle/naive.ts';
import { SimulatedDisk } from './disk.ts';
import { type Engine, EVENT_CLOCK, memoryDatabase, openEngine, rowMap, rowsHash } from './engine.ts';
import { body } from './flights.ts';
import { compareValue, writtenLate } from './judge.ts';
import { Random } from './random.ts';
import { replayed } from './replayed.ts';

const SHOPS = ['north', 'south', 'ünïcode'];

/** These keep a value that was taken back, with no times: what is left of it shows in the row, and in no value. */
const COUNTS = `,
         BUCKET_COUNTS(cents, [-100, 0, 100]) AS buckets, APPROX_QUANTILE(cents, 0.9) AS most,
         COUNT(DISTINCT cents) AS kinds, MODE(cents) AS mode, HISTOGRAM(price) AS prices`;

/** Orders: of two changelogs one has the times of its records, the other a time in each row; and of two tables of Debezium's. */
const plan: Plan = await planOf(`
events:
  change: { changelog: { op: op }, op: string, shop: string, cents: int64?, price: double? }
  row: { changelog: { op: kind, time: at }, kind: { type: string, path: $.data.op }, at: time, shop: string, cents: int64?, price: double? }
  seen: { changelog: { format: debezium }, shop: string, cents: int64?, price: double? }
  kept: { changelog: { format: debezium, time: at }, at: time, shop: string, cents: int64?, price: double? }
entities: { shop: string }
---
feature_set: faded
entity: shop
source: kept
windows: [2h, 1d]
tiles: [1m, 30m]
sql: SELECT shop, DECAYED_SUM(cents, '20m') AS cents, DECAYED_AVG(price, '20m') AS price FROM kept GROUP BY shop
---
${setOf('seens', 'seen')}
---
${setOf('kepts', 'kept', COUNTS)}
---
${setOf('changes', 'change')}
---
${setOf('rows', 'row', COUNTS)}
`);

function setOf(name: string, source: string, more = ''): string {
  return `feature_set: ${name}
entity: shop
source: ${source}
windows: [2h, 1d, lifetime]
sql: |
  SELECT shop, COUNT(*) AS n, COUNT(cents) AS priced, SUM(cents) AS cents, AVG(cents) AS cents_mean,
         SUM(price) AS price, AVG(price) AS price_mean, SUM(EXTRACT(minute FROM _time)) AS minutes,
         VAR_SAMP(price) AS spread${more}
  FROM ${source} WHERE cents IS NULL OR cents <> 13 GROUP BY shop
`;
}

interface Row {
  shop: string;
  cents: string;
  price: string;
  at: string;
}

const PRICES = ['0.1', '1e16', '-1e16', '1e400', '5e-324', 'null', '-0.0', '3'];

function rowOf(at: string, rng: Random): Row {
  const cents = rng.chance(0.2) ? rng.pick(['null', '13', '9223372036854775807']) : String(rng.below(1000) - 500);
  return { shop: rng.pick(SHOPS), cents, price: rng.pick(PRICES), at };
}

const TYPES = ['change', 'row', 'seen', 'kept'];

function inEnvelopes(type: string): boolean {
  return type === 'seen' || type === 'kept';
}

/** All but the last are no kind of change. */
const OPS_ODD = ['"+X"', '"+"', '""', '"+I "', '"i"', 'null', '7', '"\\u002b\\u0049"'];

/**
 * A table's changes as records: rows are added, taken back and replaced, some twice, some that were never there, some
 * hours late; here and there a record says nothing that is known.
 */
function changelogLines(count: number, rng: Random): Uint8Array[] {
  const lines: string[] = [];
  const table: { type: string; row: Row }[] = [];
  const textOf = ({ shop, cents, price, at }: Row) =>
    `{"shop":"${shop}","cents":${cents},"price":${price},"at":"${at}"}`;
  const change = (table: string, op: string, before: Row | null, after: Row | null, time: string) => {
    const [from, to] = [before, after].map(row => (row === null || rng.chance(0.02) ? 'null' : textOf(row)));
    const text = `{"before":${from},"after":${to},"source":{"table":"${table}","ts_ms":${Date.parse(time)}},"op":"${op}"}`;
    const data = rng.chance(0.3) ? `{"schema":{},"payload":${text}}` : text;
    lines.push(rng.chance(0.5) ? data : `{"type":"${table}","time":"${time}","data":${data}}`);
    if (op === 'd' && rng.chance(0.5)) lines.push(`{"type":"${table}","time":"${time}","data":null}`);
  };
  const add = (type: string, op: string, { shop, cents, price, at }: Row, time: string) => {
    const text = rng.chance(0.03) ? rng.pick(OPS_ODD) : JSON.stringify(op);
    const members = [`"op":${text}`, `"shop":"${shop}"`, `"cents":${cents}`, `"price":${price}`, `"at":"${at}"`];
    if (rng.chance(0.1)) members.reverse();
    lines.push(`{"type":"${type}","time":"${time}","data":{${members.join(',')}}}`);
  };
  while (lines.length < count) {
    const late = rng.chance(0.05) ? rng.below(400) * 60_000 : rng.below(120) * 1000;
    const ms = Date.UTC(2024, 0, 1) + lines.length * 20_000 - late;
    const time = new Date(ms).toISOString();
    const at = new Date(rng.chance(0.04) ? ms + 1_200_000 : ms - rng.below(200) * 60_000).toISOString();
    const known = table.length > 0 && rng.chance(0.5) ? rng.below(table.length) : -1;
    if (known < 0) {
      const added = { type: rng.pick(TYPES), row: rowOf(at, rng) };
      table.push(added);
      if (inEnvelopes(added.type)) change(added.type, rng.pick(['c', 'r']), null, added.row, time);
      else add(added.type, '+I', added.row, time);
      continue;
    }
    const { type, row } = table[known]!;
    if (rng.chance(0.4)) {
      if (inEnvelopes(type)) change(type, 'd', row, null, time);
      else add(type, '-D', row, time);
      table.splice(known, 1);
    } else {
      const next = rowOf(rng.chance(0.7) ? row.at : at, rng);
      table[known] = { type, row: next };
      if (inEnvelopes(type)) {
        change(type, 'u', row, next, time);
        continue;
      }
      for (let again = rng.chance(0.1) ? 2 : 1; again > 0; again--) {
        add(type, '-U', row, time);
        add(type, '+U', next, time);
      }
    }
  }
  return lines.map(line => new TextEncoder().encode(line));
}

const SETS = ['faded:*', 'changes:*', 'rows:*', 'seens:*', 'kepts:*'];

function lookUp({ reader, ingest }: Engine, log: Log): number {
  const p = ingest.position;
  const keys = [...SHOPS, 'nowhere'];
  const answer = reader.lookup({ features: SETS, entities: { shop: keys }, at: null });
  for (const found of answer.entities[0]!.features)
    for (const [row, shop] of keys.entries()) compareValue(plan, found, row, log, [shop], p, now(log, p));
  return answer.entities[0]!.features.length * keys.length;
}

describe.each([1, 2])('seed %p', seed => {
  const lines = changelogLines(3000, new Random(seed));
  const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });

  test('the records are of all kinds', () => {
    const bad = log.records.map(record => record.bad);
    expect(bad.filter(why => why?.endsWith('no kind of change')).length).toBeGreaterThan(20);
    expect(bad.filter(why => why?.startsWith('the row is ahead')).length).toBeGreaterThan(20);
    expect(log.records.filter(({ rows }) => rows[0]?.weight === -1n).length).toBeGreaterThan(500);
    expect(log.records.filter(({ rows }) => rows.length === 2).length).toBeGreaterThan(200);
    expect(bad.filter(why => why?.endsWith('is no row')).length).toBeGreaterThan(10);
    expect(log.records.filter(({ bad, rows }) => bad === null && rows.length === 0).length).toBeGreaterThan(20);
    expect(log.rejected).toEqual([]);
  });

  test('lookups at many prefixes = oracle, and so is what is bad', async () => {
    const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase() });
    let asked = 0;
    for (let from = 0; from < lines.length; from += 150) {
      await engine.ingest.post(body(lines.slice(from, from + 150)), 'ndjson');
      if (from % 450 === 0) engine.ingest.barrier();
      if (from % 900 === 0) engine.folds[0]!.evict(0);
      asked += lookUp(engine, log);
    }
    expect(asked).toBe(20 * 4 * plan.features.length);
    engine.ingest.barrier();
    const errors = engine.meta.errors({ after: 0, limit: 1000 });
    expect(errors.map(({ position }) => position)).toEqual(
      log.records.filter(({ bad }) => bad !== null).map(({ position }) => position),
    );
    const [unknown, ahead] = ['unknown_op', 'row_ahead'].map(code => errors.find(error => error.code === code)!);
    expect(unknown!.message).toMatch(/^input (op|kind) is none of \+I, -U, \+U, -D$/);
    expect(ahead!.message).toBe("input at is more than 10 minutes ahead of the event's time");
    const late = lateIn(plan, log);
    expect(late.length).toBeGreaterThan(3);
    expect(writtenLate(engine.meta)).toEqual(late);
    // An event in an envelope counts once, however many rows it has.
    for (const { type, counts } of engine.here.behind().types)
      expect([type, counts.reduce((sum, count) => sum + count)]).toEqual([
        type,
        log.records.filter(record => record.type === type && record.bad === null && record.rows.length > 0).length,
      ]);
    await engine.close();
  });

  test('every replayed row = oracle', async () => {
    const good = log.records.filter(({ bad, rows }) => bad === null && rows.length > 0);
    let row = 0;
    for await (const batch of (await replayed(plan, lines)).batches)
      for (let i = 0; i < batch.count; i++, row++) {
        if (row % 11 !== 0) continue;
        const { position, time, inputs } = good[row]!;
        expect(batch.positions[i]).toBe(BigInt(position));
        const key: Value[] = [inputs.shop!];
        for (const found of batch.columns) compareValue(plan, found, i, log, key, position, time);
      }
    expect(row).toBe(good.length);
  });

  test('any batch cut and 1, 2, 3 shards give equal row bytes', async () => {
    const hashes: unknown[] = [];
    for (const [shards, step] of [
      [1, 3000],
      [1, 61],
      [2, 400],
      [3, 1111],
    ] as const) {
      const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase(), shards });
      for (let from = 0; from < lines.length; from += step)
        await engine.ingest.post(body(lines.slice(from, from + step)), 'ndjson');
      engine.ingest.barrier();
      hashes.push({ rows: rowsHash(engine.store), late: writtenLate(engine.meta) });
      await engine.close();
    }
    expect(hashes.slice(1)).toEqual(hashes.slice(1).map(() => hashes[0]!));
  });

  test('rows that are added and taken back leave the others as they were, to the bit', async () => {
    const rng = new Random(seed + 100);
    const row = (op: string, of: Row) =>
      `{"type":"change","time":"${of.at}","data":{"op":"${op}","shop":"${of.shop}","cents":${of.cents},"price":${of.price}}}`;
    // One of every kind in each tile, so that every row is there before.
    const kept = SHOPS.map(shop => row('+I', { shop, cents: '5', price: '0.1', at: '2024-01-01T00:00:00Z' }));
    const taken = Array.from({ length: 300 }, () => rowOf('2024-01-01T00:00:00Z', rng));
    const changes = taken.flatMap(of => [row('+U', of), row('-U', of)]);
    const mixed = changes.map(text => ({ text, at: rng.next() })).sort((a, b) => a.at - b.at);
    const [few, many] = await Promise.all(
      [kept, [...kept, ...mixed.map(({ text }) => text)]].map(async texts => {
        const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase() });
        for (let from = 0; from < texts.length; from += 50)
          await engine.ingest.post(new TextEncoder().encode(texts.slice(from, from + 50).join('\n')), 'ndjson');
        engine.ingest.barrier();
        const rows = rowMap(engine.store);
        await engine.close();
        return rows;
      }),
    );
    expect(few!.size).toBeGreaterThan(5);
    expect(many!).toEqual(few!);
  });
});
