import type { Command } from 'commander';
import { horizonsOf, keepingOf } from '../ingest/expiry.ts';
import { floorDiv, MICROS_PER_MS } from '../base/time.ts';
import { lastRowsOf } from '../plan/upsert.ts';
import { keptLevels, LIFETIME_LEVEL_MS } from '../plan/window.ts';
import { decodeRow } from './decode.ts';
import type { Meta } from '../meta/meta.ts';
import { byAddress } from '../store/sqlite.ts';
import type { Row } from '../store/store.ts';
import { type Comparison, composeComparison } from './alone/comparison.ts';
import { type Config, loadConfig } from './config.ts';
import { EXIT } from './exit.ts';
import { type LogReport, surveyReport, tellReport } from './log.ts';
import { stopFirst } from './alone/held.ts';
import { foldProgress } from './progress.ts';

/** Differences told one by one: where there are more, the rows are made anew anyway. */
const DIFFERENCES_SHOWN_MAX = 20;

/** Errors compared at a time. */
const ERRORS_PAGE = 1_000;

interface Options {
  config: string;
  json?: true;
}

/** `tilefold verify`: the log is whole, and the rows are what it makes. */
export function addVerify(program: Command) {
  program
    .command('verify')
    .description('check the log, and that the stored rows are what the log makes, by folding it once more')
    .option('--json', 'as one JSON object')
    .action(async (_options, command: Command) => verify(command.optsWithGlobals<Options>()));
}

interface Difference {
  entity: string;
  key: string;
  level_ms: number;
  tile_start_ms: number;
  what: string;
}

interface Report {
  ok: boolean;
  log: LogReport;
  /** Null where the log is not whole: then nothing can be said of the rows. */
  rows: RowsReport | null;
}

interface RowsReport {
  /** Records of the log that the rows contain. */
  position: number;
  /** Why they could not be compared, and are not said to be wrong; null where they were. */
  why: string | null;
  /** Compared; those that have expired, and may be there or not, are not among them. */
  compared: number;
  differing: number;
  /** The first ones. */
  differences: Difference[];
  errors_differ: boolean;
  /** That have been in force since the rows began: they are folded one after the other. */
  plans: number;
  damages: { offset: number | null; message: string }[];
}

async function verify({ config: path, json }: Options) {
  const config = await loadConfig(path);
  const log = await surveyReport(config);
  const rows = log.ok ? await compareRows(config) : null;
  const report: Report = { ok: rows !== null && isRight(rows), log, rows };
  if (json) console.log(JSON.stringify(report));
  else {
    tellReport(log);
    if (rows) tellRows(rows, config.store.sqlite);
  }
  if (!report.ok) process.exitCode = EXIT.fault;
}

function isRight({ differing, errors_differ, damages }: RowsReport): boolean {
  return differing === 0 && !errors_differ && damages.length === 0;
}

/** Folds the log once more, and compares. */
export async function compareRows(config: Config): Promise<RowsReport> {
  const comparison = await composeComparison(config, console.error).catch((error: unknown) => {
    throw stopFirst(error);
  });
  try {
    const { store, damages } = comparison;
    const report: RowsReport = {
      ...{ position: store.mark().position, why: comparison.why, compared: 0, differing: 0 },
      ...{ differences: [], errors_differ: false, damages, plans: comparison.planCount },
    };
    // What cannot be read cannot be compared.
    if (damages.length > 0 || report.why !== null) return report;
    const refolded = await comparison.refold(foldProgress('verify'));
    const startOf = firstTiles(comparison);
    for (const [found, wanted] of pairs(live(comparison, store.scan()), live(comparison, refolded.store.scan()))) {
      const what = whatDiffers(found, wanted, startOf);
      if (what === NOTHING) continue;
      report.compared++;
      if (what === null || report.differing++ >= DIFFERENCES_SHOWN_MAX) continue;
      report.differences.push({ ...placeOf(comparison, (found ?? wanted)!), what });
    }
    report.errors_differ = !sameErrors(comparison.meta, refolded.meta);
    return report;
  } finally {
    await comparison.close();
  }
}

/** Rows that can still be asked for: the others are deleted when their turn comes. */
function* live({ plan, ids, store }: Comparison, rows: Iterable<Row>): Generator<Row> {
  const horizons = horizonsOf(keepingOf(plan, ids), store.mark().clocks);
  const beforeMs = new Map(horizons.map(horizon => [`${horizon.entity} ${horizon.levelMs}`, horizon.beforeMs]));
  for (const row of rows) if (row.tileStartMs >= (beforeMs.get(`${row.entity} ${row.levelMs}`) ?? -Infinity)) yield row;
}

/** Two scans side by side: rows under the same address, or one without the other. */
function* pairs(found: Iterable<Row>, wanted: Iterable<Row>): Generator<[Row | null, Row | null]> {
  const [left, right] = [found[Symbol.iterator](), wanted[Symbol.iterator]()];
  const next = (rows: Iterator<Row>) => rows.next().value ?? null;
  let [a, b]: (Row | null)[] = [next(left), next(right)];
  while (a || b) {
    const order: number = a && b ? byAddress(a, b) : a ? -1 : 1;
    yield [order <= 0 ? a! : null, order >= 0 ? b! : null];
    if (order <= 0) a = next(left);
    if (order >= 0) b = next(right);
  }
}

function placeOf({ plan, ids }: Comparison, { entity, key, levelMs, tileStartMs }: Row): Omit<Difference, 'what'> {
  const name = plan.entities.find(each => ids.entities.get(each.name) === entity)?.name;
  const address = { level_ms: levelMs, tile_start_ms: tileStartMs };
  return { entity: name ?? `entity ${entity}`, key: keyText(key), ...address };
}

/** From which tile on the states of an aggregate, by its number, are compared at a level; null where it keeps none there. */
type FirstTiles = (id: number, levelMs: number) => number | null;

/** Rows hold more than what can be asked for: aggregates that have gone, and tiles that are over or began when they were. */
function firstTiles({ plan, members, store }: Comparison): FirstTiles {
  const { clocks } = store.mark();
  const starts = new Map<string, number>();
  for (const aggregate of plan.aggregates) {
    const { id, known } = members.get(aggregate.name)!;
    const clock = clocks.get(aggregate.event);
    for (const { levelMs, ttlMs } of keptLevels(aggregate, plan)) {
      const overMs = clock ? Number(floorDiv(clock.at, MICROS_PER_MS)) - ttlMs + 1 : -Infinity;
      const later = levelMs === LIFETIME_LEVEL_MS ? undefined : known.levels.find(one => one.levelMs === levelMs);
      const sinceMs = later ? Number(floorDiv(later.sinceMicros, MICROS_PER_MS)) : -Infinity;
      starts.set(`${id} ${levelMs}`, Math.max(overMs, sinceMs));
    }
  }
  for (const { name } of lastRowsOf(plan)) starts.set(`${members.get(name)!.id} ${LIFETIME_LEVEL_MS}`, -Infinity);
  return (id, levelMs) => starts.get(`${id} ${levelMs}`) ?? null;
}

const NO_SUCH_ROW = 'is there, and the log makes no such row';

/** Neither row has anything that is compared. */
const NOTHING = Symbol('nothing');

function whatDiffers(found: Row | null, wanted: Row | null, startOf: FirstTiles): string | typeof NOTHING | null {
  if (found && wanted && Buffer.compare(found.value, wanted.value) === 0) return null;
  const [is, made] = [comparedStates(found, startOf), comparedStates(wanted, startOf)];
  if (typeof is === 'string') return wanted ? is : NO_SUCH_ROW;
  if (typeof made === 'string') return 'is not what the log makes';
  const ids = [...new Set([...is.keys(), ...made.keys()])];
  if (ids.length === 0) return NOTHING;
  const differing = ids.filter(id => is.get(id) !== made.get(id));
  if (differing.length === 0) return null;
  if (!found) return 'is missing';
  if (!wanted) return NO_SUCH_ROW;
  return `is not what the log makes: ${differing.length} aggregates differ, the first has number ${Math.min(...differing)}`;
}

/** By the numbers of aggregates; in words, what is wrong with a row that cannot be read. */
function comparedStates(row: Row | null, startOf: FirstTiles): Map<number, string> | string {
  const states = row ? decodeRow(row.value) : new Map<number, string>();
  if (typeof states === 'string' || !row) return states;
  for (const id of states.keys()) {
    const startMs = startOf(id, row.levelMs);
    if (startMs === null || row.tileStartMs < startMs) states.delete(id);
  }
  return states;
}

/** Keys are text mostly; what is none is shown as bytes. */
function keyText(key: Uint8Array): string {
  const text = new TextDecoder().decode(key);
  return /^[\x20-\x7e]*$/.test(text) ? text : `0x${Buffer.from(key).toString('hex')}`;
}

/** The errors of events, in order; ids and the time of day tell nothing. */
function sameErrors(one: Meta, other: Meta): boolean {
  const [left, right] = [errorTexts(one), errorTexts(other)];
  for (;;) {
    const [a, b] = [left.next(), right.next()];
    if (a.done && b.done) return true;
    if (a.value !== b.value) return false;
  }
}

function* errorTexts(meta: Meta): Generator<string, null> {
  for (let after: number | null = null; ; ) {
    const page = meta.errors({ after, limit: ERRORS_PAGE });
    for (const { position, type, code } of page) yield `${position} ${type} ${code}`;
    if (page.length < ERRORS_PAGE) return null;
    after = page.at(-1)!.id;
  }
}

function tellRows(
  { position, why, compared, differing, differences, errors_differ, plans, damages }: RowsReport,
  file: string,
) {
  for (const { offset, message } of damages) console.error(`${file}${offset === null ? '' : `:${offset}`}: ${message}`);
  for (const { entity, key, level_ms, tile_start_ms, what } of differences)
    console.error(
      `${file}: the row of ${entity} ${key}, level ${levelText(level_ms)}, tile ${tileText(level_ms, tile_start_ms)} ${what}`,
    );
  if (differing > differences.length) console.error(`... and ${differing - differences.length} more rows`);
  if (errors_differ) console.error(`${file}: the errors of events are not those that the log makes`);
  if (why !== null && damages.length === 0)
    return console.log(`rows up to record ${position} are not compared: ${why}`);
  const isRightNow = differing === 0 && !errors_differ && damages.length === 0;
  if (!isRightNow) console.error('`tilefold rebuild --from-log` makes rows and errors anew');
  const verdict = isRightNow ? 'what the log makes' : damages.length > 0 ? 'not readable' : `${differing} differ`;
  const by = plans > 1 ? ` by ${plans} plans, one after the other` : '';
  console.log(`${compared} rows up to record ${position}: ${verdict}${by}`);
}

function levelText(levelMs: number): string {
  return levelMs === 0 ? 'lifetime' : `${levelMs / 1000} s`;
}

function tileText(levelMs: number, startMs: number): string {
  return levelMs === 0 ? '-' : new Date(startMs).toISOString();
}
