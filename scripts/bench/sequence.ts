/**
 * Events that read ten exact windows of what events have written, one after the other; one key is a tenth of them: replayed, and
 * the same by window functions of DuckDB.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Window } from '../../src/plan/expression.ts';
import type { Aggregate, EventType, Plan } from '../../src/plan/plan.ts';
import { BOOL, DOUBLE, INT64, REQUIRED, STRING, type Type } from '../../src/plan/value.ts';
import { aggregate, column, plan, read } from '../../test/oracle/fixtures/spell.ts';
import { Random } from '../../test/sim/random.ts';
import { replayed } from '../../test/sim/replayed.ts';
import { checkEqual, median, type Row, RUNS } from './measure.ts';

const EXACT = { levelsMs: [1, 1000, 60_000, 1_800_000, 86_400_000], offsetMs: 0 };
const DUCKDB_SEQUENCE = join(import.meta.dir, '../python/duckdb_sequence.py');

/** What `tilefold.yaml` gives where nothing is said. */
const MEMORY_BYTES = 256 << 20;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

function exact(lengthMs: number): Window {
  return { kind: 'exact', lengthMs, resolutionMs: 1 };
}

/** A payment, and what is known by then of who pays, from where, and to whom. */
export function paymentsPlan(): Plan {
  const inputs = (
    [
      ['email', STRING],
      ['ip', STRING],
      ['merchant', STRING],
      ['amount', DOUBLE],
      ['cents', INT64],
      ['ok', BOOL],
    ] as [string, Type][]
  ).map(([name, type]) => ({ name, path: [name], type, presence: REQUIRED }));
  const [email, ip, merchant] = ['email', 'ip', 'merchant'].map(name => column(name, STRING)) as [never, never, never];
  const of = (
    name: string,
    keys: never[],
    fn: 'count' | 'sum' | 'avg' | 'max' | 'countUnique',
    argument: string | null,
  ) => {
    const input = inputs.find(one => one.name === argument);
    const made = aggregate(name, 'payment', keys, fn, input ? column(input.name, input.type) : null, { tiles: EXACT });
    return fn === 'countUnique' ? { ...made, fn: { ...made.fn, limit: 1000 } } : made;
  };
  const failed = (one: Aggregate): Aggregate => ({ ...one, where: column('ok', BOOL) });
  const aggregates = [
    of('n', [email], 'count', null),
    of('spent', [email], 'sum', 'cents'),
    of('mean', [email], 'avg', 'amount'),
    of('most', [email], 'max', 'cents'),
    of('ips', [email], 'countUnique', 'ip'),
    failed(of('good', [email], 'count', null)),
    of('of_ip', [ip], 'count', null),
    of('ip_spent', [ip], 'sum', 'cents'),
    of('sold', [merchant], 'sum', 'cents'),
    of('sales', [merchant], 'count', null),
  ];
  const windows: [string, number][] = [
    ...[
      ['n', 10 * MINUTE_MS],
      ['spent', 60 * MINUTE_MS],
      ['mean', DAY_MS],
      ['most', DAY_MS],
      ['ips', DAY_MS],
    ],
    ...[
      ['good', 30 * DAY_MS],
      ['of_ip', 10 * MINUTE_MS],
      ['ip_spent', DAY_MS],
      ['sold', 30 * DAY_MS],
      ['sales', DAY_MS],
    ],
  ] as [string, number][];
  const columns = windows.map(([name, lengthMs]) => {
    const found = aggregates.find(one => one.name === name)!;
    return { name: `${name}_x`, expression: read(name, found.type, { window: exact(lengthMs), keys: found.keys }) };
  });
  const event: EventType = {
    ...{ name: 'payment', inputs, columns, onFault: 'reject', weight: null, at: null },
    features: columns.map(({ name }) => ({ column: name, error: null, description: '', at: null })),
  };
  return plan({ events: [event], aggregates });
}

/** About a second from each to the next. */
export function paymentLines(count: number): Uint8Array[] {
  const rng = new Random(1);
  let ms = Date.UTC(2024, 0, 1);
  return Array.from({ length: count }, () => {
    // No two at once: whose turn it is within a millisecond DuckDB does not know.
    ms += 1 + rng.below(2000);
    const who = rng.chance(0.1) ? 0 : 1 + rng.below(20_000);
    const data = {
      email: `user${who}@example.com`,
      ip: `10.${who % 200}.${rng.below(8)}.${who % 250}`,
      merchant: `m${rng.chance(0.1) ? 0 : rng.below(2000)}`,
      amount: rng.below(100_000) / 100,
      cents: rng.below(100_000),
      ok: rng.chance(0.8),
    };
    return new TextEncoder().encode(JSON.stringify({ type: 'payment', time: new Date(ms).toISOString(), data }));
  });
}

function bodyOf(lines: Uint8Array[]): Uint8Array {
  return Buffer.concat(lines.flatMap(line => [line, Uint8Array.of(10)]));
}

/** What both sides have computed: sums over all events of these columns. */
const SUMMED = ['n_x', 'spent_x', 'most_x', 'ips_x', 'good_x', 'of_ip_x', 'sales_x'];

async function replayedPerSecond(plan: Plan, lines: Uint8Array[]): Promise<{ perSecond: number; sums: number[] }> {
  const sums = SUMMED.map(() => 0n);
  let ms = 0;
  let startMs = performance.now();
  const { batches } = await replayed(plan, lines, { memoryBytes: MEMORY_BYTES });
  for await (const { columns, count } of batches) {
    ms += performance.now() - startMs;
    for (const [i, name] of SUMMED.entries()) {
      const { values } = columns.find(column => column.name === `payment.${name}`)!;
      for (let row = 0; row < count; row++) sums[i]! += (values as BigInt64Array)[row]!;
    }
    startMs = performance.now();
  }
  ms += performance.now() - startMs;
  return { perSecond: lines.length / (ms / 1000), sums: sums.map(Number) };
}

interface ByDuckDB {
  seconds: number;
  sums: number[];
  version: string;
}

function byDuckDB(python: string, path: string, threads: number): ByDuckDB {
  const { stdout, stderr, exitCode } = Bun.spawnSync([python, DUCKDB_SEQUENCE, path, String(threads)]);
  if (exitCode !== 0) throw new Error(stderr.toString());
  return JSON.parse(stdout.toString());
}

/** @param python null leaves DuckDB out */
export async function sequenceRows(events: number, python: string | null): Promise<Row[]> {
  const plan = paymentsPlan();
  const lines = paymentLines(events);
  const folder = mkdtempSync(join(tmpdir(), 'sequence-'));
  const path = join(folder, 'events.ndjson');
  writeFileSync(path, bodyOf(lines));
  try {
    const runs = { replayed: [] as number[], duck: [] as number[] };
    let version = '';
    for (let run = 0; run < RUNS; run++) {
      const { perSecond, sums } = await replayedPerSecond(plan, lines);
      runs.replayed.push(perSecond);
      if (python === null) continue;
      const duck = byDuckDB(python, path, 1);
      checkEqual('sums of ten windows', sums, duck.sums);
      runs.duck.push(lines.length / duck.seconds);
      version = duck.version;
    }
    const peer = python === null ? null : { name: `DuckDB ${version}`, value: median(runs.duck) };
    const row = (work: string, ours: number, of: Row['peer'], note: string): Row => ({
      ...{ work, unit: 'events/s', ours, peer: of, goal: null, memory: { ours: null, peer: null }, note },
    });
    return [row('topology, replayed', median(runs.replayed), peer, 'ten exact windows')];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
