export interface Rejection {
  /** From 1: the line of the body, or the place in a JSON array. */
  line: number;
  code: string;
  reason: string;
}

export type BodyFormat = 'json' | 'ndjson';
