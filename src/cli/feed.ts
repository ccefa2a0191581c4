import { wallMicros } from '../base/time.ts';
import { compileCondition } from '../compile/condition.ts';
import type { FeedRequest, FeedService } from '../http/feed.ts';
import { Feed, type FeedQuery } from '../ingest/feed.ts';
import { Condition } from '../kernel/condition.ts';
import { loadKernel } from '../kernel/instance.ts';
import { RecordReader } from '../kernel/records.ts';
import type { Plan } from '../plan/plan.ts';
import { folderRecords, listSegments } from '../source/segments.ts';
import { Tail } from '../source/tail.ts';
import { TYPES_MAX } from '../source/timeline_writer.ts';
import { readableLog } from './alone/event_log.ts';
import type { Config } from './config.ts';
import { typeNameOf } from './infer.ts';

/**
 * The latest events of the configured log, read beside whoever writes to it.
 *
 * @param plan whose event types a condition may be about
 * @param endOf how many records there are; null to look at the files for it
 */
export function feedService(config: Config, plan: () => Promise<Plan>, endOf: (() => number) | null): FeedService {
  let opened: Promise<Feed> | null = null;
  return {
    async events(request: FeedRequest) {
      opened ??= openFeed(config, endOf);
      const feed = await opened;
      return feed.events(await queryOf(request, config, plan));
    },
  };
}

async function openFeed(config: Config, endOf: (() => number) | null): Promise<Feed> {
  const { dir } = config.log;
  const disk = readableLog(config);
  return new Feed({
    tail: new Tail(disk, dir),
    async bounds() {
      const { start } = await listSegments(disk, dir);
      return { start, end: endOf ? endOf() : start + (await folderRecords(disk, dir)) };
    },
    reader: await RecordReader.open(loadKernel, { typeOf: typeNameOf, typesMax: TYPES_MAX }),
    ...{ eventsMax: config.feed.events, ageMs: config.feed.ageMs },
    nowMicros: wallMicros,
  });
}

async function queryOf({ where, ...request }: FeedRequest, config: Config, plan: () => Promise<Plan>) {
  const query: FeedQuery = { ...request, condition: null };
  if (where === null) return query;
  const { events } = await plan();
  const names = request.type === null ? events.map(({ name }) => name) : [request.type];
  const conditions = await compileCondition({ file: 'where', text: where }, events, names, config.dialect);
  return { ...query, condition: new Condition(await loadKernel(), events, conditions) };
}
