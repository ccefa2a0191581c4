import { type Command, Option } from 'commander';
import { checkNewName, versionText } from '../base/version.ts';
import { formatMicros } from '../base/time.ts';
import { formatFaults } from '../compile/listing.ts';
import { branchJson } from '../http/branches.ts';
import type { BranchVersion } from '../meta/branches.ts';
import { addStarting, appliedText, broughtIntoForce, type Starting } from './apply.ts';
import { compareSides } from './branch_diff.ts';
import {
  authorHere,
  branchPlan,
  checkSettings,
  type Compiled,
  exportTexts,
  folderTexts,
  parseBranchName,
  withBranches,
} from './branches.ts';
import { loadConfig } from './config.ts';
import { EXIT } from './exit.ts';
import { tableText } from './table.ts';

interface Options {
  config: string;
  json?: true;
}

interface SaveOptions extends Options {
  message: string;
  author?: string;
}

const JSON_OPTION = ['--json', 'as one JSON object'] as const;
const NAMED = ['[name]', 'NAME, or NAME@VERSION; the selected branch by default'] as const;

/** `tilefold branch`: named versions of definitions. A server may go on meanwhile; `publish` alone changes what is in force. */
export function addBranch(program: Command) {
  const branch = program
    .command('branch')
    .description('keep versions of definitions under names, compare them, try them');
  branch
    .command('save')
    .description('save the definitions of a folder; under a name that is there they are its next version')
    .argument('<name>', 'what the branch is called')
    .argument('[dir]', 'a folder of definitions, or one with a tilefold.yaml; by default what --config says')
    .requiredOption('-m, --message <text>', 'what the version is for')
    .option('--author <name>', 'who has made it; the user of this machine by default')
    .option(...JSON_OPTION)
    .action(async (name: string, dir: string | undefined, _options, command: Command) =>
      save(name, dir ?? null, command.optsWithGlobals<SaveOptions>()),
    );
  branch
    .command('list')
    .description('the branches there are, each with its latest version; --json has all versions')
    .option(...JSON_OPTION)
    .action(async (_options, command: Command) => list(command.optsWithGlobals<Options>()));
  branch
    .command('show')
    .description('files and versions of a branch, and all that is wrong with its definitions')
    .argument(...NAMED)
    .option(...JSON_OPTION)
    .action(async (name: string | undefined, _options, command: Command) =>
      show(name, command.optsWithGlobals<Options>()),
    );
  branch
    .command('diff')
    .description('what definitions change of others: events and features added, deleted, redefined, and dirtied')
    .argument('<before>', 'NAME, NAME@VERSION, a folder such as ./features, or live: what is in force')
    .argument('[after]', 'the same; the selected branch by default')
    .option(...JSON_OPTION)
    .action(async (before: string, after: string | undefined, _options, command: Command) =>
      diff(before, after, command.optsWithGlobals<Options>()),
    );
  branch
    .command('clone')
    .description('begin another branch with the definitions of one')
    .argument('<from>', 'NAME, or NAME@VERSION')
    .argument('<to>', 'what the new branch is called')
    .option('--author <name>', 'who makes it; the user of this machine by default')
    .option(...JSON_OPTION)
    .action(async (from: string, to: string, _options, command: Command) =>
      clone(from, to, command.optsWithGlobals<Options & { author?: string }>()),
    );
  branch
    .command('select')
    .description('say which branch commands mean that are told of none; without a name, which it is')
    .argument('[name]', 'of the branch')
    .addOption(new Option('--none', 'none of them'))
    .option(...JSON_OPTION)
    .action(async (name: string | undefined, _options, command: Command) =>
      select(name, command.optsWithGlobals<Options & { none?: true }>()),
    );
  branch
    .command('export')
    .description('write the files of a branch into a folder')
    .argument('<name>', 'NAME, or NAME@VERSION')
    .argument('<dir>', 'an empty folder, or one that is made')
    .option(...JSON_OPTION)
    .action(async (name: string, dir: string, _options, command: Command) =>
      exportFiles(name, dir, command.optsWithGlobals<Options>()),
    );
  addStarting(
    branch
      .command('publish')
      .description('bring the definitions of a branch into force, as apply does those of a folder')
      .argument(...NAMED),
  )
    .option(...JSON_OPTION)
    .action(async (name: string | undefined, _options, command: Command) =>
      publish(name, command.optsWithGlobals<Options & Starting>()),
    );
  branch
    .command('delete')
    .description('delete a version, or all that have the name')
    .argument('<name>', 'NAME, or NAME@VERSION')
    .option(...JSON_OPTION)
    .action(async (name: string, _options, command: Command) => remove(name, command.optsWithGlobals<Options>()));
}

async function save(name: string, dir: string | null, { config: path, message, author, json }: SaveOptions) {
  const config = await loadConfig(path);
  const draft = { name, ...(await folderTexts(dir, config)), message, author: author ?? authorHere() };
  const { version, isNew, selected } = await withBranches(config, async branches => {
    return { ...(await branches.save(draft)), selected: branches.selected() };
  });
  if (json) return console.log(JSON.stringify({ ...branchJson(version, selected), saved: isNew }));
  console.log(isNew ? savedText(version) : `${versionText(version)} has these definitions already: nothing is saved`);
  if (version.faults === 0) return;
  const count = version.faults === 1 ? 'a fault' : `${version.faults} faults`;
  console.error(`branch: its definitions have ${count}: \`tilefold branch show ${name}\` lists them`);
}

function savedText(version: BranchVersion): string {
  const count = version.files.length;
  return `${versionText(version)}: ${count} ${count === 1 ? 'file' : 'files'} saved`;
}

async function list({ config: path, json }: Options) {
  const { all, selected } = await withBranches(await loadConfig(path), branches => {
    return { all: branches.list(), selected: branches.selected() };
  });
  if (json) return console.log(JSON.stringify({ branches: all.map(version => branchJson(version, selected)) }));
  if (all.length === 0) return console.log('there are no branches');
  const latest = [...Map.groupBy(all, ({ name }) => name).values()].map(versions => versions.at(-1)!);
  const rows = latest.map(version => [version.name === selected ? '*' : '', ...rowOf(version)]);
  console.log(tableText([['', 'branch', 'files', 'faults', 'saved', 'by', 'message'], ...rows]));
}

function rowOf(version: BranchVersion): string[] {
  const { files, faults, author, message, createdAtMicros } = version;
  const [line] = message.split('\n');
  return [versionText(version), String(files.length), String(faults), formatMicros(createdAtMicros), author, line!];
}

async function show(name: string | undefined, { config: path, json }: Options) {
  const found = await withBranches(await loadConfig(path), async branches => {
    const compiled = await branches.compiled(branches.named(name));
    const versions = branches.list().filter(each => each.name === compiled.version.name);
    return { ...compiled, versions, selected: branches.selected() };
  });
  if (!json) return console.log(shownText(found));
  const { version, versions, faults, selected } = found;
  console.log(
    JSON.stringify({
      ...branchJson(version, selected),
      versions: versions.map(each => each.version),
      found: faults.map(({ code, message, at }) => ({ code, message, at })),
    }),
  );
}

function shownText({ version, versions, files, faults, selected }: Compiled & Shown): string {
  const { name, author, message, createdAtMicros, hash } = version;
  const facts = [
    ['branch', `${versionText(version)}${name === selected ? ', selected' : ''}`],
    ['message', message],
    ['saved at', formatMicros(createdAtMicros)],
    ['by', author],
    ['hash', `sha256:${hash}`],
  ];
  const said = facts.map(([what, text]) => `${what!.padEnd(8)}  ${text}`).join('\n');
  const held = version.files.map(({ file, bytes, hash }) => [file, String(bytes), `sha256:${hash.slice(0, 16)}`]);
  const texts = new Map(files.map(({ file, text }) => [file, text]));
  const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`;
  const wrong =
    faults.length === 0 ? 'no faults' : `${formatFaults(faults, file => texts.get(file) ?? null)}\n${count}`;
  return [
    said,
    tableText([['file', 'bytes', 'hash'], ...held]),
    tableText([['version', 'files', 'faults', 'saved', 'by', 'message'], ...versions.map(rowOf)]),
    wrong,
  ].join('\n\n');
}

interface Shown {
  /** All of its branch, from the first on. */
  versions: BranchVersion[];
  selected: string | null;
}

async function diff(before: string, after: string | undefined, { config: path, json }: Options) {
  const { text, changed, ...compared } = await compareSides(await loadConfig(path), before, after);
  console.log(json ? JSON.stringify({ changed, ...compared }) : text);
  if (changed) process.exitCode = EXIT.changes;
}

async function clone(from: string, to: string, { config: path, author, json }: Options & { author?: string }) {
  const { version, selected } = await withBranches(await loadConfig(path), branches => {
    const version = branches.clone(parseBranchName(from), to, author ?? authorHere());
    return { version, selected: branches.selected() };
  });
  console.log(json ? JSON.stringify(branchJson(version, selected)) : savedText(version));
}

async function select(name: string | undefined, { config: path, none, json }: Options & { none?: true }) {
  const selected = await withBranches(await loadConfig(path), branches => {
    if (name !== undefined) checkNewName(name, 'branch');
    if (none || name !== undefined) branches.select(none ? null : name!);
    return branches.selected();
  });
  console.log(
    json ? JSON.stringify({ selected }) : selected === null ? 'no branch is selected' : `${selected} is selected`,
  );
}

async function exportFiles(name: string, dir: string, { config: path, json }: Options) {
  const { version, texts } = await withBranches(await loadConfig(path), branches => {
    const version = branches.show(parseBranchName(name));
    return { version, texts: branches.texts(version) };
  });
  await exportTexts(texts, dir);
  const files = texts.map(({ file }) => file);
  console.log(json ? JSON.stringify({ name: version.name, version: version.version, dir, files }) : files.join('\n'));
}

async function publish(name: string | undefined, { config: path, json, ...starting }: Options & Starting) {
  const config = await loadConfig(path);
  const { version, files } = await branchPlan(config, name);
  checkSettings(version, config);
  const applied = await broughtIntoForce(config, path, files, starting);
  const what = { name: version.name, version: version.version };
  console.log(json ? JSON.stringify({ ...what, ...applied }) : `${versionText(version)}\n${appliedText(applied)}`);
}

async function remove(name: string, { config: path, json }: Options) {
  const count = await withBranches(await loadConfig(path), branches => branches.remove(parseBranchName(name)));
  console.log(json ? JSON.stringify({ deleted: count }) : `${count} ${count === 1 ? 'version' : 'versions'} deleted`);
}
