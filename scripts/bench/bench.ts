/**
 * bench.ts [decode|window|tiles|serving|posting|aggregates|topology|replay|cluster|tired...] [--full] [--events N] [--binary dist/tilefold]: what docs/bench.md describes.
 * chart.ts draws what it writes.
 * All but `cluster` and `tired` where none is named; --full tiles 10,000,000 events instead of a million, and --events as many as it says.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { compileFolder } from '../../src/compile/compile.ts';
import { buildKernels } from '../kernels.ts';
import { findPython, MAKE_VENV } from '../python.ts';
import packages from '../../package.json' with { type: 'json' };
import { aggregateRows } from './aggregates.ts';
import { answeringRows } from './answering.ts';
import { clusterRows } from './cluster.ts';
import { blocksOf, decodeRows } from './decode.ts';
import { eventLog, WEEK_DAYS } from './events.ts';
import { type Row, ratioOf, table } from './measure.ts';
import { makeFolder, programOf, servingRows } from './serving.ts';
import { postingRows } from './posting.ts';
import { replayRows } from './replay.ts';
import { sequenceRows } from './sequence.ts';
import { DAYS_TIRED, type Tired, tileRows, tiredRun, tiredTable } from './tiles.ts';
import { windowRows } from './window.ts';

const ROOT = join(import.meta.dir, '../..');
const FLIGHTS = join(ROOT, 'examples/flights');
const FLIGHTS_WEEK = join(FLIGHTS, 'flights-week.ndjson.gz');
const TILES = join(import.meta.dir, 'features/tiles');
const SERVING = join(import.meta.dir, 'features/serving');
const OUT = join(ROOT, '.cache/bench.json');

const EVENTS = 1_000_000;
const EVENTS_FULL = 10_000_000;
/** Decoded: enough for a second or so of JSON.parse, and held in memory whole. */
const EVENTS_DECODED = 200_000;
const SEED = 42;
/** Of the tired run every tenth event is of a user who was never there before. */
const NEW_USERS = 10;

/** The cluster's servers have the same two cores: fewer events. */
const EVENTS_CLUSTER = 20_000;
/** Only where they are named. */
const NAMED = ['cluster', 'tired'];

const PARTS: Record<string, (options: Options) => Promise<Row[]>> = {
  decode: async () => {
    const views = await eventLog({ events: EVENTS_DECODED, seed: SEED, newUsers: 0, days: WEEK_DAYS });
    return [
      ...(await decodeRows('flights', await blocksOf(FLIGHTS_WEEK), await eventType(join(FLIGHTS, 'features')))),
      ...(await decodeRows('views', await blocksOf(views), await eventType(TILES))),
    ];
  },
  window: async () => {
    const views = await eventLog({ events: EVENTS_DECODED, seed: SEED, newUsers: 0, days: WEEK_DAYS });
    return [
      ...(await windowRows('flights', join(FLIGHTS, 'features'), FLIGHTS_WEEK, 'route')),
      ...(await windowRows('views', SERVING, views, 'post')),
    ];
  },
  tiles: async ({ events }) => {
    const python = findPython();
    if (python === null) console.error(`bench: no Python, so DuckDB is left out. Make one with: ${MAKE_VENV}`);
    return tileRows(await eventLog({ events, seed: SEED, newUsers: 0, days: WEEK_DAYS }), python);
  },
  serving: async ({ binary }) => {
    const events = await eventLog({ events: EVENTS, seed: SEED, newUsers: 0, days: WEEK_DAYS });
    const program = programOf(binary);
    const { folder, row } = await makeFolder(events, EVENTS, program);
    return [row, ...(await servingRows(folder, events, program))];
  },
  posting: async ({ binary }) =>
    postingRows(await eventLog({ events: EVENTS, seed: SEED, newUsers: 0, days: WEEK_DAYS }), programOf(binary)),
  aggregates: () => aggregateRows(findPython()),
  topology: async ({ binary }) => [
    ...(await sequenceRows(EVENTS_DECODED, findPython())),
    ...(await answeringRows(programOf(binary))),
  ],
  cluster: async ({ binary, isGiven, events }) => {
    const wanted = isGiven ? events : EVENTS_CLUSTER;
    const views = await eventLog({ events: wanted, seed: SEED, newUsers: 0, days: WEEK_DAYS });
    const inputs = [
      { name: 'flights', definitions: join(FLIGHTS, 'features'), lines: await linesOf(FLIGHTS_WEEK, wanted) },
      { name: 'views', definitions: SERVING, lines: await linesOf(views, wanted) },
    ];
    return clusterRows(inputs, programOf(binary));
  },
  replay: async ({ events }) =>
    replayRows(await eventLog({ events, seed: SEED, newUsers: 0, days: WEEK_DAYS }), findPython()),
};

interface Options {
  /** Of `tiles`, `replay`, `cluster` and `tired`. */
  events: number;
  /** Whether somebody has said so. */
  isGiven: boolean;
  binary?: string | undefined;
}

async function linesOf(path: string, count: number): Promise<string[]> {
  const bytes = await Bun.file(path).bytes();
  const text = new TextDecoder().decode(path.endsWith('.gz') ? Bun.gunzipSync(bytes) : bytes);
  return text.trimEnd().split('\n').slice(0, count);
}

async function eventType(definitions: string) {
  return (await compileFolder(definitions, { latenessMs: 0 })).events[0]!;
}

async function bench(names: string[], options: Options): Promise<void> {
  const unknown = names.filter(name => name !== 'tired' && !Object.hasOwn(PARTS, name));
  if (unknown.length > 0)
    throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}, tired`);
  await buildKernels();
  const machine = machineText();
  console.log(machine.join('\n'));
  const rows: Row[] = [];
  for (const name of names.length > 0 ? names : Object.keys(PARTS)) {
    if (name === 'tired' || (names.length === 0 && NAMED.includes(name))) continue;
    console.error(`bench: ${name}`);
    rows.push(...(await PARTS[name]!(options)));
  }
  if (rows.length > 0) console.log(`\n${table(rows)}`);
  let tired: Tired | null = null;
  if (names.includes('tired')) {
    tired = await tiredRun(
      await eventLog({ events: options.events, seed: SEED, newUsers: NEW_USERS, days: DAYS_TIRED }),
    );
    console.log(`\n${tiredTable(tired)}`);
  }
  await mkdir(dirname(OUT), { recursive: true });
  const told = rows.map(row => ({ ...row, ratio: ratioOf(row) }));
  await writeFile(OUT, `${JSON.stringify({ machine, rows: told, tired }, null, 2)}\n`);
}

/** What the numbers are worth nothing without. */
function machineText(): string[] {
  const cores = cpus();
  const { name, version } = packages;
  const words = process.argv.slice(2);
  return [
    `${new Date().toISOString().slice(0, 16)}Z: ${['npm run bench', ...(words.length > 0 ? ['--', ...words] : [])].join(' ')}`,
    `machine: ${cores.length} cores, ${cores[0]!.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB; load before ${loadavg()[0]!.toFixed(1)}`,
    `versions: ${name} ${version}, Bun ${Bun.version}, @bufbuild/protobuf ${packages.dependencies['@bufbuild/protobuf']}, hono ${packages.dependencies.hono}`,
  ];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { full: { type: 'boolean', default: false }, events: { type: 'string' }, binary: { type: 'string' } },
});
await bench(positionals, {
  ...values,
  events: Number(values.events ?? (values.full ? EVENTS_FULL : EVENTS)),
  isGiven: values.full || values.events !== undefined,
});
