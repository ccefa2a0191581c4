import type { Command } from 'commander';
import { errorsPage, ERRORS_LIMIT_DEFAULT } from '../http/errors.ts';
import { isClustered, openBroker } from './cluster/cluster.ts';
import type { Parts } from './alone/compose.ts';
import { withParts } from './alone/held.ts';
import { type KafkaConfig, loadConfig } from './config.ts';
import { askServer } from './remote.ts';
import { tableText } from './table.ts';
import { toldErrors } from './told.ts';

interface Options {
  config: string;
  after: string;
  limit: string;
  type?: string;
  json?: true;
}

/** `tilefold errors`: what cannot count, here, through the server that holds the log, or of a cluster. */
export function addErrors(program: Command) {
  program
    .command('errors')
    .description('list events that were logged but cannot count, and why')
    .option('--after <id>', 'only those that come after this one', '-1')
    .option('--limit <count>', 'at most so many', String(ERRORS_LIMIT_DEFAULT))
    .option('--type <name>', 'only those of this event type')
    .option('--json', 'as the server answers it')
    .action(async (_options, command: Command) => {
      const { config, after, limit, type, json } = command.optsWithGlobals<Options>();
      const query = { after, limit, ...(type !== undefined && { type }) };
      const ways = {
        open: async ({ meta }: Parts) => JSON.stringify(await errorsPage(meta.errors, query)),
        held: (url: string) => askServer(url, `/v1/errors?${new URLSearchParams(query)}`),
      };
      const loaded = await loadConfig(config);
      const text = isClustered(loaded) ? await toldIn(loaded.kafka!, query) : await withParts(loaded, ways, true);
      console.log(json ? text.trimEnd() : pageTable(text));
    });
}

type Query = Parameters<typeof errorsPage>[1];
type Page = Awaited<ReturnType<typeof errorsPage>>;

/** Of a cluster, whose broker has them. */
async function toldIn(kafka: KafkaConfig, query: Query): Promise<string> {
  const broker = await openBroker(kafka);
  try {
    return JSON.stringify(await errorsPage(toldErrors(broker, kafka), query));
  } finally {
    await broker.close();
  }
}

export function pageTable(text: string): string {
  const { errors, next }: Page = JSON.parse(text);
  if (errors.length === 0) return 'no errors';
  const rows = errors.map(({ id, position, type, code, message }) =>
    [id, position ?? '-', type ?? '-', code, message].map(String),
  );
  const table = tableText([['id', 'position', 'type', 'code', 'message'], ...rows]);
  return next === null ? table : `${table}\n\nmore with --after ${next}`;
}
