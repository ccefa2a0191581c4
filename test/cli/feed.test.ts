/** The latest events of a log: as a naive reader of its lines finds them, while it grows, is forgotten, and after a restart. */
import { describe, expect, test } from 'bun:test';
import { type Config, parseConfig } from '../../src/cli/config.ts';
import { feedService } from '../../src/cli/feed.ts';
import { parseTimelineName, Timelines } from '../../src/cli/timelines.ts';
import { compileSources } from '../../src/compile/compile.ts';
import { eventText, type FeedRequest, feedText, parseFeed } from '../../src/http/feed.ts';
import { localDisk } from '../../src/source/disk.ts';
import { EventLog } from '../../src/source/log.ts';
import { Random } from '../sim/random.ts';
import { folders } from '../source/folder.ts';

const SEEDS = Array.from({ length: process.env.TILEFOLD_LONG ? 60 : 4 }, (_, i) => i + 1);
const newFolder = folders();
const DECLARED = 'events:\n  sale: { shop: string, cents: int64 }\n  visit: { shop: string, cents: int64 }\n';

async function plan() {
  return (await compileSources([{ file: 'a.yaml', text: DECLARED }], { latenessMs: 0 })).plan;
}

interface Known {
  position: number;
  type: string;
  time: string;
  shop: string;
  cents: number;
}

class World {
  readonly events: Known[] = [];
  private constructor(
    readonly config: Config,
    readonly log: EventLog,
  ) {}

  static async open(feed: string): Promise<World> {
    const text = `log: { clock: event, segment: { bytes: 4KiB } }\nfeed: ${feed}\n`;
    const config = parseConfig(`${newFolder()}/tilefold.yaml`, text);
    return new World(config, await EventLog.open({ ...config.log, disk: localDisk, folder: config.log.dir }));
  }

  /** @param ago how long before now they arrive */
  async append(rng: Random, count: number, ago = 0): Promise<void> {
    const lines = Array.from({ length: count }, () => {
      const type = rng.pick(['sale', 'visit', 'other']);
      const time = new Date(Date.UTC(2024, 0, 1) + rng.below(1000) * 1000).toISOString();
      const data = { shop: rng.pick(['a', 'b', 'ç']), cents: rng.below(100) };
      this.events.push({ position: this.events.length, type, time, ...data });
      return `${JSON.stringify({ type, time, data })}\n`;
    });
    await this.log.append(Buffer.from(lines.join('')), count, BigInt(Date.now() - ago) * 1000n);
  }

  feed() {
    return feedService(this.config, plan, () => this.log.end);
  }
}

const ALL: FeedRequest = { type: null, sinceMicros: null, where: null, after: -1, before: 1e9, limit: 1000 };

function naive(events: Known[], held: number, request: FeedRequest, where: (event: Known) => boolean): number[] {
  const { type, sinceMicros, after, before } = request;
  return events
    .filter(({ position }) => position >= events.length - held && position > after && position < before)
    .filter(event => type === null || event.type === type)
    .filter(({ time }) => sinceMicros === null || BigInt(Date.parse(time)) * 1000n >= sinceMicros)
    .filter(where)
    .map(({ position }) => position)
    .reverse();
}

describe.each(SEEDS)('seed %d', seed => {
  test('what is asked is what a look through all lines finds, page by page', async () => {
    const rng = new Random(seed);
    const held = rng.pick([1, 50, 100_000]);
    const world = await World.open(`{ events: ${held} }`);
    let feed = world.feed();
    for (let round = 0; round < 12; round++) {
      await world.append(rng, 1 + rng.below(60));
      // Another process begins anew.
      if (rng.chance(0.2)) feed = world.feed();
      const where = rng.chance(0.4) ? "cents > 50 AND shop <> 'a'" : null;
      const request: FeedRequest = {
        ...{ type: where ? rng.pick(['sale', 'visit', null]) : rng.pick(['sale', 'other', null, 'none']), where },
        sinceMicros: rng.chance(0.3) ? BigInt(Date.UTC(2024, 0, 1) + 500_000) * 1000n : null,
        after: rng.chance(0.3) ? rng.below(world.events.length) : -1,
        ...{ before: rng.chance(0.3) ? rng.below(world.events.length) : 1e9, limit: rng.pick([1, 7, 1000]) },
      };
      const holds = (event: Known) => !where || (event.type !== 'other' && event.cents > 50 && event.shop !== 'a');
      const found: number[] = [];
      for (let { before } = request; ; ) {
        const page = await feed.events({ ...request, before });
        expect(page.position).toBe(world.events.length - 1);
        expect(page.events.length).toBeLessThanOrEqual(request.limit);
        for (const { position, line } of page.events)
          expect(JSON.parse(new TextDecoder().decode(line))).toMatchObject({ type: world.events[position]!.type });
        found.push(...page.events.map(({ position }) => position));
        if (page.next === null) break;
        before = page.next;
      }
      expect(found).toEqual(naive(world.events, held, request, holds));
    }
    await world.log.close();
  });
});

test('what arrived too long ago is forgotten', async () => {
  const world = await World.open('{ age: 1h }');
  await world.append(new Random(1), 5, 2 * 3_600_000);
  await world.append(new Random(2), 3);
  const { events, position } = await world.feed().events(ALL);
  expect([events.map(event => event.position), position]).toEqual([[7, 6, 5], 7]);
  await world.log.close();
});

test('an empty log has none', async () => {
  const world = await World.open('{}');
  expect(feedText(await world.feed().events(ALL))).toBe('{"events":[],"next":null,"position":-1}');
  await world.log.close();
});

test('numbers keep their digits, and what is no request is refused', () => {
  const line = Buffer.from('{"n":12345678901234567890}');
  expect(eventText({ position: 3, arrivalMicros: 0n, line })).toBe(
    '{"position":3,"arrived_at":"1970-01-01T00:00:00Z","event":{"n":12345678901234567890}}',
  );
  expect(parseFeed({})).toEqual({ ...ALL, before: Number.MAX_SAFE_INTEGER, limit: 100 });
  expect(() => parseFeed({ since: 'now' })).toThrow('since: got now');
  expect(() => parseFeed({ limit: '1001' })).toThrow('feed_page');
});

test('a condition that is none says where', async () => {
  const world = await World.open('{}');
  await expect(world.feed().events({ ...ALL, type: 'sale', where: 'cemts > 5' })).rejects.toThrow('where:1:1');
  await world.log.close();
});

test('a timeline of the feed has the latest events', async () => {
  const world = await World.open('{ events: 7 }');
  await world.append(new Random(1), 40);
  await world.log.close();
  const timelines = await Timelines.open(world.config);
  const all = { types: null, startMicros: null, endMicros: null, lastMs: null, where: null };
  await timelines.create({ name: 'latest', from: { kind: 'feed' }, ...all });
  const { source } = timelines.read([parseTimelineName('latest')]);
  const texts: string[] = [];
  for await (const { bytes } of source.read(0)) texts.push(new TextDecoder().decode(bytes));
  const lines = texts.join('').trim().split('\n');
  expect(lines.map(line => JSON.parse(line).time)).toEqual(world.events.slice(-7).map(({ time }) => time));
  timelines.close();
});
