import { create, toBinary } from '@bufbuild/protobuf';
import { ChangeBatchSchema, ChangeSchema } from '../gen/tilefold/v1/change_pb.ts';
import type { FoldedRow } from './folded_row.ts';
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

/** Spells what tiling has made last, for folds of other kernels: `changes` has it, until this is called again. */
export function spellChanges(kernel: Kernel): void {
  kernel.exports.spellChanges();
}

/** The changes of one shard (ChangeBatch bytes), as a view that holds until the next call. */
export function changes({ exports, bytes }: Kernel, shard: number): Uint8Array<ArrayBuffer> {
  return bytes(exports.changesStart(shard), exports.changesLength(shard));
}
