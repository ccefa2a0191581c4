import { constants, setPriority } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { compileFolder } from '../compile/compile.ts';
import { definitionsIn } from './apply.ts';
import { checkAlone, SHADOW_INSTEAD } from './cluster/cluster.ts';
import { type Config, loadConfig, parseSize } from './config.ts';
import { EXIT } from './exit.ts';
import { stopFirst } from './alone/held.ts';
import { oneMore } from './lookup.ts';
import { LINE_EVERY_MS } from './progress.ts';
import { diffShadow, type ShadowDiff } from './shadow_diff.ts';
import { dropShadow, openShadow, shadowStates } from './shadow_rows.ts';
import { tableText } from './table.ts';

interface Options {
  config: string;
  json?: true;
}

interface RunOptions extends Options {
  fromStart?: true;
  once?: true;
  memory: number;
}

interface DiffOptions extends Options {
  keys: number;
  feature?: string[];
}

/** Rows in memory: little, for it is not in a hurry. */
const MEMORY_DEFAULT = 64 << 20;

const KEYS_DEFAULT = 1_000;

/** `tilefold shadow`: tries definitions on the live events, beside whoever serves others. */
export function addShadow(program: Command) {
  const shadow = program
    .command('shadow')
    .description('try definitions on live events, in rows of their own, beside those that are served');
  shadow
    .command('run')
    .description('fold definitions beside those in force, until SIGINT or SIGTERM; started again it goes on')
    .argument('<name>', 'what it is called')
    .argument('[dir]', 'a folder of definitions; not needed for one that has been begun')
    .option('--from-start', 'with the first event of the log, instead of those that come from now on')
    .option('--once', 'end where the rows that are served are now')
    .option('--memory <size>', 'what its rows in memory may occupy, 64MiB by default', sizeOf, MEMORY_DEFAULT)
    .option('--json', 'where it has come to, as one JSON object')
    .action(async (name: string, dir: string | undefined, _options, command: Command) =>
      run(name, dir ?? null, command.optsWithGlobals<RunOptions>()),
    );
  shadow
    .command('list')
    .description('what shadows there are, and how far they have come')
    .option('--json', 'as one JSON array')
    .action(async (_options, command: Command) => list(command.optsWithGlobals<Options>()));
  shadow
    .command('diff')
    .description('compare its values with those that are served, for some keys, at one position and moment')
    .argument('<name>', 'of the shadow')
    .option('--keys <count>', 'so many keys of each entity, 1000 by default', countOf, KEYS_DEFAULT)
    .option('--feature <name>', 'set:name or set:*, may be given again; all that both have by default', oneMore)
    .option('--json', 'as one JSON object')
    .action(async (name: string, _options, command: Command) => diff(name, command.optsWithGlobals<DiffOptions>()));
  shadow
    .command('drop')
    .description('delete a shadow and its rows')
    .argument('<name>', 'of the shadow')
    .option('--json', 'as one JSON object')
    .action(async (name: string, _options, command: Command) => drop(name, command.optsWithGlobals<Options>()));
}

/** @throws Fault `unsupported` in a cluster */
async function loadAlone(path: string): Promise<Config> {
  const config = await loadConfig(path);
  checkAlone(config, 'a shadow', SHADOW_INSTEAD);
  return config;
}

async function run(name: string, dir: string | null, { config: path, fromStart, once, memory, json }: RunOptions) {
  const config = await loadAlone(path);
  const plan = dir === null ? null : await compileFolder(await definitionsIn(dir, config), config);
  // Whoever serves goes first.
  setPriority(constants.priority.PRIORITY_LOW);
  const settings = { isFromStart: fromStart ?? false, memoryBytes: memory };
  const shadow = await openShadow(config, name, plan, settings).catch((error: unknown) => {
    throw stopFirst(error);
  });
  let isStopped = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      isStopped = true;
    });
  if (!json) console.error(`shadow ${name} folds from record ${shadow.position()} on`);
  let lineMs = performance.now();
  const onRound = (position: number, end: number) => {
    if (once) isStopped = isStopped || position >= end;
    if (json || performance.now() - lineMs < LINE_EVERY_MS) return;
    lineMs = performance.now();
    console.error(`shadow ${name}: ${position} of ${end} records`);
  };
  await shadow.follow(() => isStopped, onRound);
  const { from } = shadow;
  const position = shadow.position();
  await shadow.close();
  console.log(
    json ? JSON.stringify({ name, from, position }) : `shadow ${name} has records ${from} to ${position - 1}`,
  );
}

async function list({ config: path, json }: Options) {
  const states = shadowStates(await loadAlone(path));
  if (json) return console.log(JSON.stringify(states));
  if (states.length === 0) return console.log('no shadows');
  const rows = states.map(one => [
    one.name,
    String(one.features),
    String(one.from),
    String(one.position),
    String(one.served_position - one.position),
    one.running ? 'running' : 'stopped',
  ]);
  console.log(tableText([['shadow', 'features', 'from', 'next', 'behind', ''], ...rows]));
}

async function diff(name: string, { config: path, keys, feature, json }: DiffOptions) {
  const found = await diffShadow(await loadAlone(path), name, { keysMax: keys, names: feature ?? null });
  console.log(json ? JSON.stringify(found) : diffText(found));
  if (found.features.some(({ differing }) => differing > 0)) process.exitCode = EXIT.changes;
}

function diffText({ position, time, keys, features, not_compared }: ShadowDiff): string {
  const rows = features.map(one => [
    one.feature,
    String(one.compared),
    String(one.same),
    String(one.differing),
    String(one.warming),
    one.match_rate === null ? '-' : `${percentOf(one.match_rate)}%`,
  ]);
  const examples = features.flatMap(({ feature, examples }) =>
    examples.map(({ key, served, shadow }) => [`${feature} of ${[key].flat().join(' ')}`, served, shadow]),
  );
  const counts = Object.entries(keys).map(([entity, count]) => `${count} ${entity}`);
  return [
    ...(rows.length > 0 ? [tableText([['feature', 'keys', 'same', 'differ', 'WARMING', 'match'], ...rows])] : []),
    ...(examples.length > 0 ? [tableText([['such as', 'served', 'shadow'], ...examples])] : []),
    ...(not_compared.length > 0 ? [not_compared.map(({ feature, why }) => `${feature} ${why}`).join('\n')] : []),
    `at ${time}, position ${position - 1}; keys: ${counts.join(', ') || 'none'}`,
  ].join('\n\n');
}

/** Never 100 where something differs. */
function percentOf(rate: number): string {
  return (Math.floor(rate * 10_000) / 100).toFixed(2);
}

async function drop(name: string, { config: path, json }: Options) {
  try {
    dropShadow(await loadAlone(path), name);
  } catch (error) {
    throw stopFirst(error);
  }
  console.log(json ? JSON.stringify({ dropped: name }) : `shadow ${name} is gone`);
}

function sizeOf(text: string): number {
  const size = parseSize(text);
  if (size === null || size < 1 << 20) throw new InvalidArgumentError('wanted a size of 1MiB or more, such as 64MiB');
  return size;
}

function countOf(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 1_000_000)
    throw new InvalidArgumentError('wanted a number from 1 to 1000000');
  return count;
}
