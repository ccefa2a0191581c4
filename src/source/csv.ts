import { Readable } from 'node:stream';
import { CsvError, type Options, parse } from 'csv-parse';
import { Fault } from '../base/fault.ts';
import { textChunks } from './ndjson.ts';
import { BLOCK_CHARACTERS, RawJson, type RowNames, rowLines } from './rows.ts';
import type { Block } from './source.ts';

/** What a column holds, as far as its cells say: a number or a bool where all of them are one. Times are milliseconds or texts. */
type Kind = 'number' | 'bool' | 'string' | 'time';

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
/** As programs print them that write tables. */
const NO_FINITE = /^(-?inf(inity)?|nan)$/i;
const BOOL = /^(true|false)$/i;

/** A row is an event. */
const ROW_MAX_CHARACTERS = 1 << 20;

/**
 * A CSV file (or, by its name, TSV), packed or not, as blocks of events: a header, then a row for each. It is read twice, first
 * for what its columns hold. An empty cell is nothing; a quoted one of no letters is an empty text.
 *
 * @throws Fault `media_type` where it is no such table
 */
export async function* csvBlocks(file: string, names: RowNames): AsyncGenerator<Block> {
  const kinds = await columnKinds(file, names);
  let lines: ReturnType<typeof rowLines> | null = null;
  let text = '';
  let line = 2;
  let count = 0;
  const block = (): Block => ({ bytes: new TextEncoder().encode(text), arrivalMicros: null, file, line });
  for await (const row of rows(file)) {
    if (!lines) {
      lines = rowLines(file, row.map(String), names);
      continue;
    }
    text += lines.line(column => cellOf(row[column] ?? null, kinds[column]!));
    count++;
    if (text.length < BLOCK_CHARACTERS) continue;
    yield block();
    line += count;
    count = 0;
    text = '';
  }
  if (!lines) throw new Fault('media_type', `${file} is empty: wanted a header with the names of columns`);
  if (text !== '') yield block();
}

async function columnKinds(file: string, names: RowNames): Promise<Kind[]> {
  const seen: { numbers: number; bools: number; others: number }[] = [];
  let header: string[] | null = null;
  for await (const row of rows(file)) {
    if (!header) {
      header = row.map(String);
      for (const _ of header) seen.push({ numbers: 0, bools: 0, others: 0 });
      continue;
    }
    for (const [i, cell] of row.entries()) {
      if (cell === null || NO_FINITE.test(cell)) continue;
      if (NUMBER.test(cell)) seen[i]!.numbers++;
      else if (BOOL.test(cell)) seen[i]!.bools++;
      else seen[i]!.others++;
    }
  }
  return seen.map(({ numbers, bools, others }, i) => {
    if (header![i] === names.id) return 'string';
    if (header![i] === names.time) return 'time';
    if (others === 0 && bools === 0 && numbers > 0) return 'number';
    return others === 0 && numbers === 0 && bools > 0 ? 'bool' : 'string';
  });
}

/** Digits are written as they are: no integer loses any. */
function cellOf(cell: string | null, kind: Kind): unknown {
  if (cell === null || kind === 'string' || (kind === 'time' && !NUMBER.test(cell))) return cell;
  if (kind === 'bool') return new RawJson(cell.toLowerCase());
  if (!NO_FINITE.test(cell)) return new RawJson(cell);
  return /nan/i.test(cell) ? null : cell.startsWith('-') ? -Infinity : Infinity;
}

/** The header too. Cells that are empty and not quoted are null. */
async function* rows(file: string): AsyncGenerator<(string | null)[]> {
  const options: Options = {
    bom: true,
    delimiter: /\.tsv(\.gz|\.zst)?$/.test(file) ? '\t' : ',',
    max_record_size: ROW_MAX_CHARACTERS,
    skip_empty_lines: true,
    cast: (value, { quoting }) => (value === '' && !quoting ? null : value),
  };
  const parser = parse(options);
  const plain = Readable.from(textChunks(file));
  plain.on('error', error => parser.destroy(error));
  plain.pipe(parser);
  try {
    for await (const row of parser) yield row as (string | null)[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new Fault('media_type', `${file} cannot be read as CSV: ${error.message}`);
  } finally {
    plain.destroy();
    parser.destroy();
  }
}
