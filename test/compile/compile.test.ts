import { afterAll, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault, Faults } from '../../src/base/fault.ts';
import { compileFolder, compileSources } from '../../src/compile/compile.ts';
import { formatFaults } from '../../src/compile/listing.ts';
import { FLIGHT, faultsOf, setOf } from './marked.ts';

const HOUR = { latenessMs: 3_600_000 };
const COUNTED = 'SELECT origin, COUNT(*) AS n FROM flight GROUP BY origin';

const made: string[] = [];
afterAll(async () => {
  for (const folder of made) await rm(folder, { recursive: true });
});

async function folderOf(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'compile-'));
  made.push(folder);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

async function thrownBy(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    error => error,
  );
}

describe('examples/flights', () => {
  test('compiles to three sets', async () => {
    const plan = await compileFolder('examples/flights/features', HOUR);
    expect(plan.sets.map(set => [set.name, set.entity])).toEqual([
      ['destination_delays', 'destination'],
      ['origin_delays', 'origin'],
      ['route_delays', 'route'],
    ]);
    // Six aggregates a set, each over four windows, and two derived features.
    expect(plan.aggregates.length).toBe(3 * 6);
    expect(plan.features.length).toBe(3 * (6 * 4 + 2));
    expect(plan.features.map(feature => feature.name)).toContain('origin_delays:flights_lifetime');
    expect(plan.sets[0]!.at).toMatchObject({ file: 'examples/flights/features/destination_delays.yaml', line: 2 });
  });
  test('a configuration in the folder is no definition', async () => {
    const plan = await compileFolder('examples/flights', HOUR);
    expect(plan).toEqual(await compileFolder('examples/flights/features', HOUR));
  });
});

describe('folders', () => {
  test('all faults of all files come out at once, by file, line and column', async () => {
    const folder = await folderOf({
      'b.yaml': setOf('SELECT origin, SUM(x) AS n, SUM(y) AS m FROM flight GROUP BY origin'),
      'a/c.yml': `${setOf('SELECT origin, SUM(z) AS n FROM flight GROUP BY origin').replace('s\n', 't\n')}windo: 1\n---\nkey: 1\n`,
      'a.yaml': `${FLIGHT}  bad: double\n  bad: string\n`,
      'tilefold.yaml': 'no: definition\n',
      '.hidden/x.yaml': 'no: definition\n',
      'readme.txt': 'no definition',
    });
    const error = await thrownBy(compileFolder(folder, HOUR));
    expect(error).toBeInstanceOf(Faults);
    const lines = (error as Faults).message.split('\n').map(line => line.replace(`${folder}/`, ''));
    expect(lines.map(line => line.split(' ').slice(0, 3).join(' '))).toEqual([
      'a.yaml:13:3: the key',
      'a/c.yml:6:22: event flight',
      'a/c.yml:7:1: unknown key',
      'a/c.yml:9:1: feature_set is',
      'a/c.yml:9:1: entity is',
      'a/c.yml:9:1: source is',
      'a/c.yml:9:1: windows is',
      'a/c.yml:9:1: sql is',
      'a/c.yml:9:6: key: got',
      'b.yaml:6:22: event flight',
      'b.yaml:6:35: event flight',
    ]);
  });
  test('several feature sets stand in one file', async () => {
    const two = `${FLIGHT}${setOf(COUNTED)}---\n${setOf(COUNTED).replace('feature_set: s', 'feature_set: t')}`;
    const { plan, faults } = await compileSources([{ file: 'a.yaml', text: two }], HOUR);
    expect(faults).toEqual([]);
    expect(plan.features.map(feature => feature.name)).toEqual(['s:n_2h', 't:n_2h']);
    expect(plan.sets[1]!.at).toEqual({ file: 'a.yaml', line: 19, column: 14, length: 1 });
  });
  test('a feature set has one name', async () => {
    expect(await faultsOf(FLIGHT, setOf(COUNTED), setOf(COUNTED))).toEqual([
      '2.yaml:1:14+1: feature set "s" is there twice: first at 1.yaml:1:14',
    ]);
  });
  test('whatever refers to a faulty declaration is not blamed', async () => {
    const broken = FLIGHT.replace('delay: { type: int64, optional: true }', 'delay: strin').replace(
      'origin: string\n  r',
      'origin: x\n  r',
    );
    expect(await faultsOf(broken, setOf('SELECT SUM(delay) AS n FROM flight GROUP BY origin'))).toEqual([
      '0.yaml:5:12+5: unknown type "strin"; did you mean "string"?',
      '0.yaml:10:11+1: origin: a key column is a bool, int64, string or time, not x',
    ]);
  });
  test('what is no definition', async () => {
    expect(await faultsOf('- 1\n')).toEqual([
      '0.yaml:1:1+3: wanted a mapping with keys like types, events, entities, feature_set',
    ]);
    expect(await faultsOf('evens: {}\n')).toEqual(['0.yaml:1:1+5: unknown key "evens"; did you mean "events"?']);
    expect(await faultsOf('', '# nothing\n')).toEqual([]);
    const empty = await folderOf({ 'a.txt': '' });
    expect(await thrownBy(compileFolder(empty, HOUR))).toEqual(
      new Fault('config', `no definitions: there is no *.yaml or *.scowl file in ${empty}`),
    );
    expect(await thrownBy(compileFolder(join(empty, 'x'), HOUR))).toEqual(
      new Fault('config', `definitions: the folder ${empty}/x cannot be read (ENOENT)`),
    );
  });
});

test('an entity has no more windows than are read together, over all its sets', async () => {
  const windows = (from: number) => Array.from({ length: 32 }, (_, i) => `${from + i}h`).join(', ');
  const setWith = (name: string, from: number) => ({
    file: `${name}.yaml`,
    text: setOf(COUNTED)
      .replace(/feature_set: .*/, `feature_set: ${name}`)
      .replace(/windows: .*/, `windows: [${windows(from)}]`),
  });
  const sources = [setWith('a', 24), setWith('b', 56), setWith('c', 88)];
  const events = { file: '0.yaml', text: FLIGHT };
  expect((await compileSources([events, ...sources.slice(0, 2)], HOUR)).faults).toEqual([]);
  const { faults } = await compileSources([events, ...sources], HOUR);
  expect(faults.map(({ message, at }) => `${at!.file}: ${message}`)).toEqual([
    'c.yaml: origin has 96 different windows up to this set, and at most 64 are read together; use fewer lengths, or the same tiles',
  ]);
});

test('faults are listed with the line they are about', () => {
  const at = { file: 'a.yaml', line: 2, column: 4, length: 3 };
  const faults = [
    new Fault('definition', 'no', at),
    new Fault('config', 'nowhere'),
    new Fault('definition', 'gone', { ...at, file: 'b' }),
  ];
  const text = 'x: 1\n\ty: 😀z and more\r\n';
  expect(formatFaults(faults, file => (file === 'a.yaml' ? text.replace('y: 😀z', 'yz😀z') : null))).toBe(
    'a.yaml:2:4: no\n    \tyz😀z and more\n    \t  ^^\nnowhere\nb:2:4: gone',
  );
  expect(formatFaults(faults)).toBe('a.yaml:2:4: no\nnowhere\nb:2:4: gone');
});

test('a compiled binary brings the SQL parser along', async () => {
  const folder = await folderOf({ 'features/a.yaml': `${FLIGHT}${setOf(COUNTED)}` });
  const source = join(folder, 'app.ts');
  const compile = join(import.meta.dir, '../../src/compile/compile.ts');
  await writeFile(
    source,
    `import { compileFolder } from ${JSON.stringify(compile)};
const plan = await compileFolder('features', { latenessMs: 0 });
console.log(plan.features.map(feature => feature.name).join());`,
  );
  const binary = join(folder, 'app');
  const build = Bun.spawnSync([process.execPath, 'build', '--compile', source, '--outfile', binary], {
    stderr: 'pipe',
  });
  expect(build.exitCode, build.stderr.toString()).toBe(0);
  const empty = await folderOf({ 'features/a.yaml': `${FLIGHT}${setOf(COUNTED)}` });
  const run = Bun.spawnSync([binary], { cwd: empty, stderr: 'pipe' });
  expect(run.stderr.toString()).toBe('');
  expect(run.stdout.toString()).toBe('s:n_2h\n');
  expect(await readdir(empty)).toEqual(['features']);
});
