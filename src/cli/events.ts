import type { Command } from 'commander';
import { compileFolder } from '../compile/compile.ts';
import { eventText, FEED_LIMIT_DEFAULT, type FeedRequest, type FeedService, parseFeed } from '../http/feed.ts';
import { LIMITS } from '../http/limits.ts';
import type { FeedEvent, FeedPage } from '../ingest/feed.ts';
import { loadConfig } from './config.ts';
import { feedService } from './feed.ts';

interface Options {
  config: string;
  type?: string;
  since?: string;
  where?: string;
  limit: string;
  follow?: true;
  json?: true;
}

/** How often the log is looked at. */
const FOLLOW_MS = 1000;

/** `tilefold events`: the log as it grows, beside a server too. */
export function addEvents(program: Command) {
  program
    .command('events')
    .description('look at the latest events of the log')
    .command('tail')
    .description('print the latest events, the newest last')
    .option('--type <name>', 'only of this type')
    .option('--since <time>', 'only of times from then on: RFC 3339')
    .option('--where <condition>', 'only those for which this is true: SQL over inputs of the type, or of all declared')
    .option('--limit <count>', 'at most so many of them', String(FEED_LIMIT_DEFAULT))
    .option('--follow', 'print others as they come, until it is stopped')
    .option('--json', 'an object a line, with position and arrival; by default the events alone')
    .action(async (_options, command: Command) => tail(command.optsWithGlobals<Options>()));
}

async function tail({ config: path, follow, json, ...options }: Options) {
  const config = await loadConfig(path);
  const feed = feedService(config, () => compileFolder(config.definitions, config), null);
  const { type, since, where, limit } = options;
  const text = Object.fromEntries(Object.entries({ type, since, where, limit }).filter(([, one]) => one !== undefined));
  const request = parseFeed(text as Record<string, string>);
  const tell = (events: FeedEvent[]) => {
    for (const event of events.toReversed()) console.log(json ? eventText(event) : textOf(event));
  };
  const page = await feed.events(request);
  tell(page.events);
  for (let { position } = page; follow; ) {
    await Bun.sleep(FOLLOW_MS);
    const came = await cameAfter(position, feed, request);
    tell(came.events);
    position = came.position;
  }
}

/** However many they are. */
async function cameAfter(after: number, feed: FeedService, request: FeedRequest): Promise<FeedPage> {
  const all = { ...request, after, limit: LIMITS.feed_page.value };
  const page = await feed.events(all);
  for (let { next } = page; next !== null; ) {
    const more = await feed.events({ ...all, before: next });
    page.events.push(...more.events);
    next = more.next;
  }
  return page;
}

function textOf({ line }: FeedEvent): string {
  return new TextDecoder().decode(line);
}
