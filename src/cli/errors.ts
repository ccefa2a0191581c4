import type { Command } from 'commander';
import { errorsPage, ERRORS_LIMIT_DEFAULT } from '../http/errors.ts';
import type { Parts } from './compose.ts';
import { withParts } from './held.ts';
import { loadConfig } from './config.ts';
import { askServer } from './remote.ts';
import { tableText } from './table.ts';

interface Options {
  config: string;
  after: string;
  limit: string;
  json?: true;
}

export function addErrors(program: Command) {
  program
    .command('errors')
    .description('list events that were logged but cannot count, and why')
    .option('--after <id>', 'only those that come after this one', '-1')
    .option('--limit <count>', 'at most so many', String(ERRORS_LIMIT_DEFAULT))
    .option('--json', 'as the server answers it')
    .action(async (_options, command: Command) => {
      const { config, after, limit, json } = command.optsWithGlobals<Options>();
      const query = { after, limit };
      const ways = {
        open: ({ meta }: Parts) => JSON.stringify(errorsPage(meta, query)),
        held: (url: string) => askServer(url, `/v1/errors?${new URLSearchParams(query)}`),
      };
      const text = await withParts(await loadConfig(config), ways, true);
      console.log(json ? text.trimEnd() : pageTable(text));
    });
}

type Page = ReturnType<typeof errorsPage>;

export function pageTable(text: string): string {
  const { errors, next }: Page = JSON.parse(text);
  if (errors.length === 0) return 'no errors';
  const rows = errors.map(({ id, position, type, code, message }) =>
    [id, position ?? '-', type ?? '-', code, message].map(String),
  );
  const table = tableText([['id', 'position', 'type', 'code', 'message'], ...rows]);
  return next === null ? table : `${table}\n\nmore with --after ${next}`;
}
