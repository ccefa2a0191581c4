/** The events of a timeline: all that a reader needs to know. */
export interface Timeline {
  name: string;
  version: number;
  /** Its events are in the order of the log, or by time and then as they were given. */
  order: 'log' | 'time';
  /** As of a log. */
  clock: { kind: 'event' | 'wall'; maxJumpMs: number };
  types: TimelineType[];
}

export interface TimelineType {
  type: string;
  count: number;
  /** Over the events themselves in their order, whatever the chunks: 64 hex digits. */
  hash: string;
  /** Over when and where among the other types each of them comes. */
  placesHash: string;
  /** The least and the greatest time, microseconds since 1970 UTC. */
  startMicros: bigint;
  endMicros: bigint;
  chunks: ChunkRef[];
}

/** Where a chunk is, and how much of its type it has. */
export interface ChunkRef {
  /** 64 hex digits. */
  hash: string;
  count: number;
}
