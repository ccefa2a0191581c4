/** A row and its address, as stores keep it. Its bytes may be views of a buffer. */
export interface FoldedRow {
  entity: number;
  key: Uint8Array;
  levelMs: number;
  tileStartMs: number;
  value: Uint8Array;
}
