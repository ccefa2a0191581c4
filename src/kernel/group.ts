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
  exports.closeGroup(index);
  return index;
}
