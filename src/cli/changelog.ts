import { type Command, InvalidArgumentError } from 'commander';
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { formatMicros } from '../base/time.ts';
import { cellJson } from '../http/columnar.ts';
import type { FeatureColumn } from '../kernel/feature_column.ts';
import { STATUS } from '../kernel/window.ts';
import type { TileBatch, TileColumn } from '../read/tiles.ts';
import type { Touch } from '../replay/history.ts';
import { composeChanges, composeHistory } from './alone/retelling.ts';
import { type Config, loadConfig } from './config.ts';
import { frameMaker, writeFrame } from './frame/frame_file.ts';
import type { FrameMaker } from './frame/frame.ts';
import { positionOf, written } from './log.ts';
import { entityOf, groupKeys, oneMore } from './lookup.ts';
import { planOf } from './plan_cache.ts';
import { tableText } from './table.ts';
import { WholeFile } from './frame/whole.ts';

interface Options {
  config: string;
  from?: number;
  to?: number;
  json?: true;
}

interface HistoryOptions extends Options {
  feature?: string[];
}

interface DumpOptions extends Options {
  out: string;
  entity?: string;
  set?: string;
  step?: number;
  raw?: true;
}

/** Changes of so many events are put together where nothing else is said: few enough to tell when, many enough to be quick. */
const STEP_DEFAULT = 1000;

/** `tilefold changelog`: what events have made of rows, of one key or of all. Both read the log, beside a server too. */
export function addChangelog(program: Command) {
  const changelog = program
    .command('changelog')
    .description('print the history of one key: each event that counts for it, and what its tiles are after that')
    .argument('<entity>', 'what it is a key of, such as origin')
    .argument('<key...>', 'the key, a word for each of its columns')
    .option('--feature <name>', 'set:name or set:*, may be given again: their values as of each event too', oneMore)
    .option('--from <position>', 'the first event that is told', positionOf)
    .option('--to <position>', 'the first one that is left out', positionOf)
    .option('--json', 'one JSON object a line, an event each')
    .action(async (entity: string, key: string[], _options, command: Command) => {
      const options = command.optsWithGlobals<HistoryOptions>();
      await tellHistory(await loadConfig(options.config), entity, key, options);
    });
  changelog
    .command('dump')
    .description('write all changes to a file: for each entity, key and tile what a stretch of events adds to it')
    .requiredOption('-o, --out <file>', 'an .arrow, .parquet or .ndjson file, there only once all of it is')
    .option('--from <position>', 'the first event', positionOf)
    .option('--to <position>', 'the first one that is left out', positionOf)
    .option('--step <count>', `so many events go together, ${STEP_DEFAULT} by default`, stepOf)
    .option('--entity <name>', 'only of this entity')
    .option('--set <name>', 'only the aggregates of this feature set')
    .option('--raw', 'states as their protobuf bytes, instead of their values')
    .option('--json', 'what was done as one JSON object')
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<DumpOptions>();
      const makeFrame = await frameMaker(options.out);
      const rows = await dumpChanges(await loadConfig(options.config), options, makeFrame);
      if (options.json) console.log(JSON.stringify({ rows, out: options.out }));
      else console.log(`${rows} changes written to ${options.out}`);
    });
}

// --- the history of one key

async function tellHistory(config: Config, entityName: string, words: string[], options: HistoryOptions) {
  const { plan } = await planOf(config);
  const entity = entityOf(plan, entityName);
  const [key, ...more] = groupKeys(entity, words);
  if (more.length > 0) throw new Fault('request', `the history of one key is told, got ${more.length + 1} of them`);
  const asked = { entity: entityName, key: key!, features: options.feature ?? [] };
  const { answer, features, touches } = await composeHistory(config, asked, stretchOf(options));
  const read = features.flatMap(({ cells }) => cells.map(({ member }) => answer.members[member]!.aggregate.name));
  const isShown = (name: string) => features.length === 0 || read.includes(name);
  let count = 0;
  for await (const touch of touches) {
    const tiles = touch.tiles.flatMap(batch => tilesOf(batch, isShown));
    const text = options.json ? touchJson(touch, tiles) : `${count > 0 ? '\n' : ''}${touchText(touch, tiles)}`;
    count++;
    if (!(await written(new TextEncoder().encode(`${text}\n`)))) return;
  }
  if (count === 0 && !options.json) console.log(`no event counts for ${entityName} ${words.join(' ')}`);
}

/** One tile of a key: its aggregates' values as JSON, by name. */
interface ShownTile {
  level: string;
  /** Null for the lifetime. */
  start: string | null;
  aggregates: [name: string, json: string][];
}

function tilesOf({ count, columns }: TileBatch, isShown: (name: string) => boolean): ShownTile[] {
  const named = (name: string) => columns.find(column => column.name === name)!;
  const [level, start] = [named('_level'), jsonOf(named('_tile_start'))];
  const shown = columns.filter(({ name }) => !name.startsWith('_') && isShown(name));
  const cells = shown.map(jsonOf);
  return Array.from({ length: count }, (_, row) => ({
    level: (level.values as string[])[row]!,
    start: JSON.parse(start(row)) as string | null,
    aggregates: shown.map(({ name }, i) => [name, cells[i]!(row)]),
  }));
}

function jsonOf({ name, type, values, nulls }: TileColumn): (row: number) => string {
  assert(type.kind !== 'bytes', `${name} is finished: raw states are what a dump is for`);
  return cellJson({ name, type, values: values as FeatureColumn['values'], nulls });
}

function touchJson({ position, timeMicros, type, features }: Touch, tiles: ShownTile[]): string {
  const object = (members: [string, string][]) =>
    `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;
  const shownTiles = tiles.map(({ level, start, aggregates }) =>
    object([
      ['level', JSON.stringify(level)],
      ['start', JSON.stringify(start)],
      ['aggregates', object(aggregates)],
    ]),
  );
  const values = features.map((column): [string, string] => {
    const status = STATUS[column.statuses[0]!];
    const value: [string, string] = ['value', cellJson(column)(0)];
    return [column.name, object(status ? [value, ['status', JSON.stringify(status)]] : [value])];
  });
  return object([
    ['position', String(position)],
    ['time', JSON.stringify(formatMicros(timeMicros))],
    ['type', JSON.stringify(type)],
    ['tiles', `[${shownTiles.join(',')}]`],
    ...(features.length > 0 ? [['features', object(values)] as [string, string]] : []),
  ]);
}

/** Aggregates down, tiles across; then features, each with its value. */
function touchText({ position, timeMicros, type, features }: Touch, tiles: ShownTile[]): string {
  const parts = [`${position}  ${formatMicros(timeMicros)}  ${type}`];
  if (tiles.length > 0) {
    const heads = tiles.map(({ level, start }) => (start === null ? level : `${level} ${start}`));
    const rows = tiles[0]!.aggregates.map(([name], i) => [
      name,
      ...tiles.map(tile => cellText(tile.aggregates[i]![1])),
    ]);
    parts.push(tableText([['', ...heads], ...rows]));
  }
  if (features.length > 0) {
    const rows = features.map(column => [column.name, withStatus(cellText(cellJson(column)(0)), column)]);
    parts.push(tableText([['feature', 'value'], ...rows]));
  }
  return parts.join('\n');
}

function cellText(json: string): string {
  return json === 'null' ? '-' : json;
}

function withStatus(text: string, { statuses }: FeatureColumn): string {
  const status = STATUS[statuses[0]!];
  return status ? `${text} ${status}` : text;
}

// --- all changes

async function dumpChanges(config: Config, options: DumpOptions, makeFrame: FrameMaker): Promise<number> {
  const { entity = null, set = null, step = STEP_DEFAULT, raw = false } = options;
  const choice = { entity, set, levelMs: null, fromMs: null, toMs: null, isRaw: raw };
  const { columns, batches } = await composeChanges(config, choice, { ...stretchOf(options), step });
  const out = await WholeFile.create(options.out);
  try {
    const rows = await writeFrame(out, makeFrame(columns), batches);
    await out.finish();
    return rows;
  } catch (error) {
    await out.abandon();
    throw error;
  }
}

function stretchOf({ from = 0, to = Infinity }: Options): { from: number; to: number } {
  return { from, to };
}

function stepOf(text: string): number {
  const step = Number(text);
  if (!/^\d{1,9}$/.test(text) || step === 0) throw new InvalidArgumentError('wanted a number of events, from 1');
  return step;
}
