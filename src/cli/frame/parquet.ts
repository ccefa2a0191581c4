import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
import { assert } from '../../base/assert.ts';
import { isList, itemType, type ListValues } from '../../kernel/feature_column.ts';
import type { Type } from '../../plan/value.ts';
import type { Frame, FrameBatch, FrameColumn, FrameShape, FrameType } from './frame.ts';
import { type Cell, isNested, nestedCell } from './nested.ts';

/** Rows of a row group: what readers skip or read as a whole, and what is held until it is written. */
const GROUP_ROWS_MAX = 1 << 16;

/** Values of a row group, items of lists included: wide tables have shorter groups. About 50 MiB while they are held. */
const GROUP_VALUES_MAX = 1 << 20;

/**
 * A Parquet file, row group by row group: int64 as INT64, double as DOUBLE, bool as BOOLEAN, string as UTF8, time as
 * TIMESTAMP in microseconds UTC, bytes as BYTE_ARRAY, lists as LIST, maps as MAP, structs as groups; packed with Snappy. Values are copied until their
 * group is full.
 */
export class ParquetFrame implements Frame {
  readonly #shapes: FrameShape[];
  readonly #bytes = new ByteWriter(1 << 16);
  readonly #writer: ParquetWriter;
  #cells: Cell[][];
  #rows = 0;
  #values = 0;

  /** @param about goes into the file's metadata, name by name */
  constructor(shapes: FrameShape[], about: Record<string, string> = {}) {
    this.#shapes = shapes;
    this.#cells = shapes.map(() => []);
    const root: SchemaElement = { name: 'root', num_children: shapes.length };
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema: [root, ...shapes.flatMap(elementsOf)],
      createdBy: 'tilefold',
      kvMetadata: Object.entries(about).map(([key, value]) => ({ key, value })),
    });
  }

  batch({ count, columns }: FrameBatch): Uint8Array[] {
    const names = columns.map(column => column.name).join();
    assert(names === this.#shapes.map(shape => shape.name).join(), `a batch has other columns: ${names}`);
    for (let from = 0; from < count; ) {
      const to = Math.min(count, from + GROUP_ROWS_MAX - this.#rows);
      for (const [i, column] of columns.entries()) this.#values += appendCells(column, from, to, this.#cells[i]!);
      this.#rows += to - from;
      from = to;
      if (this.#rows >= GROUP_ROWS_MAX || this.#values >= GROUP_VALUES_MAX) this.#writeGroup();
    }
    return this.#take();
  }

  end(): Uint8Array[] {
    if (this.#rows > 0) this.#writeGroup();
    this.#writer.finish();
    return this.#take();
  }

  #writeGroup(): void {
    const columnData = this.#shapes.map(({ name, type }, i) => ({
      name,
      data: this.#cells[i]!,
      // A dictionary of doubles would make 0 of -0.
      ...(isOfDoubles(type) ? { encoding: 'PLAIN' as const } : {}),
    }));
    const written = this.#writer.write({ columnData, rowGroupSize: this.#rows });
    assert(written === undefined, 'a writer to memory has nothing to wait for');
    this.#cells = this.#shapes.map(() => []);
    this.#rows = this.#values = 0;
  }

  /** What has been written since the last time; the writer goes on counting where it is in the file. */
  #take(): Uint8Array[] {
    const bytes = this.#bytes.getBytes().slice();
    this.#bytes.index = 0;
    return bytes.length > 0 ? [bytes] : [];
  }
}

function isOfDoubles(type: FrameType): boolean {
  return type.kind === 'double' || ((type.kind === 'list' || type.kind === 'map') && itemType(type).kind === 'double');
}

/** A column in the schema's list of elements; a list of scalars takes three of them, a map four. */
function elementsOf({ name, type, isRequired }: FrameShape): SchemaElement[] {
  const repetition_type = isRequired ? 'REQUIRED' : 'OPTIONAL';
  const within = (inner: string, of: Type, isNeeded = false) =>
    elementsOf({ name: inner, type: of, isRequired: isNeeded });
  switch (type.kind) {
    case 'map':
      return [
        { name, repetition_type, num_children: 1, converted_type: 'MAP', logical_type: { type: 'MAP' } },
        { name: 'key_value', repetition_type: 'REPEATED', num_children: 2 },
        ...within('key', type.key, true),
        ...within('value', type.of.type),
      ];
    case 'list':
      return [
        { name, repetition_type, num_children: 1, converted_type: 'LIST', logical_type: { type: 'LIST' } },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        ...within('element', type.of.type),
      ];
    case 'struct':
      return [
        { name, repetition_type, num_children: type.fields.length },
        ...type.fields.flatMap(field => within(field.name, field.type)),
      ];
    default:
      return [{ name, repetition_type, ...leafOf(type) }];
  }
}

function leafOf(type: Exclude<FrameType, { kind: 'list' | 'map' | 'struct' }>): Omit<SchemaElement, 'name'> {
  switch (type.kind) {
    case 'int64':
      return { type: 'INT64' };
    case 'double':
      return { type: 'DOUBLE' };
    case 'bool':
      return { type: 'BOOLEAN' };
    case 'string':
      return { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } };
    case 'bytes':
      return { type: 'BYTE_ARRAY' };
    case 'time':
      return {
        type: 'INT64',
        converted_type: 'TIMESTAMP_MICROS',
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
      };
  }
}

/** Copies rows [from, to) of a column; returns how many values they are. */
function appendCells({ name, type, values, nulls }: FrameColumn, from: number, to: number, cells: Cell[]): number {
  if (!Array.isArray(values) && isList(values)) {
    assert(type.kind === 'list' || type.kind === 'map', `${name} is ${type.kind} and holds lists`);
    const { offsets, items, itemNulls, mapped } = values;
    for (let row = from; row < to; row++) {
      const itemsNull = mapped ? null : itemNulls;
      const keys = itemCells(itemType(type), items, itemsNull, offsets[row]!, offsets[row + 1]!);
      const entries = mapped ? entriesOf(keys, values, offsets[row]!) : keys;
      cells.push(nulls[row] ? null : entries);
    }
    return to - from + offsets[to]! - offsets[from]!;
  }
  if (isNested(type)) {
    for (let row = from; row < to; row++)
      cells.push(nulls[row] ? null : nestedCell(type as Type, values[row] as string));
    return to - from;
  }
  const isBool = type.kind === 'bool';
  for (let row = from; row < to; row++) {
    const value = values[row]!;
    cells.push(nulls[row] ? null : isBool ? value === 1 : value);
  }
  return to - from;
}

function entriesOf(keys: Cell[], { mapped, itemNulls }: ListValues, from: number): Cell[] {
  return keys.map((key, i) => ({ key, value: itemNulls[from + i] ? null : mapped![from + i]! }));
}

function itemCells(type: Type, values: ArrayLike<Cell>, nulls: Uint8Array | null, from: number, to: number): Cell[] {
  const isBool = type.kind === 'bool';
  const cells: Cell[] = [];
  for (let i = from; i < to; i++) cells.push(nulls?.[i] ? null : isBool ? values[i] === 1 : values[i]!);
  return cells;
}
