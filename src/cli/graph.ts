import { type Command, Option } from 'commander';
import { type Graph, type GraphFeature, graphOf } from '../plan/graph.ts';
import { typeName } from '../plan/value.ts';
import { compileDefinitions } from './definitions.ts';

interface Options {
  config: string;
  json?: true;
  mermaid?: true;
}

/** `tilefold graph`: nothing is opened, only definitions are read. */
export function addGraph(program: Command) {
  program
    .command('graph')
    .description('show what stands on what: what each feature reads and writes, and what a change of it recomputes')
    .argument('[dir]', 'a folder of definitions, or one with a tilefold.yaml; by default what --config says')
    .addOption(new Option('--json', 'as one JSON object').conflicts('mermaid'))
    .addOption(new Option('--mermaid', 'as a flowchart for Mermaid'))
    .action(async (dir: string | undefined, _options, command: Command) => {
      const { config, json, mermaid } = command.optsWithGlobals<Options>();
      const { plan } = await compileDefinitions(dir ?? null, config);
      const graph = graphOf(plan);
      console.log(json ? JSON.stringify(graphJson(graph)) : mermaid ? mermaidText(graph) : graphText(graph));
    });
}

/** A block of lines for each feature. */
export function graphText({ features, aggregates }: Graph): string {
  const events = new Map(aggregates.map(({ name, event, fn }) => [name, `${name} (${fn} of ${event})`]));
  return features.map(feature => featureText(feature, events)).join('\n\n');
}

function featureText(feature: GraphFeature, aggregates: Map<string, string>): string {
  const { name, kind, type, description, reads, readsAggregates, writes, recomputes } = feature;
  const stored = (list: string[]) => list.map(each => aggregates.get(each)!);
  const lines = [
    ['reads', [...reads, ...stored(readsAggregates)].join(', ')],
    ['writes', stored(writes).join(', ')],
    ['recomputes', recomputes.join(', ')],
  ];
  const head = `${name}: ${typeName(type)}${kind === 'feature' ? '' : `, ${kind}`}, ${description}`;
  return [head, ...lines.flatMap(([what, text]) => (text === '' ? [] : [`  ${what!.padEnd(11)}${text}`]))].join('\n');
}

function graphJson({ features, aggregates }: Graph) {
  return {
    features: features.map(({ type, readsAggregates, ...feature }) => ({
      ...{ ...feature, type: typeName(type), reads_aggregates: readsAggregates },
    })),
    aggregates: aggregates.map(({ name, event, fn, writtenBy, readBy }) => ({
      ...{ name, event, function: fn, written_by: writtenBy, read_by: readBy },
    })),
  };
}

/** Numbers stand for names, which have signs of Mermaid's in them. */
function mermaidText({ features, aggregates }: Graph): string {
  const numbers = new Map(features.map(({ name }, i) => [name, `n${i}`]));
  const stored = new Map(aggregates.map(({ name }, i) => [name, `a${i}`]));
  const nodes = features.map(({ name, kind }) => {
    const [open, close] = { input: ['([', '])'], feature: ['[', ']'], lookup: ['{{', '}}'] }[kind];
    return `  ${numbers.get(name)}${open}"${name}"${close}`;
  });
  const stores = aggregates.map(({ name, fn }) => `  ${stored.get(name)}[("${fn} ${name}")]`);
  const read = features.flatMap(({ name, reads, readsAggregates }) => [
    ...reads.map(part => [numbers.get(part), numbers.get(name)]),
    ...readsAggregates.map(part => [stored.get(part), numbers.get(name)]),
  ]);
  const written = aggregates.flatMap(({ name, writtenBy }) =>
    writtenBy.map(part => [numbers.get(part), stored.get(name)]),
  );
  const edges = [...read, ...written].map(([from, to]) => `  ${from} --> ${to}`);
  return ['flowchart LR', ...nodes, ...stores, ...edges].join('\n');
}
