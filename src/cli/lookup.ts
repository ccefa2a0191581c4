import type { Command } from 'commander';
import { Fault } from '../base/fault.ts';
import { parseExactly } from '../base/json.ts';
import { orWhichThereAre } from '../base/name.ts';
import { answerJson, keyJson } from '../http/columnar.ts';
import { parseLookup } from '../http/features.ts';
import type { Entity, Plan } from '../plan/plan.ts';
import type { Type } from '../plan/value.ts';
import type { KeyInput, KeyPart } from '../kernel/key.ts';
import type { Lookup } from '../read/read.ts';
import { answered } from './cluster/asking.ts';
import { checkAlone, isClustered, SHADOW_INSTEAD } from './cluster/cluster.ts';
import type { Parts } from './alone/compose.ts';
import { withParts } from './alone/held.ts';
import { type Config, loadConfig } from './config.ts';
import { servedPlan } from './in_force.ts';
import { askServer } from './remote.ts';
import { stillNow, stillShadow } from './shadow_rows.ts';
import { tableText } from './table.ts';

interface Options {
  config: string;
  at?: string;
  feature?: string[];
  shadow?: string;
  json?: true;
}

export function addLookup(program: Command) {
  program
    .command('lookup')
    .description('print the features of an entity, now or at a moment')
    .argument('<entity>', 'what to look up, such as origin')
    .argument('<key...>', 'keys; an entity with several key columns takes them in groups')
    .option('--at <time>', 'RFC 3339 or epoch milliseconds; now by default')
    .option('--feature <name>', 'set:name or set:*, may be given again; all of the entity by default', oneMore)
    .option('--shadow <name>', 'as a shadow answers, from what it has written')
    .option('--json', 'as the server answers it')
    .action(async (entity: string, keys: string[], _options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const text = await lookup(await loadConfig(options.config), entity, keys, options);
      process.stdout.write(options.json ? text : `${answerTable(text)}\n`);
    });
}

export function oneMore(name: string, names: string[] = []): string[] {
  return [...names, name];
}

/** In a cluster by its rows; else by the server where one holds the data folder, or by opening it. All answer in the same JSON. */
async function lookup(config: Config, entityName: string, keys: string[], options: Options): Promise<string> {
  if (options.shadow !== undefined) return lookupShadow(config, options.shadow, entityName, keys, options);
  const bodyBy = (plan: Plan) => lookupBody(plan, entityName, keys, options);
  if (isClustered(config))
    return answered(config, options.config, async one =>
      new TextDecoder().decode(answerJson(await one.lookup(asked(bodyBy(one.plan))))),
    );
  const ways = {
    open: async ({ plan, reader }: Parts) =>
      new TextDecoder().decode(answerJson(await reader.lookup(asked(bodyBy(plan))))),
    held: (url: string) => askServer(url, '/v1/features', { method: 'POST', body: bodyBy(servedPlan(config)) }),
  };
  return withParts(config, ways, true);
}

function asked(body: string): Lookup {
  return parseLookup(new TextEncoder().encode(body));
}

async function lookupShadow(config: Config, name: string, entity: string, keys: string[], options: Options) {
  checkAlone(config, 'a shadow', SHADOW_INSTEAD);
  const rows = await stillShadow(config, name);
  try {
    const body = lookupBody(rows.plan, entity, keys, options);
    const reader = rows.readerAt(
      () => rows.position,
      () => stillNow(config, rows),
    );
    return new TextDecoder().decode(answerJson(reader.lookup(asked(body))));
  } finally {
    rows.close();
  }
}

/** The request that `POST /v1/features` takes. */
export function lookupBody(plan: Plan, entityName: string, keys: string[], options: Omit<Options, 'config'>): string {
  const entity = entityOf(plan, entityName);
  const sets = plan.sets.filter(set => set.entity === entityName).map(set => `${set.name}:*`);
  const features = JSON.stringify(options.feature ?? sets);
  const entities = `{${JSON.stringify(entityName)}:[${groupKeys(entity, keys).map(keyJson).join(',')}]}`;
  return `{"features":${features},"entities":${entities},"at":${atJson(options.at)}}`;
}

/** A moment of the command line as requests have it. */
export function atJson(at: string | undefined): string {
  return at === undefined ? 'null' : /^-?\d+$/.test(at) ? at : JSON.stringify(at);
}

export function entityOf(plan: Plan, name: string): Entity {
  const entity = plan.entities.find(each => each.name === name);
  if (entity) return entity;
  const known = plan.entities.map(each => each.name);
  throw new Fault('not_found', `there is no entity ${name}${orWhichThereAre(name, known)}`);
}

export function groupKeys(entity: Entity, texts: string[]): KeyInput[] {
  const columns = entity.keys.length;
  if (texts.length % columns !== 0)
    throw new Fault(
      'request',
      `${entity.name} has ${columns} key columns, and ${texts.length} keys are no whole groups of them`,
    );
  const parts = texts.map((text, i) => keyPart(entity, entity.keys[i % columns]!, text));
  if (columns === 1) return parts;
  return Array.from({ length: parts.length / columns }, (_, i) => parts.slice(i * columns, (i + 1) * columns));
}

/** A word of the command line as the type that the key column has. */
function keyPart(entity: Entity, type: Type, text: string): KeyPart {
  if (type.kind === 'int64' && /^-?\d+$/.test(text)) return BigInt(text);
  if (type.kind === 'bool' && (text === 'true' || text === 'false')) return text === 'true';
  if (type.kind === 'string' || type.kind === 'time') return text;
  throw new Fault('request', `a key of ${entity.name} is ${type.kind}, and ${JSON.stringify(text)} is none`);
}

/** Every number as the digits that the answer has for it: a table has no use for rounded ones. */
interface TextAnswer {
  time: string;
  position: string | null;
  entities: Record<string, { keys: (string | string[])[]; features: Record<string, TextColumn> }>;
}

export type TextCell = string | boolean | null;
export type CellValue = TextCell | TextCell[] | Record<string, string>;

interface TextColumn {
  values: CellValue[];
  statuses?: (string | null)[];
  since?: string;
}

/** Features down, keys across, one table for each entity. */
export function answerTable(text: string): string {
  const answer = parseExactly<TextAnswer>(text);
  const at = answer.position === null ? `at ${answer.time}` : `at ${answer.time}, position ${answer.position}`;
  const tables = Object.entries(answer.entities).map(([entity, { keys, features }]) => {
    const header = [entity, ...keys.map(key => [key].flat().join(' '))];
    const rows = Object.entries(features).map(([name, column]) => [name, ...keys.map((_, i) => cellText(column, i))]);
    return tableText([header, ...rows]);
  });
  return [...tables, [at, ...sinceLines(answer)].join('\n')].join('\n\n');
}

/** What WARMING is about: a line for each time, with the features that it holds for where there are several. */
function sinceLines({ entities }: TextAnswer): string[] {
  const columns = Object.values(entities).flatMap(({ features }) => Object.entries(features));
  const bySince = Map.groupBy(
    columns.filter(([, { since }]) => since !== undefined),
    ([, { since }]) => since,
  );
  return [...bySince].map(([since, of]) => {
    const names = bySince.size > 1 ? `: ${of.map(([name]) => name).join(', ')}` : '';
    return `WARMING: its events are known since ${since}${names}`;
  });
}

/** So many items of a list or a map are shown: more would push the other keys out of sight. */
const ITEMS_SHOWN_MAX = 5;

export function valueText(value: CellValue): string {
  if (value === null) return '-';
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return `[${itemsText(value.map(valueText))}]`;
  return `{${itemsText(Object.entries(value).map(([key, of]) => `${key}: ${of}`))}}`;
}

function itemsText(items: string[]): string {
  const shown = items.slice(0, ITEMS_SHOWN_MAX).join(', ');
  const left = items.length - ITEMS_SHOWN_MAX;
  return left > 0 ? `${shown}, ... ${left} more` : shown;
}

function cellText({ values, statuses }: TextColumn, index: number): string {
  const value = valueText(values[index]!);
  return statuses?.[index] ? `${value} ${statuses[index]}` : value;
}
