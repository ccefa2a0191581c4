import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { formatDuration } from '../base/time.ts';
import { lateList } from '../http/late.ts';
import { loadConfig } from './config.ts';
import { openSnapshot } from './database.ts';
import { tableText } from './table.ts';

interface Options {
  config: string;
  json?: true;
}

type Late = ReturnType<typeof lateList>['late'];

/** `tilefold late`: reads the database, beside a server too. */
export function addLate(program: Command) {
  program
    .command('late')
    .description('list events that came after their tiles were no longer kept, and which features lack them')
    .option('--json', 'as the server answers it')
    .action(async (_options, command: Command) => {
      const { config, json } = command.optsWithGlobals<Options>();
      const { store } = await loadConfig(config);
      const list = lateIn(store.sqlite);
      console.log(json ? JSON.stringify(list) : lateText(list.late));
    });
}

function lateIn(path: string): ReturnType<typeof lateList> {
  if (!existsSync(path)) return lateList([]);
  const { meta, close } = openSnapshot(path);
  try {
    return lateList(meta.late());
  } finally {
    close();
  }
}

/** A line for each set and length of tiles, and one for each of the latest events that any of them refused. */
export function lateText(late: Late): string {
  if (late.length === 0) return 'nothing came too late';
  const rows = late.map(({ event, feature_set, aggregates, tile_ms, count, first }) => [
    event,
    `${feature_set} (${aggregates.length === 1 ? aggregates[0] : `${aggregates.length} aggregates`})`,
    formatDuration(tile_ms),
    String(count),
    first.clock,
    String(first.position),
  ]);
  return [
    tableText([['event', 'lacking in', 'tiles of', 'events', 'since', 'position'], ...rows]),
    tableText([['position', 'event', 'time', 'behind', 'tiles of'], ...latestRows(late)]),
  ].join('\n\n');
}

/** By position, each once: tiles of several lengths and sets mostly refuse the same. */
function latestRows(late: Late): string[][] {
  const refused = late.flatMap(({ event, tile_ms, latest }) => latest.map(one => ({ ...one, event, tile_ms })));
  const byPosition = Map.groupBy(
    refused.sort((a, b) => a.position - b.position),
    ({ position }) => position,
  );
  return [...byPosition.values()].map(those => {
    const [{ position, event, time, behind_ms }] = those as [(typeof those)[0]];
    const tiles = [...new Set(those.map(({ tile_ms }) => tile_ms))].sort((a, b) => a - b).map(formatDuration);
    return [String(position), event, time, formatDuration(Math.floor(behind_ms)), tiles.join(', ')];
  });
}
