/**
 * Random definitions over tame random logs, as DuckDB has them: each aggregate over the events that the window ought to
 * hold, by SQL of its own.
 */
import { expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import type { FeatureColumn } from '../../src/kernel/feature_column.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { ScalarKind, Value } from '../../src/plan/value.ts';
import { floorTile } from '../../src/plan/window.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine } from '../sim/engine.ts';
import { valueAt } from '../sim/judge.ts';
import { seeds } from '../seeds.ts';
import { type Case, randomCase, trialOf } from './case.ts';
import { compileDefinitions, type InputSpec, type SetSpec } from './definitions.ts';
import { KINDS } from './menu.ts';

/** Other seeds than those of proof.test.ts. */
const FIRST_SEED = 200_000;
const SEEDS = seeds(40, 1_000).map(seed => FIRST_SEED + seed - 1);
const TIMEOUT_MS = 600_000;

/** What scripts/python/duckdb_cases.py takes. */
interface Asked {
  tables: { name: string; columns: [string, string][]; rows: unknown[][] }[];
  queries: string[];
}

/** A query's features in the order of its columns, which follow those of the key. */
interface Question {
  set: SetSpec;
  names: string[];
}

type Shown = null | boolean | number | string | Shown[];

const SQL_TYPES: Record<ScalarKind, string> = {
  bool: 'BOOLEAN',
  int64: 'BIGINT',
  double: 'DOUBLE',
  string: 'VARCHAR',
  time: 'TIMESTAMP',
};

const python = pythonOrSkip('random definitions = DuckDB');

test.skipIf(python === null)(
  `${SEEDS.length} random definitions are what DuckDB makes of them`,
  async () => {
    const cases: { seed: number; of: Case; plan: Plan; log: Log; asked: Asked; questions: Question[] }[] = [];
    for (const seed of SEEDS) {
      const of = await randomCase(seed, 'tame');
      const { plan } = await compileDefinitions(of.definitions);
      const log = parseLog(of.lines.join('\n'), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
      const { asked, questions } = questionsOf(of, plan, log);
      if (questions.length > 0) cases.push({ seed, of, plan, log, asked, questions });
    }
    const input = new TextEncoder().encode(
      JSON.stringify(
        cases.map(({ asked }) => asked),
        bigintText,
      ),
    );
    const output = runPython(python!, ['scripts/python/duckdb_cases.py'], input);
    const answers = JSON.parse(new TextDecoder().decode(output)) as (Shown[][] | null)[][];
    let compared = 0;
    for (const [i, { seed, of, plan, questions }] of cases.entries())
      compared += await compareCase(seed, of, plan, questions, answers[i]!);
    console.log(`${cases.length} definitions, ${compared} values compared with DuckDB`);
    expect(compared).toBeGreaterThan(3 * SEEDS.length);
  },
  TIMEOUT_MS,
);

function bigintText(_name: string, of: unknown): unknown {
  return typeof of === 'bigint' ? String(of) : of;
}

function isScalar({ kind }: InputSpec): boolean {
  return (KINDS as readonly string[]).includes(kind);
}

function questionsOf({ definitions }: Case, plan: Plan, log: Log): { asked: Asked; questions: Question[] } {
  const byTime = log.records.toSorted((a, b) => Number(a.time - b.time) || a.position - b.position);
  const tables = definitions.types.map(({ name, inputs }) => {
    const scalars = inputs.filter(isScalar);
    const columns = scalars.map(({ name: input, kind }): [string, string] => [input, SQL_TYPES[kind as ScalarKind]]);
    const good = byTime.flatMap((record, order) =>
      record.type === name && record.bad === null ? [{ record, order }] : [],
    );
    const rows = good.map(({ record, order }) => [order, record.time, ...scalars.map(one => record.inputs[one.name])]);
    return { name, columns: [['_order', 'BIGINT'], ['_time', 'TIMESTAMP'], ...columns] as [string, string][], rows };
  });
  const asked: Asked = { tables, queries: [] };
  const questions: Question[] = [];
  for (const set of definitions.sets) {
    const items = set.items.filter(({ duckdb }) => duckdb !== null);
    const isChangelog = definitions.types.find(({ name }) => name === set.source)!.changelog !== null;
    if (items.length === 0 || isChangelog || (set.where && !set.where.isDuckdb)) continue;
    // Windows that are over are not said in SQL here.
    for (const window of set.windows.filter(text => !text.includes(' '))) {
      const label = window.split('@')[0]!;
      const names = items.map(item => `${set.name}:${item.name}_${label}`);
      asked.queries.push(
        queryOf(
          set,
          items.map(({ duckdb }) => duckdb!),
          fromMicros(plan, log, names[0]!),
        ),
      );
      questions.push({ set, names });
    }
  }
  return { asked, questions };
}

/** When the feature's window begins; null for a lifetime. */
function fromMicros(plan: Plan, log: Log, feature: string): bigint | null {
  const { expression } = plan.features.find(({ name }) => name === feature)!;
  if (expression.kind !== 'read' || expression.read.window.kind !== 'sliding') return null;
  const { aggregate, window } = expression.read;
  const { offsetMs } = plan.aggregates.find(({ name }) => name === aggregate)!.tiles;
  const nowMs = Math.floor(Number(log.records.at(-1)!.now / 1000n));
  return BigInt(floorTile(nowMs - window.lengthMs, window.resolutionMs, offsetMs)) * 1000n;
}

function queryOf({ keys, source, where }: SetSpec, items: string[], from: bigint | null): string {
  const conditions = [
    ...keys.map(key => `${key} IS NOT NULL`),
    ...(where ? [`(${where.text})`] : []),
    ...(from === null ? [] : [`_time >= make_timestamp(${from})`]),
  ];
  const columns = keys.join(', ');
  return `SELECT ${columns}, ${items.join(', ')} FROM ${source} WHERE ${conditions.join(' AND ')} GROUP BY ${columns}`;
}

async function compareCase(
  seed: number,
  of: Case,
  plan: Plan,
  questions: Question[],
  answers: (Shown[][] | null)[],
): Promise<number> {
  const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  await engine.ingest.post(new TextEncoder().encode(of.lines.map(line => `${line}\n`).join('')), 'ndjson');
  let compared = 0;
  for (const [i, { set, names }] of questions.entries()) {
    const rows = answers[i] ?? [];
    if (rows.length === 0) continue;
    const kinds = plan.entities.find(({ name }) => name === set.entity)!.keys;
    const keys = rows.map(row => kinds.map(({ kind }, part) => keyPart(kind, row[part]!)));
    const { entities } = engine.reader.lookup({ features: names, entities: { [set.entity]: keys }, at: null });
    for (const [at, name] of names.entries()) {
      const column = entities[0]!.features.find(feature => feature.name === name)!;
      for (const [row, answer] of rows.entries()) {
        const theirs = answer[kinds.length + at]!;
        if (!isAlike(column, valueAt(column, row), theirs))
          throw new Error(
            `seed ${seed}: ${name} of ${JSON.stringify(keys[row], bigintText)} is ${show(valueAt(column, row))}, DuckDB has ${show(theirs)}\n${trialOf(of).definitions}`,
          );
        compared++;
      }
    }
  }
  await engine.close();
  return compared;
}

function keyPart(kind: string, shown: Shown): string | boolean {
  if (kind !== 'time') return shown as string | boolean;
  const micros = BigInt(shown as string);
  const seconds = micros / 1_000_000n - (micros % 1_000_000n < 0n ? 1n : 0n);
  const fraction = String(micros - seconds * 1_000_000n).padStart(6, '0');
  return new Date(Number(seconds) * 1000).toISOString().replace('.000Z', `.${fraction}Z`);
}

const BEYOND = ['inf', '-inf', 'nan'];

function show(of: unknown): string {
  return JSON.stringify(of, bigintText);
}

/** DuckDB rounds sums of doubles as they come: those are near; everything else is the same. */
function isAlike(column: FeatureColumn, ours: Value, theirs: Shown): boolean {
  if (Array.isArray(ours))
    return (
      Array.isArray(theirs) && ours.length === theirs.length && ours.every((one, i) => isAlike(column, one, theirs[i]!))
    );
  if (typeof ours === 'bigint') return String(ours) === theirs;
  // Its sums of int64 have 128 bits too, and end there.
  if (ours === null && typeof theirs === 'string' && /^-?\d{19,}$/.test(theirs))
    return column.type.kind === 'int64' && BigInt.asIntN(64, BigInt(theirs)) !== BigInt(theirs);
  // What is beyond a double is null for us, with OVERFLOW.
  if (typeof theirs === 'string' && BEYOND.includes(theirs)) return ours === null || !Number.isFinite(ours);
  if (typeof ours !== 'number') return ours === theirs;
  const other = Number(theirs);
  return theirs !== null && Math.abs(ours - other) <= 1e-9 * Math.max(1, Math.abs(other));
}
