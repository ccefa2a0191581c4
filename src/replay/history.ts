import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ChangeBatchSchema } from '../gen/tilefold/v1/change_pb.ts';
import { select } from '../ingest/advance.ts';
import { Fold } from '../kernel/fold.ts';
import type { AnswerFeature, AnswerLayout, Layout } from '../kernel/layout.ts';
import { changes, spellChanges } from '../kernel/change.ts';
import { findKeyed } from '../kernel/gather.ts';
import { tile } from '../kernel/tile.ts';
import type { FeatureColumn } from '../kernel/feature_column.ts';
import { answerKeys } from '../read/answer.ts';
import { emptyColumns } from '../read/read.ts';
import type { TileBatch, TileTable } from '../read/tiles.ts';
import type { Row } from '../store/store.ts';
import { decodedBatches, type LogStretch } from './changes.ts';
import type { Spill } from './spill.ts';

export interface HistoryParts {
  /** In a kernel of its own: the rows of the key are folded there. */
  layout: Layout;
  /** Of the key's entity, in another kernel that holds no rows. */
  table: TileTable;
  /** Where the last rows of upserts are, in a third; null where the plan has none. */
  last: Spill | null;
  log: LogStretch;
  answer: AnswerLayout;
  key: Uint8Array;
  /** Whose values are told after each event; of that answer. */
  features: AnswerFeature[];
}

/** An event that counts for a key. */
export interface Touch {
  position: number;
  /** Microseconds since 1970 UTC. */
  timeMicros: bigint;
  type: string;
  /** The rows that it has changed, as they are after it: the finest level first, the lifetime last. */
  tiles: TileBatch[];
  /** As of the event: one row in each. */
  features: FeatureColumn[];
}

/**
 * The events of a log that count for one key, each with what it has made of the key's rows: decode -> select -> for each
 * such event: tile, fold, answer as of it. These are the steps of a replay, for one key: events that are of others only
 * move the clocks.
 */
export async function* history({
  layout,
  table,
  last,
  log,
  answer,
  key,
  features,
}: HistoryParts): AsyncGenerator<Touch> {
  const { kernel, types } = layout;
  const { exports } = kernel;
  const fold = new Fold(kernel, null);
  const groups = layout.groups.filter(({ group }) => group.entity === answer.entityId);
  const sought = { start: kernel.put(key), length: key.length };
  const next = (from: number, count: number) =>
    groups.reduce((least, { index }) => Math.min(least, findKeyed(kernel, index, from, sought)), count);
  for await (const { position, count } of decodedBatches(layout, last, log)) {
    const end = Math.min(count, log.to - position);
    select(layout);
    let seen = 0;
    for (let record = next(0, count); record < end; record = next(record + 1, count)) {
      tile(kernel, record, record + 1);
      spellChanges(kernel);
      fold.apply(onlyOf(changes(kernel, 0), answer.entityId, key));
      exports.seeRecords(seen, record + 1);
      seen = record + 1;
      const rows = fold.dirtyRows();
      fold.settle();
      if (position + record < log.from) continue;
      const timeMicros = kernel.longs(exports.recordTime.value + record * 8, 1)[0]!;
      const { event } = types[kernel.ints(exports.recordType.value + record * 4, 1)[0]!]!;
      const columns = emptyColumns(features, 1);
      if (features.length > 0) answerKeys(kernel, answer, features, [key], timeMicros, false, null, columns);
      const tiles = [...table.batches(rows.sort(byLevel))];
      yield { position: position + record, timeMicros, type: event.name, tiles, features: columns };
    }
    exports.seeRecords(seen, count);
  }
}

/** Those of a batch's changes that are of one key, as a batch. */
function onlyOf(batch: Uint8Array, entity: number, key: Uint8Array): Uint8Array {
  const all = fromBinary(ChangeBatchSchema, batch).changes;
  const own = all.filter(change => change.entity === entity && Buffer.compare(change.key, key) === 0);
  return toBinary(ChangeBatchSchema, create(ChangeBatchSchema, { changes: own }));
}

/** The lifetime is the longest. */
function byLevel(a: Row, b: Row): number {
  return (a.levelMs || Infinity) - (b.levelMs || Infinity) || a.tileStartMs - b.tileStartMs;
}
