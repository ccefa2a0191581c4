/**
 * sequence.ts [--events 200000] [--batch 100]: events that read ten exact windows of what events have written, one after the other;
 * one key is a tenth of them. In process: answered with their features, in bodies of --batch events, and replayed. Prints
 * what it took as JSON.
 */
import { Database } from 'bun:sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Window } from '../../src/plan/expression.ts';
import type { Aggregate, EventType, Plan } from '../../src/plan/plan.ts';
import { localDisk } from '../../src/source/disk.ts';
import { BOOL, DOUBLE, INT64, REQUIRED, STRING, type Type } from '../../src/plan/value.ts';
import { aggregate, column, plan, read } from '../../test/oracle/fixtures/spell.ts';
import { EVENT_CLOCK, openEngine } from '../../test/sim/engine.ts';
import { Random } from '../../test/sim/random.ts';
import { replayed } from '../../test/sim/replayed.ts';

const EXACT = { levelsMs: [1, 1000, 60_000, 1_800_000, 86_400_000], offsetMs: 0 };
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

/** @param secondsApart of two events, on the average */
export function paymentLines(count: number, secondsApart: number): Uint8Array[] {
  const rng = new Random(1);
  let ms = Date.UTC(2024, 0, 1);
  return Array.from({ length: count }, () => {
    ms += rng.below(secondsApart * 2000);
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

/** Events a second, each answered with its features: through the log and into the rows, on the disk. */
export async function enrichedPerSecond(plan: Plan, lines: Uint8Array[], batch: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'sequence-'));
  const engine = await openEngine(plan, {
    ...{ disk: localDisk, folder: join(folder, 'log'), db: new Database(join(folder, 'rows.db'), { strict: true }) },
    ...{ foldMemoryBytes: 256 << 20, expires: true, segmentBytes: 64 << 20 },
  });
  const bodies = Array.from({ length: Math.ceil(lines.length / batch) }, (_, i) =>
    bodyOf(lines.slice(i * batch, (i + 1) * batch)),
  );
  const startMs = performance.now();
  let barrierMs = startMs;
  for (const body of bodies) {
    await engine.ingest.enrich(body, 'ndjson');
    if (performance.now() - barrierMs < 1000) continue;
    await engine.ingest.barrier();
    barrierMs = performance.now();
  }
  const seconds = (performance.now() - startMs) / 1000;
  await engine.close();
  rmSync(folder, { recursive: true });
  return lines.length / seconds;
}

export async function replayedPerSecond(plan: Plan, lines: Uint8Array[]): Promise<number> {
  const startMs = performance.now();
  const { batches } = await replayed(plan, lines, { memoryBytes: 256 << 20 });
  for await (const { count } of batches) if (count < 0) throw new Error('no batch is less than none');
  return lines.length / ((performance.now() - startMs) / 1000);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '200000' },
      batch: { type: 'string', default: '100' },
      apart: { type: 'string', default: '1' },
    },
  });
  const of = paymentsPlan();
  const lines = paymentLines(Number(values.events), Number(values.apart));
  const replayed = Math.round(await replayedPerSecond(of, lines));
  console.log(JSON.stringify({ replayed }));
  const enriched = Math.round(await enrichedPerSecond(of, lines, Number(values.batch)));
  console.log(
    JSON.stringify({ clock: EVENT_CLOCK.kind, events: lines.length, batch: Number(values.batch), enriched, replayed }),
  );
}
