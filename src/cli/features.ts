import type { Command } from 'commander';
import { Fault } from '../base/fault.ts';
import { formatDuration } from '../base/time.ts';
import { featureSets } from '../http/feature_sets.ts';
import { clusterInForce } from './cluster/asking.ts';
import { isClustered } from './cluster/cluster.ts';
import { type Config, loadConfig } from './config.ts';
import { planInForce } from './in_force.ts';
import { planOf } from './plan_cache.ts';
import { tableText } from './table.ts';

interface Options {
  config: string;
  json?: true;
}

type Sets = ReturnType<typeof featureSets>;

/** `tilefold features`: the catalogue. */
export function addFeatures(program: Command) {
  program
    .command('features')
    .description('list features: what they say, their windows, types and keys, and how fresh they are')
    .argument('[pattern]', 'of names, such as shops:* or *_1d; all by default')
    .option('--json', 'as the server answers it')
    .action(async (pattern: string | undefined, _options, command: Command) => {
      const { config, json } = command.optsWithGlobals<Options>();
      const all = await setsOf(await loadConfig(config), config);
      const found = pattern === undefined ? all : matching(all, pattern);
      console.log(json ? JSON.stringify(found) : catalogueText(found));
    });
}

/** Of what is in force, with a server and without; before anything is, of the definitions. */
async function setsOf(config: Config, path: string): Promise<Sets> {
  const inForce = isClustered(config) ? await clusterInForce(config, path) : planInForce(config);
  if (inForce) return featureSets(inForce.plan, { ...inForce.now, coming: inForce.coming });
  const { plan } = await planOf(config);
  return featureSets(plan, { position: -1, clocks: new Map(), nowMicros: null });
}

/** Sets with those of their features whose names are like the pattern: `*` stands for anything. */
export function matching({ position, feature_sets, coming }: Sets, pattern: string): Sets {
  const parts = pattern.split('*').map(part => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'));
  const like = new RegExp(`^${parts.join('.*')}$`, 's');
  const found = feature_sets.flatMap(set => {
    const features = set.features.filter(({ name }) => like.test(name));
    return features.length > 0 ? { ...set, features } : [];
  });
  if (found.length === 0) throw new Fault('not_found', `no feature is called like ${pattern}`);
  return { position, feature_sets: found, coming };
}

/** A heading and a table for each set. */
export function catalogueText({ feature_sets, coming }: Sets): string {
  const sets = feature_sets.map(set => `${headOf(set)}\n\n${tableOf(set, coming)}`);
  return [...sets, ...(coming ? [comingText(coming)] : [])].join('\n\n');
}

function comingText({ until, added, redefined, removed }: Coming): string {
  const when = until === null ? 'when they are computed from the log' : `at ${until}, when their windows are whole`;
  const changes = [
    ['added', added.length],
    ['redefined', redefined.length],
    ['removed', removed.length],
  ].flatMap(([what, count]) => (count === 0 ? [] : `${count} ${what}`));
  return `other definitions take over ${when}: ${changes.join(', ') || 'no feature changes'}`;
}

type Coming = NonNullable<Sets['coming']>;
type Set = Sets['feature_sets'][number];

function headOf({ name, description, owner, version, entity, event }: Set): string {
  const keys = entity.keys.map(({ type, column }) => [column, type].filter(text => text !== null).join(' '));
  const by = `of ${entity.name} (${keys.join(', ')}), from ${event.name}`;
  const fresh = event.clock === null ? 'no events yet' : `events from ${event.since} to ${event.clock}`;
  return [
    [`${name}: ${description || 'no description'}`, owner && `owner ${owner}`, version > 1 && `version ${version}`]
      .filter(Boolean)
      .join('; '),
    `${by}; ${fresh}`,
  ].join('\n');
}

function tableOf({ features }: Set, coming: Coming | null): string {
  const rows = features.map(feature => [
    feature.name,
    [feature.type, feature.units].filter(text => text !== null).join(', '),
    feature.description,
    [
      ...new Set(feature.aggregates.map(aggregate => `${aggregate.function}${aggregate.linear ? '' : ', monotone'}`)),
    ].join('; '),
    tilesText(feature),
    stateOf(feature, coming),
  ]);
  return tableText([['feature', 'type', 'is', 'stored', 'tiles', ''], ...rows]);
}

function stateOf({ name, warming_until }: Set['features'][number], coming: Coming | null): string {
  const warming = warming_until === null ? [] : [`WARMING until ${warming_until}`];
  const then = coming?.redefined.includes(name) ? ['to be redefined'] : coming?.removed.includes(name) ? ['to go'] : [];
  return [...warming, ...then].join(', ');
}

/** Of one aggregate: those of others that it is computed from are theirs. */
function tilesText({ aggregates, from }: Set['features'][number]): string {
  if (from.length > 0) return `from ${from.join(', ')}`;
  const tiles = aggregates[0]?.tiles ?? [];
  return tiles
    .map(tile =>
      tile.kept_ms === null ? 'lifetime' : `${formatDuration(tile.length_ms)} for ${formatDuration(tile.kept_ms)}`,
    )
    .join(', ');
}
