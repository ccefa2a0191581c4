/** Told of what is worth counting: once for a batch, a chunk of changes or a write. */
export interface Watcher {
  tiled(events: number): void;
  /** Something that was sent to the topic of errors. */
  bad(code: string): void;
  /** @param missed rows that memory did not hold */
  folded(changes: number, missed: number): void;
  /** @param changes that these rows have taken */
  written(seconds: number, rows: number, changes: number): void;
  evicted(rows: number): void;
  /** How long after the arrival of its oldest event rows of a message could be read. */
  fresh(seconds: number): void;
}
