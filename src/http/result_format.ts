/** Formats that a whole table comes in, by what `Accept` calls them. */
export const FORMATS = {
  'application/vnd.apache.arrow.stream': 'arrows',
  'application/vnd.apache.arrow.file': 'arrow',
  'application/vnd.apache.parquet': 'parquet',
  'application/x-ndjson': 'ndjson',
  'text/csv': 'csv',
} as const;

export type ResultFormat = (typeof FORMATS)[keyof typeof FORMATS];

/** A table in a format, block by block. */
export type ResultBytes = Iterator<Uint8Array>;

/** Rows of a page, each a JSON object, and where the next page begins; null at the end. */
export interface ResultLines {
  lines: string[];
  next: string | null;
}
