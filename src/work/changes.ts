import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { ChangeBatchSchema } from '../gen/tilefold/v1/change_pb.ts';
import { addressOf, byteName } from '../store/address.ts';
import type { Version } from '../store/stamp.ts';

/** A row that was found in the store. */
export interface FoundRow {
  value: Uint8Array;
  version: Version;
}

/** Rows that were found, by `byteName` their addresses. */
export type FoundRows = Map<string, FoundRow>;

/**
 * Changes of a message without those of rows that contain them already. Only where somebody else has folded further is
 * there one, so an object for each change may be.
 *
 * @param applied of the message
 */
export function withoutApplied(batch: Uint8Array, applied: bigint, found: FoundRows): Uint8Array {
  const { changes } = fromBinary(ChangeBatchSchema, batch);
  const left = changes.filter(({ entity, key, level, tileStart }) => {
    const row = found.get(byteName(addressOf(entity, key, Number(level), Number(tileStart))));
    return !row || row.version.applied < applied;
  });
  return left.length === changes.length
    ? batch
    : toBinary(ChangeBatchSchema, create(ChangeBatchSchema, { changes: left }));
}

/** How many changes a message has. */
export function changeCount(batch: Uint8Array): number {
  const reader = new BinaryReader(batch);
  let count = 0;
  for (; reader.pos < reader.len; count++) {
    const [number, type] = reader.tag();
    reader.skip(type, number);
  }
  return count;
}
