import { type Command, InvalidArgumentError } from 'commander';
import { MICROS_PER_MS, parseDuration, parseMicros } from '../base/time.ts';
import { LIFETIME_LEVEL_MS } from '../plan/window.ts';
import { levelName, type TileChoice } from '../read/tiles.ts';
import { composeTiles } from './alone/stored_tiles.ts';
import { type Config, loadConfig } from './config.ts';
import { frameMaker, writeFrame } from './frame/frame_file.ts';
import type { FrameMaker } from './frame/frame.ts';
import { withParts } from './alone/held.ts';
import { askServer } from './remote.ts';
import { WholeFile } from './frame/whole.ts';

interface Options {
  config: string;
  out: string;
  entity?: string;
  set?: string;
  level?: number;
  from?: bigint;
  to?: bigint;
  raw?: true;
  json?: true;
}

/** `tilefold tiles`: stored tiles -> a file, one row a tile. */
export function addTiles(program: Command) {
  program
    .command('tiles')
    .description('write stored tiles to a file: for each entity, key, level and tile its stored aggregates')
    .requiredOption('--out <file>', 'an .arrow, .parquet or .ndjson file, there only once all of it is')
    .option('--entity <name>', 'only of this entity')
    .option('--set <name>', 'only the aggregates of this feature set')
    .option('--level <duration>', 'only tiles of this length, such as 1m, or lifetime', levelOf)
    .option('--from <time>', 'only tiles that start then or later: RFC 3339 or epoch milliseconds', parseTime)
    .option('--to <time>', 'only tiles that start before then', parseTime)
    .option('--raw', 'states as their protobuf bytes, instead of their values')
    .option('--json', 'what was done as one JSON object')
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const makeFrame = await frameMaker(options.out);
      const { rows, position } = await exportTiles(await loadConfig(options.config), options, makeFrame);
      if (options.json) console.log(JSON.stringify({ rows, position, out: options.out }));
      else console.log(`${rows} tiles as of position ${position}, written to ${options.out}`);
    });
}

interface Exported {
  rows: number;
  position: number;
}

/**
 * Rows are read from the database, beside a server too. What is in memory goes there first, so that the tiles contain
 * every event acknowledged before.
 */
async function exportTiles(config: Config, options: Options, makeFrame: FrameMaker): Promise<Exported> {
  const write = () => writeTiles(config, options, makeFrame);
  const held = async (url: string) => {
    // Errors reach the database with the rows: who asks for them asks for a barrier.
    await askServer(url, '/v1/errors?limit=1');
    return write();
  };
  return withParts(config, { open: write, held }, true);
}

async function writeTiles(config: Config, options: Options, makeFrame: FrameMaker): Promise<Exported> {
  const tiles = await composeTiles(config, choiceOf(options));
  try {
    const out = await WholeFile.create(options.out);
    try {
      const frame = makeFrame(tiles.columns, { 'tilefold.position': String(tiles.position) });
      const rows = await writeFrame(out, frame, tiles.batches);
      await out.finish();
      return { rows, position: tiles.position };
    } catch (error) {
      await out.abandon();
      throw error;
    }
  } finally {
    tiles.close();
  }
}

function choiceOf({ entity, set, level, from, to, raw }: Options): TileChoice {
  return {
    entity: entity ?? null,
    set: set ?? null,
    levelMs: level ?? null,
    fromMs: from === undefined ? null : firstMs(from),
    toMs: to === undefined ? null : firstMs(to),
    isRaw: raw ?? false,
  };
}

/** Tiles start at whole milliseconds: the first that is not before a time. */
function firstMs(micros: bigint): number {
  const ms = Number(micros / MICROS_PER_MS);
  return micros % MICROS_PER_MS > 0n ? ms + 1 : ms;
}

function levelOf(text: string): number {
  if (text === levelName(LIFETIME_LEVEL_MS)) return LIFETIME_LEVEL_MS;
  const levelMs = parseDuration(text);
  if (levelMs === null || levelMs === 0) throw new InvalidArgumentError('wanted a duration like 1m, or lifetime');
  return levelMs;
}

/** RFC 3339 or epoch milliseconds -> microseconds since 1970 UTC. */
export function parseTime(text: string): bigint {
  const isEpoch = /^-?\d{1,15}$/.test(text);
  const micros = isEpoch ? BigInt(text) * MICROS_PER_MS : parseMicros(text);
  if (micros === null) throw new InvalidArgumentError('wanted an RFC 3339 time or epoch milliseconds');
  return micros;
}
