import { Fault } from '../base/fault.ts';
import { makeColumn, spreadRows } from '../kernel/feature_column.ts';
import { pickRows } from './within.ts';
import type { ColumnReader, ColumnWriter, Rows } from './column_file.ts';

/**
 * Parts of a column -> the column: those of parts of all keys row by row, each from the part that speaks of it; those of ranges
 * one behind the other.
 */
export function joinParts(parts: ColumnReader[], writer: ColumnWriter): void {
  const first = parts[0]!.block();
  if (first?.owned) joinKeys(parts, writer, first);
  else joinRanges(parts, writer, first);
}

function joinRanges(parts: ColumnReader[], writer: ColumnWriter, first: Rows | null): void {
  for (const [i, part] of parts.entries())
    for (let rows = i === 0 ? first : part.block(); rows; rows = part.block()) addRows(rows, writer);
}

function joinKeys(parts: ColumnReader[], writer: ColumnWriter, first: Rows): void {
  for (let own: Rows | null = first; own; own = parts[0]!.block()) {
    const all = [own, ...parts.slice(1).map(part => part.block())];
    addRows(joinedBlock(all, writer), writer);
  }
}

function joinedBlock(parts: (Rows | null)[], { type }: ColumnWriter): Rows {
  const count = parts[0]!.column.nulls.length;
  const column = makeColumn({ name: '', type }, count);
  const found = new Uint8Array(count);
  const errors: [number, string][] = [];
  for (const part of parts) {
    if (part?.owned?.length !== count) throw new Fault('corrupt', 'parts of a column have other rows than each other');
    const rows: number[] = [];
    for (let row = 0; row < count; row++) if (part.owned[row]) rows.push(row);
    for (const row of rows) found[row] = 1;
    spreadRows(pickRows(part.column, rows), rows, column);
    for (const [i, row] of part.errors.rows.entries()) errors.push([row, part.errors.texts[i]!]);
  }
  if (found.includes(0)) throw new Fault('corrupt', 'no part of a column speaks of some of its rows');
  errors.sort((a, b) => a[0] - b[0]);
  return { column, owned: null, errors: { rows: errors.map(([row]) => row), texts: errors.map(([, text]) => text) } };
}

function addRows({ column, errors }: Rows, writer: ColumnWriter): void {
  for (const [i, row] of errors.rows.entries()) writer.error(row, errors.texts[i]!);
  writer.add(column);
}
