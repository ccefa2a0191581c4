import type { KeptLevel } from '../plan/window.ts';
import type { Kernel } from './instance.ts';

/** What shares the work of one hash: aggregates over one event type with the same keys, selection and tile levels. */
export interface Group {
  type: number;
  entity: number;
  /** Registers of the type's frame; null where every event counts, and where every weight is 1. */
  where: number | null;
  weight: number | null;
  offsetMs: number;
  keys: { register: number; kind: number }[];
  levels: KeptLevel[];
  /** In which layer of an event it is written (src/plan/layers.ts), record by record; null where no event reads it. */
  layer: number | null;
  members: GroupMember[];
}

export interface GroupMember {
  /** The dictionary's id of the aggregate. */
  id: number;
  aggregateCase: number;
  /** Register of the argument; null counts events. */
  value: number | null;
  kind: number;
  /** How many values are kept, or the like; null where an aggregate is told nothing. */
  limit: number | null;
  /** Register of what values are ranked by, and what that is; null where they are not. */
  rank: { register: number; kind: number } | null;
}

export function addGroup(kernel: Kernel, group: Group): number {
  const { exports } = kernel;
  const members = group.members.toSorted((a, b) => a.id - b.id);
  const index = exports.addGroup(
    group.type,
    group.entity,
    group.where ?? -1,
    group.weight ?? -1,
    group.offsetMs,
    group.keys.length,
    members.length,
    group.levels.length,
  );
  for (const [i, key] of group.keys.entries()) exports.setKeyColumn(index, i, key.register, key.kind);
  for (const [i, member] of members.entries())
    exports.setMember(index, i, member.id, member.aggregateCase, member.value ?? -1, member.kind, member.limit ?? 0);
  for (const [i, { rank }] of members.entries()) if (rank) exports.setMemberRank(index, i, rank.register, rank.kind);
  for (const [i, level] of group.levels.entries())
    exports.setLevel(index, i, level.levelMs, level.ttlMs === Infinity ? -1 : level.ttlMs);
  if (group.layer !== null) exports.setSequenced(index);
  return index;
}

/** Tiles records [from, to) of the batch: the changes of each shard stand in the kernel until the next call. */
export function tile(kernel: Kernel, from: number, to: number): void {
  kernel.exports.tileRecords(from, to);
}

/** Picks records [from, to) of the batch: they are tiled by `tilePicked`, with those of batches before and after it. */
export function pick(kernel: Kernel, from: number, to: number): void {
  kernel.exports.pickRecords(from, to);
}

/** Picks as `pick` does, of the events only those whose keys are of one shard. */
export function pickShard(kernel: Kernel, from: number, to: number, shard: number): void {
  kernel.exports.pickShard(from, to, shard);
}

/** What events occupy that are picked and not tiled yet. */
export function pickedBytes(kernel: Kernel): number {
  return kernel.exports.pickedBytes();
}

/** More than there can be in a 32-bit memory. */
const ALL_BYTES = 0xffff_ffff;

/**
 * Tiles what was picked; false while there is more of it, and then no records may be picked. The changes of each shard stand
 * in the kernel until the next call.
 *
 * @param bytesMax about so many bytes of changes are made by one call
 * @param isOrdered keys come in the order in which stores have them, for whoever has to read rows back
 */
export function tilePicked(kernel: Kernel, bytesMax = ALL_BYTES, isOrdered = false): boolean {
  return kernel.exports.tilePicked(bytesMax, isOrdered ? 1 : 0) !== 0;
}

/** The changes of one shard (ChangeBatch bytes), as a view that holds until the next call. */
export function changes(kernel: Kernel, shard: number): Uint8Array<ArrayBuffer> {
  return kernel.bytes(kernel.exports.changesStart(shard), kernel.exports.changesLength(shard));
}

/** The first record of the batch from `from` on that counts for a key in a group; the batch's count where there is none. */
export function findKeyed(kernel: Kernel, group: number, from: number, key: { start: number; length: number }): number {
  return kernel.exports.findKeyed(group, from, key.start, key.length);
}
