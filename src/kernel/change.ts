import { create, toBinary } from '@bufbuild/protobuf';
import { ChangeBatchSchema, ChangeSchema } from '../gen/tilefold/v1/change_pb.ts';
import type { FoldedRow } from './fold.ts';
import type { Kernel } from './instance.ts';
import { shardOf } from './key.ts';

/**
 * Rows as changes that add all that they hold, as tiling would: for each shard a batch of those of its keys. This is not
 * the way of events, so an object for each row may be.
 */
export function changesByShard(kernel: Kernel, rows: FoldedRow[], shards: number): Uint8Array<ArrayBuffer>[] {
  const byShard: FoldedRow[][] = Array.from({ length: shards }, () => []);
  for (const row of rows) byShard[shardOf(kernel, row.entity, row.key, shards)]!.push(row);
  return byShard.map(of => toBinary(ChangeBatchSchema, create(ChangeBatchSchema, { changes: of.map(changeOf) })));
}

function changeOf({ entity, key, levelMs, tileStartMs, value }: FoldedRow) {
  const place = { level: BigInt(levelMs), tileStart: BigInt(tileStartMs) };
  return create(ChangeSchema, { entity, key, ...place, features: value });
}

/** What was made last, spelt for others: of each shard its changes (ChangeBatch bytes), as views that hold until the next call. */
export function changes(kernel: Kernel, shards: number): Uint8Array<ArrayBuffer>[] {
  const { exports, bytes } = kernel;
  exports.spellChanges();
  return Array.from({ length: shards }, (_, shard) => bytes(exports.changesStart(shard), exports.changesLength(shard)));
}
