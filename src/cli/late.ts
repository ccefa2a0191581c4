import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { formatDuration } from '../base/time.ts';
import { lateList } from '../http/late.ts';
import { loadConfig } from './config.ts';
import { openSnapshot } from './alone/database.ts';
import { tableText } from './table.ts';

interface Options {
  config: string;
  follow?: true;
  json?: true;
}

/** How often the database is looked at: what barriers bring to it comes no more often by default. */
const FOLLOW_MS = 1000;

type Late = ReturnType<typeof lateList>['late'];

/** `tilefold late`: reads the database, beside a server too. */
export function addLate(program: Command) {
  program
    .command('late')
    .description('list events that came after their tiles were no longer kept, and which features lack them')
    .option('--follow', 'print them as they come, one a line, until it is stopped')
    .option('--json', 'as the server answers it; with --follow an object for each')
    .action(async (_options, command: Command) => {
      const { config, follow, json } = command.optsWithGlobals<Options>();
      const { store } = await loadConfig(config);
      if (follow) return followLate(store.sqlite, json ?? false);
      const list = lateIn(store.sqlite);
      console.log(json ? JSON.stringify(list) : lateText(list.late));
    });
}

/** What there is already is told first. */
async function followLate(path: string, json: boolean): Promise<never> {
  const follower = new LateFollower();
  for (;;) {
    for (const line of follower.lines(lateIn(path).late, json)) console.log(line);
    await Bun.sleep(FOLLOW_MS);
  }
}

/** Tells of each event once. Between two looks only a few for each feature set and length of tiles are kept: of others how many. */
export class LateFollower {
  /** Position of the last one that was told of. */
  #told = -1;
  /** By feature set, event type and length of tiles: how many there had been. */
  #counts = new Map<string, number>();

  lines(late: Late, json: boolean): string[] {
    const fresh = latestRefused(late).filter(({ position }) => position > this.#told);
    const missed = Math.max(0, ...late.map(one => this.#missed(one)));
    for (const one of late) this.#counts.set(placeOf(one), countOf(late, placeOf(one)));
    this.#told = fresh.at(-1)?.position ?? this.#told;
    const lines = fresh.map(one => (json ? JSON.stringify(one) : refusedCells(one).join('  ')));
    if (missed > 0) lines.unshift(json ? JSON.stringify({ missed }) : `and ${missed} before these`);
    return lines;
  }

  #missed(one: Late[number]): number {
    const { count, latest } = one;
    const before = Math.min(count, this.#counts.get(placeOf(one)) ?? 0);
    return count - before - latest.filter(({ position }) => position > this.#told).length;
  }
}

function placeOf({ event, feature_set, tile_ms }: Pick<Late[number], 'event' | 'feature_set' | 'tile_ms'>): string {
  return `${feature_set} ${tile_ms} ${event}`;
}

/** Aggregates of a set that were added later have refused fewer: what all together have is the most of any. */
function countOf(late: Late, place: string): number {
  return Math.max(...late.filter(one => placeOf(one) === place).map(({ count }) => count));
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
    tableText([['position', 'event', 'time', 'behind', 'tiles of'], ...latestRefused(late).map(refusedCells)]),
  ].join('\n\n');
}

interface RefusedEvent {
  position: number;
  event: string;
  time: string;
  behind_ms: number;
  /** Lengths of the tiles that have refused it. */
  tiles_ms: number[];
}

/** By position, each once: tiles of several lengths and sets mostly refuse the same. */
function latestRefused(late: Late): RefusedEvent[] {
  const refused = late.flatMap(({ event, tile_ms, latest }) => latest.map(one => ({ ...one, event, tile_ms })));
  const byPosition = Map.groupBy(
    refused.sort((a, b) => a.position - b.position),
    ({ position }) => position,
  );
  return [...byPosition.values()].map(those => {
    const [{ position, event, time, behind_ms }] = those as [(typeof those)[0]];
    const tiles = [...new Set(those.map(({ tile_ms }) => tile_ms))].sort((a, b) => a - b);
    return { position, event, time, behind_ms, tiles_ms: tiles };
  });
}

function refusedCells({ position, event, time, behind_ms, tiles_ms }: RefusedEvent): string[] {
  const tiles = tiles_ms.map(formatDuration).join(', ');
  return [String(position), event, time, formatDuration(Math.floor(behind_ms)), tiles];
}
