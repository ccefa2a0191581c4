import type { Command } from 'commander';
import { Fault } from '../base/fault.ts';
import { parseExactly } from '../base/json.ts';
import { didYouMean } from '../base/name.ts';
import { keyJson } from '../http/columnar.ts';
import { explanationJson, parseExplain } from '../http/explain.ts';
import type { Plan } from '../plan/plan.ts';
import { answered } from './cluster/asking.ts';
import { isClustered } from './cluster/cluster.ts';
import type { Parts } from './alone/compose.ts';
import { type Config, loadConfig } from './config.ts';
import { withParts } from './alone/held.ts';
import { atJson, groupKeys, type CellValue, valueText } from './lookup.ts';
import { servedPlan } from './in_force.ts';
import { askServer } from './remote.ts';
import { tableText } from './table.ts';

interface Options {
  config: string;
  at?: string;
  json?: true;
}

export function addExplain(program: Command) {
  program
    .command('explain')
    .description('print why a feature has its value: its windows, their tiles, and what each of these holds')
    .argument('<feature>', 'set:name')
    .argument('<key...>', 'the key, a word for each of its columns')
    .option('--at <time>', 'RFC 3339 or epoch milliseconds; now by default')
    .option('--json', 'as the server answers it')
    .action(async (feature: string, key: string[], _options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const text = await explain(await loadConfig(options.config), options.config, feature, key, options.at);
      process.stdout.write(options.json ? text : `${explanationText(text)}\n`);
    });
}

/** In a cluster by its rows; else by the server where one holds the data folder, or by opening it. All answer in the same JSON. */
async function explain(
  config: Config,
  path: string,
  feature: string,
  words: string[],
  at: string | undefined,
): Promise<string> {
  const bodyBy = (plan: Plan) => explainBody(plan, feature, words, at);
  const asked = (plan: Plan) => parseExplain(new TextEncoder().encode(bodyBy(plan)));
  if (isClustered(config))
    return answered(config, path, async one => explanationJson(await one.explain(asked(one.plan))));
  const ways = {
    open: async ({ plan, reader }: Parts) => explanationJson(await reader.explain(asked(plan))),
    held: (url: string) => askServer(url, '/v1/explain', { method: 'POST', body: bodyBy(servedPlan(config)) }),
  };
  return withParts(config, ways, true);
}

/** The request that `POST /v1/explain` takes. */
function explainBody(plan: Plan, name: string, words: string[], at: string | undefined): string {
  const feature = plan.features.find(each => each.name === name);
  if (!feature) {
    const known = plan.features.map(each => each.name);
    throw new Fault('not_found', `no feature ${name}${didYouMean(name, known)}`);
  }
  const entity = plan.entities.find(each => each.name === feature.entity)!;
  const [key, ...more] = groupKeys(entity, words);
  if (more.length > 0) throw new Fault('request', `one key is explained at a time, and ${words.join(' ')} are several`);
  return `{"feature":${JSON.stringify(name)},"key":${keyJson(key!)},"at":${atJson(at)}}`;
}

/** As the server writes it, every number as the digits that it has there. */
interface TextExplanation extends TextValue {
  feature: string;
  entity: string;
  key: string | string[];
  time: string;
  position: string | null;
  expression: string;
  from: (TextValue & { feature: string })[];
  reads: TextRead[];
}

interface TextValue {
  value: CellValue;
  status: string | null;
}

interface TextRead extends TextValue {
  aggregate: string;
  window: string;
  start: string | null;
  end: string | null;
  reason: string | null;
  cover: (TextSpan & { begun: string; held: string })[];
  tiles: (TextSpan & TextValue)[];
}

interface TextSpan {
  level: string;
  start: string | null;
  end: string | null;
}

/** The feature and what it is made of, then each read: its window, its cover, and the tiles that hold something. */
export function explanationText(text: string): string {
  const explanation = parseExactly<TextExplanation>(text);
  const { feature, entity, key, time, position, expression, from, reads } = explanation;
  const at = position === null ? `at ${time}` : `at ${time}, position ${position}`;
  const head = [`${feature} of ${entity} ${[key].flat().join(' ')} is ${cellText(explanation)}`, `  = ${expression}`];
  for (const one of from) head.push(`  ${one.feature} is ${cellText(one)}`);
  return [head.join('\n'), ...reads.map(readText), at].join('\n\n');
}

function readText(read: TextRead): string {
  const { aggregate, window, start, end, reason, cover, tiles } = read;
  const bounds = start === null ? 'of all events' : `from ${start} ${end === null ? 'on' : `to ${end}`}`;
  const lines = [`${aggregate} over ${window}, ${bounds}, is ${cellText(read)}`];
  if (reason !== null) lines.push(`  ${read.status}: ${reason}`);
  const held = cover.filter(({ begun }) => begun !== '0');
  for (const { level, start: from, end: to, begun, held: count } of held)
    lines.push(
      level === 'lifetime'
        ? '  the lifetime has a row of its own'
        : `  ${begun} x ${level} from ${from}${to === null ? '' : ` to ${to}`}: ${count} with events`,
    );
  if (tiles.length === 0) return lines.join('\n');
  const rows = tiles.map(tile => [tile.level, tile.start ?? '-', tile.end ?? '-', cellText(tile)]);
  return `${lines.join('\n')}\n\n${tableText([['level', 'start', 'end', aggregate], ...rows])}`;
}

function cellText({ value, status }: TextValue): string {
  return status === null ? valueText(value) : `${valueText(value)} ${status}`;
}
