/**
 * Types that begin late, pause for long and have wrong times among them: clocks, WARMING and since when, out of lookups
 * over restarts and out of replays, are the oracle's.
 */
import { expect, test } from 'bun:test';
import type { Expression } from '../../src/plan/expression.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { DOUBLE, INT64, STRING, type Value } from '../../src/plan/value.ts';
import type { Clock } from '../../src/source/source.ts';
import {
  aggregate,
  call,
  column,
  feature,
  LIFETIME,
  optional,
  plan,
  read,
  required,
} from '../oracle/fixtures/spell.ts';
import { HOUR_MS, sliding } from '../oracle/fixtures/spell.ts';
import { type Log, parseLog, UNDECLARED } from '../oracle/log.ts';
import { now, value } from '../oracle/naive.ts';
import { SimulatedDisk } from './disk.ts';
import { memoryDatabase, openEngine } from './engine.ts';
import { body, tame } from './flights.ts';
import { compareValue } from './judge.ts';
import { Random } from './random.ts';
import { replayed } from './replayed.ts';

const LINES = 800;
const WHO = ['ann', 'bob'];
const MAX_JUMP_MS = 6 * HOUR_MS;
const MINUTE_MICROS = 60_000_000n;
const WINDOWS = { '2h': sliding(2 * HOUR_MS, 60_000), '1d': sliding(24 * HOUR_MS, 1_800_000), lifetime: LIFETIME };

/** Views and buys of a user, and what is derived of both. */
function shopPlan(): Plan {
  const who = [column('who', STRING)];
  const set = { name: 's', description: '', owner: '', entity: 'who', event: 'view', keys: who, sql: '', at: null };
  const inputs = [required('who', STRING), optional('x', INT64)];
  const types = ['view', 'buy'];
  const counts = types.map(type => aggregate(`s:${type}s`, type, who, 'count', null, { entity: 'who' }));
  const sums = types.map(type => aggregate(`s:${type}_x`, type, who, 'sum', column('x', INT64), { entity: 'who' }));
  const of = [...counts, ...sums];
  const reads = of.flatMap(({ name, type }) =>
    Object.entries(WINDOWS).map(([suffix, window]) =>
      feature(set, `${name.slice(2)}_${suffix}`, read(name, type, { window })),
    ),
  );
  const named = (name: string) => column(`s:${name}`, INT64);
  const derived: [string, Expression][] = [
    ['buy_rate_1d', call('divide', DOUBLE, named('buys_1d'), named('views_1d'))],
    ['mixed', call('add', INT64, named('views_2h'), named('buys_1d'))],
    ['calm', call('add', INT64, named('views_lifetime'), named('buys_lifetime'))],
    ['twice', call('add', DOUBLE, column('s:buy_rate_1d', DOUBLE), named('views_1d'))],
    ['kept', call('coalesce', DOUBLE, column('s:buy_rate_1d', DOUBLE), named('views_2h'))],
  ];
  return plan({
    events: types.map(name => ({ name, inputs, columns: [], onFault: 'reject', weight: null, at: null })),
    entities: [{ name: 'who', keys: [STRING], at: null }],
    aggregates: of,
    sets: [set],
    features: [...reads, ...derived.map(([name, expression]) => feature(set, name, expression))],
  });
}

/** Time goes on unevenly, with pauses of days and wrong times, alone and several in a row. */
function shopLines(rng: Random): string[] {
  const lines: string[] = [];
  let ms = Date.UTC(2026, 0, 1);
  let wrong = { left: 0, ms: 0 };
  for (let i = 0; i < LINES; i++) {
    ms += rng.chance(0.02) ? (6 + rng.below(60)) * HOUR_MS : rng.below(8) * 60_000;
    if (rng.chance(0.01)) wrong = { left: 1 + rng.below(4), ms: ms + (7 + rng.below(2000)) * HOUR_MS };
    const isWrong = wrong.left-- > 0;
    const eventMs = isWrong ? wrong.ms + rng.below(3) * HOUR_MS : ms - (rng.chance(0.1) ? rng.below(5 * HOUR_MS) : 0);
    const type = i > LINES / 4 && rng.chance(0.4) ? 'buy' : rng.chance(0.02) ? 'stranger' : 'view';
    const x = rng.chance(0.02) ? '"faulty"' : rng.chance(0.2) ? 'null' : rng.below(100);
    const who = rng.pick(WHO);
    lines.push(`{"type":"${type}","time":"${new Date(eventMs).toISOString()}","data":{"who":"${who}","x":${x}}}`);
  }
  return lines;
}

/** The latest of the times since when what makes a feature WARMING is known. */
function sinceOf(of: Plan, log: Log, name: string, key: Value[], p: number, t: bigint): bigint | null {
  const sinces = leavesOf(of, name).flatMap(leaf => {
    if (value(of, log, leaf.name, key, p, t).status !== 'WARMING') return [];
    return [log.records.findLast(({ type, position }) => position <= p && type === leaf.event)!.since!];
  });
  return sinces.toSorted((a, b) => (a < b ? -1 : 1)).at(-1) ?? null;
}

function leavesOf(of: Plan, name: string): { name: string; event: string }[] {
  const { expression } = of.features.find(each => each.name === name)!;
  if (expression.kind === 'read') return [{ name, event: expression.read.aggregate.includes('buy') ? 'buy' : 'view' }];
  const args = expression.kind === 'call' ? expression.args : [];
  return args.flatMap(arg => (arg.kind === 'column' ? leavesOf(of, arg.name) : []));
}

const shop = shopPlan();

test.each([
  ['event', 1],
  ['event', 2],
  ['event', 3],
  ['wall', 4],
] as const)('clock %s, seed %d: lookups over restarts, and replays, are as the oracle says', async (kind, seed) => {
  const rng = new Random(seed);
  const lines = shopLines(rng);
  const clock: Clock = { kind, maxJumpMs: MAX_JUMP_MS };
  let wall = BigInt(Date.UTC(2026, 0, 1)) * 1000n;
  // With an event clock a century later: then all that is known of the arrivals is that nothing is ahead of them.
  if (kind === 'event') wall += 3_155_760_000_000_000n;
  const arrivals = lines.map(() => (wall += BigInt(rng.below(20)) * MINUTE_MICROS));
  const log = parseLog(lines.join('\n'), shop, { clock: kind, maxJumpMs: MAX_JUMP_MS, arrivals });
  const disk = new SimulatedDisk(seed);
  const db = memoryDatabase();
  const statuses = new Set<string | null>();
  for (let posted = 0; posted < LINES; ) {
    // Each life of the process takes up the clocks, and what jumped, where the last one left them.
    const engine = await openEngine(shop, { disk, db, clock, nowMicros: () => wall });
    for (const end = Math.min(LINES, posted + 1 + rng.below(20)); posted < end; posted++) {
      wall = arrivals[posted]!;
      await engine.ingest.post(body(tame([lines[posted]!])), 'ndjson');
    }
    const p = engine.ingest.position;
    const t = now(log, p);
    const answer = engine.reader.lookup({ features: ['s:*'], entities: { who: [...WHO, 'nobody'] }, at: null });
    expect([answer.position, answer.timeMicros]).toEqual([p, t]);
    for (const found of answer.entities[0]!.features) {
      const isWarming: (bigint | null)[] = [];
      for (const [row, who] of [...WHO, 'nobody'].entries()) {
        compareValue(shop, found, row, log, [who], p, t);
        const { status } = value(shop, log, found.name, [who], p, t);
        statuses.add(status);
        if (status === 'WARMING') isWarming.push(sinceOf(shop, log, found.name, [who], p, t));
      }
      expect([p, found.name, found.sinceMicros]).toEqual([p, found.name, isWarming[0] ?? null]);
    }
    await engine.close();
  }
  expect([...statuses].sort()).toEqual(['NOT_FOUND', 'WARMING', null]);
  await compareReplay(lines, log, clock, arrivals);
});

/** In little memory too: the rows of types that pause leave it. */
async function compareReplay(lines: string[], log: Log, clock: Clock, arrivals: bigint[]): Promise<void> {
  const good = log.records.filter(({ bad }) => bad === null);
  for (const memoryBytes of [2 ** 32, 0]) {
    const { batches } = await replayed(shop, tame(lines), { clock, arrivals, memoryBytes });
    let count = 0;
    for await (const batch of batches)
      for (let row = 0; row < batch.count; row++) {
        const p = Number(batch.positions[row]!);
        // Columns are those of a view's user.
        while (good[count]!.type !== batch.types[row]) count++;
        expect(p).toBe(good[count++]!.position);
        if (batch.types[row] !== 'view') continue;
        const { inputs, time } = log.records[p]!;
        for (const found of batch.columns) compareValue(shop, found, row, log, [inputs.who!], p, time);
      }
    expect(count).toBe(good.length);
  }
}

test('the story has what it is about', () => {
  const rng = new Random(1);
  const log = parseLog(shopLines(rng).join('\n'), shop, { clock: 'event', maxJumpMs: MAX_JUMP_MS });
  const jumped = log.records.filter(({ bad }) => bad === 'jumps ahead').length;
  const moved = log.records.filter(({ clock, type, position }) => {
    const before = log.records.findLast(other => other.position < position && other.type === type)?.clock;
    return before != null && clock! - before > BigInt(MAX_JUMP_MS) * 1000n;
  });
  console.log(`${jumped} jumps; the clocks followed ${moved.length} times`);
  expect(jumped).toBeGreaterThan(20);
  expect(moved.length).toBeGreaterThan(5);
  expect(log.records.some(({ bad }) => bad === UNDECLARED)).toBe(true);
});
