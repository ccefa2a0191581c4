import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildKernels } from './kernels.ts';

/**
 * `npm run demo`: folds a week of flights into a fresh data folder, serves it, and prints a request to try. With
 * `--once` it makes the requests itself, compares the answers with examples/flights/expected.json, and exits.
 */
const ROOT = join(import.meta.dir, '..');
const FLIGHTS = join(ROOT, 'examples/flights');
const PORT_DEFAULT = '8080';

/** What DuckDB made of the same week: per entity its keys, per feature one value a key. */
interface Expected {
  time: string;
  position: number;
  entities: Record<string, { keys: string[][]; features: Record<string, (number | null)[]> }>;
}

interface Answered {
  time: string;
  position: number;
  entities: Record<string, { keys: unknown[]; features: Record<string, { values: (number | null)[] }> }>;
}

/** @returns the process's exit code */
async function demo(once: boolean, port: string): Promise<number> {
  await buildKernels();
  const folder = await mkdtemp(join(tmpdir(), 'tilefold-demo-'));
  try {
    await cp(join(FLIGHTS, 'tilefold.yaml'), join(folder, 'tilefold.yaml'));
    await cp(join(FLIGHTS, 'features'), join(folder, 'features'), { recursive: true });
    console.log(`demo: folding a week of flights into ${folder}`);
    const ingest = tilefold(folder, ['ingest', join(FLIGHTS, 'flights-week.ndjson.gz')], 'inherit');
    if ((await ingest.exited) !== 0) return 1;
    const server = tilefold(folder, ['serve', '--port', port], 'pipe');
    const url = await addressOf(server);
    if (url === null) return 1;
    return await (once ? compareAndStop(url, server) : serveUntilStopped(url, server));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function tilefold<Out extends 'inherit' | 'pipe'>(folder: string, words: string[], stdout: Out) {
  const command = [process.execPath, join(ROOT, 'src/main.ts'), '--config', join(folder, 'tilefold.yaml'), ...words];
  return Bun.spawn(command, { stdin: 'ignore', stdout, stderr: 'inherit' });
}

/** From the server's own words; null where it ended without them. What it says is passed on. */
async function addressOf(server: Bun.Subprocess<'ignore', 'pipe', 'inherit'>): Promise<string | null> {
  const decoder = new TextDecoder();
  let said = '';
  const reader = server.stdout.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return null;
    const text = decoder.decode(value, { stream: true });
    process.stdout.write(text);
    said += text;
    const url = /serves .* on (http:\S+)\n/.exec(said)?.[1];
    if (!url) continue;
    reader.releaseLock();
    return url;
  }
}

async function serveUntilStopped(url: string, server: Bun.Subprocess): Promise<number> {
  const request = '{"features":["origin_delays:*"],"entities":{"origin":["ATL","ORD"]}}';
  console.log(`\nTry it (Ctrl-C ends it):\n\n  curl -s ${url}/v1/features -d '${request}'\n`);
  // A terminal's Ctrl-C reaches the server too. What is passed on is another signal, as a second SIGINT would cut it short.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => server.kill('SIGTERM'));
  return server.exited;
}

async function compareAndStop(url: string, server: Bun.Subprocess): Promise<number> {
  const expected: Expected = JSON.parse(await readFile(join(FLIGHTS, 'expected.json'), 'utf8'));
  const answered = await lookUp(url, expected);
  server.kill('SIGTERM');
  await server.exited;
  printSome(answered);
  const { differences, compared } = compare(expected, answered);
  for (const difference of differences) console.error(`demo: ${difference}`);
  console.log(differences.length === 0 ? `OK: ${compared} values, as DuckDB has them` : 'DIFFERENT');
  return differences.length === 0 ? 0 : 1;
}

async function lookUp(url: string, expected: Expected): Promise<Answered> {
  const features = Object.values(expected.entities).flatMap(each => Object.keys(each.features));
  const entities = Object.fromEntries(
    Object.entries(expected.entities).map(([name, { keys }]) => [name, keys.map(keyOf)]),
  );
  const response = await fetch(`${url}/v1/features`, { method: 'POST', body: JSON.stringify({ features, entities }) });
  if (!response.ok) throw new Error(`POST /v1/features answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Answered;
}

/** One key column is asked for by its value, several by their list. */
function keyOf(key: string[]): string | string[] {
  return key.length === 1 ? key[0]! : key;
}

/** Every value, doubles to the last bit. */
function compare(expected: Expected, answered: Answered) {
  const differences: string[] = [];
  let compared = 0;
  const check = (what: string, got: unknown, want: unknown) => {
    compared++;
    if (!Object.is(got, want)) differences.push(`${what} is ${got}, wanted ${want}`);
  };
  check('time', answered.time, expected.time);
  check('position', answered.position, expected.position);
  for (const [entity, { keys, features }] of Object.entries(expected.entities)) {
    for (const [name, values] of Object.entries(features)) {
      const got = answered.entities[entity]?.features[name]?.values;
      for (const [i, key] of keys.entries()) check(`${name} of ${key.join(' ')}`, got?.[i], values[i]);
    }
  }
  return { differences, compared };
}

function printSome({ time, entities }: Answered) {
  const { keys, features } = entities.origin!;
  const shown = ['flights_2h', 'flights_1d', 'delay_mean_1d', 'late_rate_1d'];
  console.log(`\nat ${time}`);
  console.table(
    Object.fromEntries(
      keys.map((key, i) => [
        String(key),
        Object.fromEntries(shown.map(name => [name, features[`origin_delays:${name}`]!.values[i]])),
      ]),
    ),
  );
}

const { values: options } = parseArgs({
  options: { once: { type: 'boolean', default: false }, port: { type: 'string' } },
});
process.exitCode = await demo(options.once, options.port ?? (options.once ? '0' : PORT_DEFAULT));
