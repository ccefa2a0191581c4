/**
 * Files that are taken for logs by mistake, known by what they begin with. Nothing of this can begin a line of JSON, but a
 * file that begins with none of it may be no log all the same.
 */
const FORMATS: [beginning: string, what: string][] = [
  ['\x89PNG', 'a PNG image'],
  ['\xff\xd8\xff', 'a JPEG image'],
  ['GIF8', 'a GIF image'],
  ['%PDF', 'a PDF'],
  ['PK\x03\x04', 'a ZIP archive'],
  ['BZh', 'packed with bzip2'],
  ['\xfd7zXZ', 'packed with xz'],
  ['\x1f\x8b', 'packed with gzip twice'],
  ['PAR1', 'a Parquet file'],
  ['ARROW1', 'an Arrow file'],
  ['Obj\x01', 'an Avro file'],
  ['SQLite format 3\0', 'a database of SQLite'],
  ['\x7fELF', 'a program'],
  ['\xff\xfe', 'text in UTF-16'],
  ['\xfe\xff', 'text in UTF-16'],
];

/** The longest of them. */
export const BEGINNING_MAX_BYTES = 16;

/** What a file is that begins so; null where it may be a log. */
export function foreignFormat(beginning: Uint8Array): string | null {
  const text = Buffer.from(beginning).toString('latin1');
  return FORMATS.find(([magic]) => text.startsWith(magic))?.[1] ?? null;
}
