import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Command } from 'commander';
import { assert } from '../base/assert.ts';
import { Fault, faultLine } from '../base/fault.ts';
import { compileSources } from '../compile/compile.ts';
import { NAME } from '../compile/name.ts';
import { type Column, entityOf, type Inferred, inferFiles, type LeftOut, measuresOf, type Struct } from './infer.ts';

/** Numbers that get aggregates of their own; who wants more copies a line. */
const MEASURES_MAX = 2;

/** `tilefold init`: a configuration and a first feature set, with comments to go on from. */
export function addInit(program: Command) {
  program
    .command('init')
    .description('write a commented tilefold.yaml and a first feature set; with --events made for these events')
    .argument('[dir]', 'where to, by default here', '.')
    .option('--events <file>', 'NDJSON, gzip or not: samples to infer the inputs of event types from')
    .action(async (dir: string, { events }: { events?: string }) => {
      const { files, next } = events === undefined ? blank() : await fromSamples(events);
      await writeFiles(dir, files);
      const steps = relative(process.cwd(), dir) === '' ? next : [`cd ${dir}`, ...next];
      console.log(`\nTry it:\n\n${steps.map(step => `  ${step}`).join('\n')}`);
    });
}

/** What to write, by path below the folder, and what to try then. */
interface Start {
  files: Map<string, string>;
  next: string[];
}

/** Nothing is written where something is there already. */
async function writeFiles(dir: string, files: Map<string, string>) {
  for (const name of files.keys())
    if (existsSync(join(dir, name)))
      throw new Fault('config', `${join(dir, name)} is there already; nothing was written`);
  for (const [name, text] of files) {
    const path = join(dir, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { flag: 'wx' });
    console.log(`wrote ${path}`);
  }
}

function configText(clock: 'event' | 'wall'): string {
  const why = clock === 'event' ? 'now is the latest event: for recorded events' : 'now is the wall clock';
  return `# Paths are relative to this file. \`tilefold schema config\` prints a JSON Schema for editors.
log:
  dir: data/log           # every event that was accepted; what must not be lost
  clock: ${clock.padEnd(16)} # ${why}
store:
  sqlite: data/tilefold.db  # what is computed from the log
definitions: features     # a folder of *.yaml
serve:
  port: 8080
  host: 127.0.0.1         # 0.0.0.0 lets other machines in
fold:
  workers: cores          # threads that fold and answer; 0 leaves that to the one that takes requests
  memory: 256MiB          # rows in memory; beyond it they are read back from the store
  barrier: 1s             # how often changed rows are written
lateness: 1h              # events later than this read no windows
`;
}

function blank(): Start {
  const view = (name: string, path: string[], type: Column['type'], seen: number): Column => ({
    ...{ name, path, type, seen, values: new Map([['alice', 2]]) },
  });
  const columns = [
    view('user', ['user'], 'string', 4),
    view('page', ['page'], 'string', 4),
    view('ms', ['ms'], 'int64', 3),
  ];
  const type = { type: 'page_view', count: 4, changelog: null, columns, structs: [] };
  const files = new Map([
    ['tilefold.yaml', configText('wall')],
    ['features/events.yaml', eventsText([type], [], columns[0]!)],
    ['features/user_activity.yaml', setText(type, columns[0]!, measuresOf(type, columns[0]!))],
  ]);
  const event = '{"type":"page_view","time":"\'$(date -u +%FT%TZ)\'","data":{"user":"alice","page":"/","ms":80}}';
  const next = [
    'tilefold check',
    `echo '${event}' > events.ndjson`,
    'tilefold ingest events.ndjson',
    'tilefold lookup user alice',
  ];
  return { files, next };
}

async function fromSamples(file: string): Promise<Start> {
  const inferred = await inferFiles([file]);
  const { types, leftOut } = inferred;
  const first = types[0];
  if (!first)
    throw new Fault('request', `${file} holds no events: wanted JSON objects with a type and a time, one a line`);
  const start = await compiled(startOf(types, leftOut, file));
  assert(start, `what is written for ${file} can be read`);
  return start;
}

/** The start itself where it compiles, null where it needs what this version does not have. */
async function compiled(start: Start): Promise<Start | null> {
  const files = [...start.files].filter(([name]) => name.startsWith('features/'));
  const sources = files.map(([file, text]) => ({ file, text }));
  const { faults } = await compileSources(sources, { latenessMs: 3_600_000 });
  const bugs = faults.filter(({ code }) => code !== 'unsupported');
  assert(bugs.length === 0, `init writes what can be read: ${bugs.map(faultLine).join('\n')}`);
  return faults.length === 0 ? start : null;
}

/** The most frequent type that is about something gets the feature set. */
function startOf(types: Inferred[], leftOut: LeftOut[], file: string): Start {
  const files = new Map([['tilefold.yaml', configText('event')]]);
  const next = ['tilefold check', `tilefold ingest ${file}`];
  const declared = types.filter(({ columns }) => columns.length > 0);
  const subject = declared.find(type => entityOf(type) !== null);
  const entity = subject ? entityOf(subject)! : null;
  files.set('features/events.yaml', eventsText(declared, leftOut, entity));
  if (subject && entity) {
    files.set(`features/${entity.name}_activity.yaml`, setText(subject, entity, measuresOf(subject, entity)));
    next.push(`tilefold lookup ${entity.name} ${shellWord(mostFrequent(entity))}`);
  }
  return { files, next };
}

function mostFrequent({ values }: Column): string {
  let best = '';
  for (const [value, count] of values) if (count > (values.get(best) ?? 0)) best = value;
  return best;
}

function shellWord(text: string): string {
  return /^[\w./:@-]+$/.test(text) && !text.startsWith('-') ? text : `-- '${text.replaceAll("'", "'\\''")}'`;
}

export function eventsText(types: Inferred[], leftOut: LeftOut[], entity: Column | null): string {
  const events = types.map(({ type, count, changelog, columns }) => {
    const changes = changelog === null ? '' : `    changelog: ${changelog}   # rows are added and taken back\n`;
    const inputs = columns.map(column => inputLine(column, count));
    const rest = leftOut
      .filter(each => each.type === type)
      .map(({ path, why }) => `    # ${comment(path.join('.'))}: left out, ${why}\n`);
    return `  ${yamlName(type)}:\n${changes}${inputs.join('')}${rest.join('')}`;
  });
  const entities = entity
    ? `\n# What features are of, and what lookups ask for.\nentities:\n  ${yamlName(entity.name)}: ${entity.type}\n`
    : '\n# No column came again often enough to be what features are of. Name one:\n# entities:\n#   user: string\n';
  const structs = types.flatMap(({ structs }) => structs.map(structText));
  const declared = structs.length === 0 ? '' : `\n# What stands in their lists.\ntypes:\n${structs.join('')}`;
  return `# Event types and their inputs. An event that lacks an input, or has one of another type, counts nowhere.
events:
${events.join('')}${declared}${entities}`;
}

function structText({ name, fields }: Struct): string {
  const lines = fields.map(({ name: field, type, isOptional }) => {
    const spec = isOptional ? `{ type: ${type}, optional: true }` : type;
    return `    ${yamlName(field)}: ${spec}\n`;
  });
  return `  ${yamlName(name)}:\n${lines.join('')}`;
}

function inputLine({ name, path, type, seen }: Column, count: number): string {
  const isOptional = seen < count;
  const at = path.length > 1 || path[0] !== name ? `, path: ${JSON.stringify(`$.data.${path.join('.')}`)}` : '';
  const spec = isOptional || at ? `{ type: ${type}${at}${isOptional ? ', optional: true' : ''} }` : type;
  const line = `    ${yamlName(name)}: ${spec}`;
  return isOptional ? `${line}   # seen in ${seen} of ${count}\n` : `${line}\n`;
}

function setText({ type, changelog }: Inferred, entity: Column, measures: Column[]): string {
  // The greatest value of rows that may be taken back is not kept.
  const other = changelog === null ? 'MAX' : 'SUM';
  const calls = measures
    .slice(0, MEASURES_MAX)
    .flatMap(({ name }) => [
      `AVG(${sqlName(name)}) AS ${name}_mean`,
      `${other}(${sqlName(name)}) AS ${name}_${other.toLowerCase()}`,
    ]);
  const items = [sqlName(entity.name), 'COUNT(*) AS events', ...calls];
  return `# Every aggregate of the select is kept under every window: ${entity.name}_activity:events_1h, ..._lifetime.
feature_set: ${entity.name}_activity
description: what happens, by ${entity.name}
owner: ${process.env.USER && NAME.test(process.env.USER) ? process.env.USER : 'nobody yet'}
entity: ${yamlName(entity.name)}
source: ${yamlName(type)}
windows: [1h, 1d, lifetime]
sql: |
  SELECT ${items.join(',\n         ')}
  FROM ${sqlName(type)}
  GROUP BY ${sqlName(entity.name)}
derive:
  # The last hour beside the last day; null where there was nothing.
  events_hour_share: events_1h / events_1d
`;
}

/** Words that SQL would not take for a name. */
const RESERVED = new Set(
  'all and any as asc between both by case cast check collate column constraint create cross default desc describe distinct do else end except exists false fetch filter for foreign from full grant group having in inner intersect interval into is isnull join lateral leading left like limit natural not notnull null offset on only or order outer over partition pivot placing primary qualify references returning right select set show similar some table then to top trailing true union unique unpivot update user using values variadic when where window with within'.split(
    ' ',
  ),
);

function sqlName(name: string): string {
  return NAME.test(name) && !RESERVED.has(name.toLowerCase()) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** YAML reads some plain words as something else. */
function yamlName(name: string): string {
  return NAME.test(name) && !/^(true|false|null)$/i.test(name) ? name : JSON.stringify(name);
}

/** A comment ends with its line. */
function comment(text: string): string {
  return text.replace(/\s/g, ' ');
}
