/** Branches of a data folder: saved, compared, brought into force, and whole whatever dies and whoever else writes. */
import { describe, expect, test } from 'bun:test';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { Fault, Faults } from '../../src/base/fault.ts';
import { broughtIntoForce } from '../../src/cli/apply.ts';
import { compareSides } from '../../src/cli/branch_diff.ts';
import {
  branchPlan,
  checkSettings,
  exportTexts,
  folderTexts,
  MESSAGE_MAX,
  parseBranchName,
  withBranches,
} from '../../src/cli/branches.ts';
import { type Config, parseConfig } from '../../src/cli/config.ts';
import { openFile } from '../../src/cli/alone/database.ts';
import { localDisk } from '../../src/source/disk.ts';
import { EventLog } from '../../src/source/log.ts';
import { folders } from '../source/folder.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const newFolder = folders();

const SALES = 'event sale\nshop := $.shop as string\nn := Count(by shop last hour)\n';
const FAULTY = `${SALES}odd := nothing\n`;

async function dataFolder(settings = '') {
  const folder = newFolder();
  const path = join(folder, 'tilefold.yaml');
  const text = `log: { clock: event }\n${settings}`;
  mkdirSync(join(folder, 'features/shops'), { recursive: true });
  writeFileSync(path, text);
  const write = (file: string, text: string) => writeFileSync(join(folder, 'features', file), text);
  write('shops/sales.scowl', SALES);
  return { folder, path, write, config: parseConfig(path, text) };
}

async function saveFolder(config: Config, name: string, dir: string | null = null, message = 'why') {
  const draft = { name, ...(await folderTexts(dir, config)), author: 'ada', message };
  return withBranches(config, branches => branches.save(draft));
}

const codeOf = async (work: () => unknown): Promise<string> => {
  try {
    await work();
  } catch (error) {
    if (error instanceof Fault) return `${error.code}: ${error.message}`;
    if (error instanceof Faults) return error.message;
    throw error;
  }
  return 'nothing was wrong';
};

describe('a branch', () => {
  test('has versions that never change, and none of what is the same', async () => {
    const { config, write, folder } = await dataFolder();
    expect((await saveFolder(config, 'risk')).version).toMatchObject({ name: 'risk', version: 1, author: 'ada' });
    expect(await saveFolder(config, 'risk', null, 'other words')).toMatchObject({
      isNew: false,
      version: { version: 1 },
    });
    write('views.scowl', 'event view\nshop := $.shop as string\n');
    const { version, isNew } = await saveFolder(config, 'risk');
    expect([isNew, version.version, version.files.map(({ file }) => file)]).toEqual([
      true,
      2,
      ['shops/sales.scowl', 'views.scowl'],
    ]);
    const first = await branchPlan(config, 'risk@1');
    expect(first.plan.events.map(({ name }) => name)).toEqual(['sale']);
    expect((await branchPlan(config, 'risk')).plan.events.map(({ name }) => name)).toEqual(['sale', 'view']);
    // What was saved is what comes back, to the last byte.
    const out = join(folder, 'out');
    await withBranches(config, branches => exportTexts(branches.texts(parseBranchName('risk@1')), out));
    expect(readFileSync(join(out, 'shops/sales.scowl'), 'utf8')).toBe(SALES);
    expect(await codeOf(() => exportTexts([], out))).toStartWith(`conflict: ${out} is not empty`);
  });

  test('that does not compile is saved with its faults, and no plan', async () => {
    const { config, write } = await dataFolder();
    write('shops/sales.scowl', FAULTY);
    expect((await saveFolder(config, 'bad')).version.faults).toBe(1);
    const { faults } = await withBranches(config, branches => branches.compiled(parseBranchName('bad')));
    expect(faults[0]!.at).toMatchObject({ file: 'bad@1/shops/sales.scowl', line: 4, column: 8 });
    expect(await codeOf(() => branchPlan(config, 'bad'))).toStartWith('bad@1/shops/sales.scowl:4:8: event sale has no');
  });

  test('is cloned, selected and deleted, and no number is given twice', async () => {
    const { config, write } = await dataFolder();
    await saveFolder(config, 'a');
    write('shops/sales.scowl', FAULTY);
    await saveFolder(config, 'a');
    await withBranches(config, async branches => {
      expect(branches.clone(parseBranchName('a@1'), 'b', 'bob')).toMatchObject({ name: 'b', version: 1, faults: 0 });
      expect(await codeOf(() => branches.clone(parseBranchName('a'), 'b', 'bob'))).toStartWith('conflict: there is a');
      expect(await codeOf(() => branches.named(undefined))).toStartWith('not_found: no branch is selected');
      branches.select('b');
      expect(branches.named(undefined)).toEqual({ name: 'b', version: null });
      expect(await codeOf(() => branches.select('c'))).toStartWith('not_found: there is no branch c');
      expect(branches.selected()).toBe('b');
      expect(branches.remove(parseBranchName('a@2'))).toBe(1);
      expect(await codeOf(() => branches.show(parseBranchName('a@2')))).toBe(
        'not_found: branch a has no version 2; its latest is 1',
      );
      expect(branches.remove(parseBranchName('b'))).toBe(1);
      expect(branches.selected()).toBeNull();
      expect(await codeOf(() => branches.remove(parseBranchName('b')))).toStartWith('not_found');
      expect(branches.list().map(({ name, version }) => `${name}@${version}`)).toEqual(['a@1']);
    });
    // Version 2 was another one.
    expect((await saveFolder(config, 'a')).version.version).toBe(3);
    expect((await branchPlan(config, 'a@1')).plan.events).toHaveLength(1);
  });

  test('means what it meant when it was saved', async () => {
    const { config, path, folder } = await dataFolder();
    await saveFolder(config, 'risk');
    const later = parseConfig(path, 'lateness: 2h\ndialect: snowflake\n');
    const { plan, version } = await branchPlan(later, 'risk');
    expect(plan.latenessMs).toBe(3_600_000);
    expect(await codeOf(() => checkSettings(version, config))).toBe('nothing was wrong');
    expect(await codeOf(() => checkSettings(version, later))).toBe(
      'config: branch risk@1 was saved with lateness 1h and dialect duckdb, and the configuration says lateness 2h and dialect snowflake: save it again with these',
    );
    expect((await saveFolder(later, 'risk')).version).toMatchObject({ version: 2, latenessMs: 7_200_000 });
    // A folder with a configuration of its own is read as that says.
    expect((await saveFolder(later, 'own', folder)).version).toMatchObject({
      latenessMs: 3_600_000,
      dialect: 'duckdb',
    });
  });

  test('that cannot be one is refused', async () => {
    const { config } = await dataFolder();
    const draft = { name: 'a', texts: [{ file: 'a.scowl', text: SALES }], author: 'ada', message: 'why' };
    const settings = { latenessMs: 0, dialect: 'duckdb' };
    const save = (other: Partial<typeof draft>) =>
      codeOf(() => withBranches(config, branches => branches.save({ ...draft, ...other, settings })));
    for (const name of ['', '.a', 'a/b', 'a b', 'a@1', 'live', 'x'.repeat(129)])
      expect([name, await save({ name })]).toEqual([name, expect.stringMatching(/^request: /)]);
    for (const file of [
      '../a.yaml',
      '/a.yaml',
      'a/../b.yaml',
      '.a.yaml',
      'a\\b.yaml',
      'a//b.yaml',
      'a.txt',
      'tilefold.yaml',
    ])
      expect(await save({ texts: [{ file, text: '' }] })).toStartWith(`request: ${JSON.stringify(file)} is no file of`);
    expect(await save({ texts: [] })).toBe('request: branch a would have no files');
    expect(await save({ texts: [...draft.texts, ...draft.texts] })).toBe('request: a.scowl is there twice');
    expect(await save({ message: ' ' })).toBe('request: a message is wanted, and none is given');
    expect(await save({ message: 'x'.repeat(MESSAGE_MAX + 1) })).toStartWith('too_large: a message has at most');
    expect(await withBranches(config, branches => branches.list())).toEqual([]);
  });

  test('whose bytes were changed is not taken for what was saved', async () => {
    const { config } = await dataFolder();
    await saveFolder(config, 'risk');
    for (const packed of [Buffer.from('nothing'), zstdCompressSync(FAULTY)]) {
      const db = openFile(config.branches.sqlite);
      db.run('UPDATE definition_texts SET packed = ?', [packed]);
      db.close();
      expect(await codeOf(() => branchPlan(config, 'risk'))).toStartWith(
        'corrupt: shops/sales.scowl of branch risk@1 is not what was saved',
      );
    }
  });

  test('that cannot be saved as a whole leaves no trace', async () => {
    const { config, write } = await dataFolder();
    await saveFolder(config, 'risk');
    write('views.scowl', 'event view\nshop := $.shop as string\n');
    const db = openFile(config.branches.sqlite);
    db.run("CREATE TRIGGER full BEFORE INSERT ON branch_versions BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    await expect(saveFolder(config, 'risk')).rejects.toThrow();
    const count = (table: string) => db.query(`SELECT * FROM ${table}`).all().length;
    expect(['branch_files', 'definition_texts'].map(count)).toEqual([1, 1]);
    db.run('DROP TRIGGER full');
    db.close();
    expect((await saveFolder(config, 'risk')).version.version).toBe(2);
  });
});

test('what is compared is a branch, a folder, or what is in force', async () => {
  const { config, folder, write } = await dataFolder();
  await saveFolder(config, 'risk');
  write('shops/sales.scowl', SALES.replace('last hour', 'last day'));
  const compared = await compareSides(config, 'risk', join(folder, 'features'));
  expect(compared).toMatchObject({ changed: true, before: 'risk@1' });
  expect(compared.features.map(({ change, name }) => `${change} ${name}`)).toEqual(['redefined sale.n']);
  expect((await compareSides(config, 'risk@1', 'risk')).text).toBe('no changes');
  expect(await codeOf(() => compareSides(config, 'live', 'risk'))).toBe('not_found: no definitions are in force yet');
});

test('a branch is brought into force, as a folder is, and refused so too', async () => {
  const { write, config } = await dataFolder();
  const event = '{"type":"sale","time":"2024-01-01T00:00:00Z","data":{"shop":"a"}}\n';
  const { log } = config;
  const appended = await EventLog.open({ ...log, disk: localDisk, folder: log.dir });
  await appended.append(Buffer.from(event), 1, 1_704_067_200_000_000n);
  await appended.close();
  write('shops/sales.scowl', SALES);
  await saveFolder(config, 'first');
  await broughtIntoForce(config, '', (await branchPlan(config, 'first')).files, {});
  write('shops/sales.scowl', `${SALES}all := Count(by shop where shop != "x")\n`);
  await saveFolder(config, 'more');
  const { files } = await branchPlan(config, 'more');
  expect(await codeOf(() => broughtIntoForce(config, '', files, {}))).toStartWith(
    'more@1/shops/sales.scowl:4:8: sale.all is new, and has a lifetime',
  );
  expect((await compareSides(config, 'live', 'first')).changed).toBe(false);
  expect(await broughtIntoForce(config, '', files, { backfill: true })).toMatchObject({
    added: ['sale.all'],
    position: 1,
  });
  expect((await compareSides(config, 'live', 'more')).changed).toBe(false);
});

test('a replay takes definitions from a branch, the selected one where none is named', async () => {
  const { folder, config } = await dataFolder();
  writeFileSync(join(folder, 'e.ndjson'), '{"type":"sale","time":"2024-01-01T00:00:00Z","data":{"shop":"a"}}\n');
  await saveFolder(config, 'risk');
  await withBranches(config, branches => branches.select('risk'));
  const words = [process.execPath, MAIN, 'replay', '--log', 'e.ndjson', '--out', 'o.ndjson', '--json'];
  const child = Bun.spawn(words, { cwd: folder, stdout: 'pipe', stderr: 'ignore' });
  expect(await new Response(child.stdout).json()).toMatchObject({ events: 1, branch: { name: 'risk', version: 1 } });
  expect(JSON.parse(readFileSync(join(folder, 'o.ndjson'), 'utf8'))).toMatchObject({ 'sale.n': 1 });
});

/** Saves one version after the other, each of some files that say which it is. */
const SAVER = `
  import { Branches } from ${JSON.stringify(join(import.meta.dir, '../../src/cli/branches.ts'))};
  import { parseConfig } from ${JSON.stringify(join(import.meta.dir, '../../src/cli/config.ts'))};
  const [path, who, count] = process.argv.slice(2);
  const branches = await Branches.open(parseConfig(path, ''));
  for (let i = 0; i < Number(count); i++) {
    const texts = [0, 1, 2].map(n => ({ file: n + '.scowl', text: 'event e\\nx := $.x as int\\na := ' + i + ' -- ' + who + '\\n' + ' '.repeat(20_000) }));
    await branches.save({ name: 'b', texts, author: who, message: String(i), settings: { latenessMs: 0, dialect: 'duckdb' } });
    console.log(i);
  }
  branches.close();
`;

function saver(folder: string, path: string, who: string, count: number) {
  const script = join(folder, 'saver.ts');
  writeFileSync(script, SAVER);
  return Bun.spawn([process.execPath, script, path, who, String(count)], { stdout: 'pipe', stderr: 'inherit' });
}

/** Every version there is, with all of its files, each from the same save. */
async function wholeVersions(config: Config): Promise<number[]> {
  return withBranches(config, branches =>
    branches.list().map(version => {
      const texts = branches.texts(version).map(({ text }) => text.trim());
      expect(new Set(texts).size).toBe(1);
      expect(texts).toHaveLength(3);
      expect(texts[0]).toEndWith(`a := ${version.message} -- ${version.author}`);
      return version.version;
    }),
  );
}

test('killed while it saves, it leaves whole versions, and all that it has told', async () => {
  const { folder, path, config } = await dataFolder();
  const child = saver(folder, path, 'one', 1_000_000);
  let told = '';
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    told += decoder.decode(chunk, { stream: true });
    if (told.split('\n').length > 5) break;
  }
  child.kill('SIGKILL');
  await child.exited;
  const versions = await wholeVersions(config);
  expect(versions.length).toBeGreaterThanOrEqual(told.split('\n').length - 1);
  expect(versions).toEqual(versions.map((_, i) => i + 1));
  expect((await saveFolder(config, 'b')).version.version).toBe(versions.length + 1);
});

test('two processes save at once, and no version of either is lost', async () => {
  const { folder, path, config } = await dataFolder();
  const children = ['one', 'two'].map(who => saver(folder, path, who, 10));
  expect(await Promise.all(children.map(child => child.exited))).toEqual([0, 0]);
  expect(await wholeVersions(config)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
});
