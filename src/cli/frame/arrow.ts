import {
  AsyncByteQueue,
  Binary,
  Bool,
  type Data,
  type DataType,
  Field,
  Float64,
  Int64,
  List,
  makeData,
  Map_,
  RecordBatch,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
} from 'apache-arrow';
import { assert } from '../../base/assert.ts';
import { isList, itemType, type ListValues } from '../../kernel/feature_column.ts';
import type { Type } from '../../plan/value.ts';
import type { Frame, FrameBatch, FrameColumn, FrameShape, FrameType } from './frame.ts';
import { type Cell, isNested, nestedCell } from './nested.ts';

/**
 * An Arrow IPC file or stream, written batch by batch: int64, float64, bool, utf8, binary, timestamps in microseconds UTC, and lists,
 * maps and structs of these. Vectors stand on the batch's own arrays, so what `batch` and `end` return has to be written out before the
 * next batch is made.
 */
export class ArrowFrame implements Frame {
  private readonly schema: Schema;
  private readonly writer: RecordBatchFileWriter | RecordBatchStreamWriter;
  private readonly chunks = new Chunks();

  /** @param about goes into the schema's metadata, name by name */
  constructor(
    private readonly shapes: FrameShape[],
    about: Record<string, string> = {},
    kind: 'file' | 'stream' = 'file',
  ) {
    this.writer = kind === 'file' ? new RecordBatchFileWriter() : new RecordBatchStreamWriter();
    this.schema = new Schema(
      shapes.map(({ name, type, isRequired }) => new Field(name, arrowType(type), !isRequired)),
      new Map(Object.entries(about)),
    );
    this.writer.reset(this.chunks, this.schema);
  }

  batch({ count, columns }: FrameBatch): Uint8Array[] {
    const names = columns.map(column => column.name).join();
    assert(names === this.shapes.map(shape => shape.name).join(), `a batch has other columns: ${names}`);
    const children: Data[] = columns.map(column => columnData(column, count));
    const data = makeData({ type: new Struct(this.schema.fields), length: count, nullCount: 0, children });
    this.writer.write(new RecordBatch(this.schema, data));
    return this.chunks.take();
  }

  /** Of a file an index of its batches, of a stream that there are no more. */
  end(): Uint8Array[] {
    this.writer.finish();
    return this.chunks.take();
  }
}

/** Takes what the writer writes, without its own unbounded queue. */
class Chunks extends AsyncByteQueue<Uint8Array> {
  private list: Uint8Array[] = [];

  override write(chunk: ArrayBufferLike | ArrayBufferView): void {
    assert(chunk instanceof Uint8Array, 'the Arrow writer writes bytes');
    this.list.push(chunk);
  }

  take(): Uint8Array[] {
    const list = this.list;
    this.list = [];
    return list;
  }
}

function arrowType(type: FrameType): DataType {
  switch (type.kind) {
    case 'int64':
      return new Int64();
    case 'double':
      return new Float64();
    case 'bool':
      return new Bool();
    case 'string':
      return new Utf8();
    case 'bytes':
      return new Binary();
    case 'time':
      return utcMicros();
    case 'list':
      return new List(itemField(type.of.type));
    case 'map':
      return mapType(type.key, type.of.type);
    case 'struct':
      return new Struct(type.fields.map(field => new Field(field.name, arrowType(field.type), true)));
  }
}

function itemField(type: Type): Field {
  return new Field('item', arrowType(type), true);
}

/** Keys ascend, but readers that are told so would take them to be unique and in their own order. */
function mapType(key: Type, value: Type): Map_ {
  const fields = [new Field('key', arrowType(key), false), new Field('value', arrowType(value), true)];
  return new Map_(new Field('entries', new Struct(fields), false) as never, false);
}

function utcMicros(): TimestampMicrosecond {
  return new TimestampMicrosecond('UTC');
}

function columnData({ name, type, values, nulls }: FrameColumn, count: number): Data {
  const { nullBitmap, nullCount } = validity(nulls, count);
  const shape = { length: count, nullCount, nullBitmap };
  if (Array.isArray(values) && isNested(type)) {
    const cells = Array.from({ length: count }, (_, row) =>
      nulls[row] ? null : nestedCell(type as Type, values[row] as string),
    );
    return cellData(type as Type, cells);
  }
  if (Array.isArray(values)) {
    assert(type.kind === 'string' || type.kind === 'bytes', `${name} is ${type.kind} and has other values`);
    const cells = Array.from({ length: count }, (_, row) => (nulls[row] ? '' : values[row]!));
    return textData(type.kind === 'string' ? new Utf8() : new Binary(), cells, { nullBitmap, nullCount });
  }
  if (isList(values)) {
    assert(type.kind === 'list' || type.kind === 'map', `${name} is ${type.kind} and holds lists`);
    const { offsets, items, itemNulls } = values;
    const itemsNull = type.kind === 'map' ? new Uint8Array(itemNulls.length) : itemNulls;
    const child = columnData({ name, type: itemType(type), values: items, nulls: itemsNull }, offsets[count]!);
    // No batch has 2^31 items, so the offsets are the same with a sign.
    const valueOffsets = new Int32Array(offsets.buffer, offsets.byteOffset, count + 1);
    if (type.kind === 'map') return makeData({ ...shape, ...mapData(type, child, values, count), valueOffsets });
    return makeData({ ...shape, type: new List(itemField(type.of.type)), valueOffsets, child });
  }
  if (type.kind === 'bool') {
    assert(values instanceof Uint8Array, `${name} is bool and has other values`);
    return makeData({ ...shape, type: new Bool(), data: packBits(values, count) });
  }
  if (type.kind === 'double') {
    assert(values instanceof Float64Array, `${name} is double and has other values`);
    return makeData({ ...shape, type: new Float64(), data: values });
  }
  assert(values instanceof BigInt64Array, `${name} is ${type.kind} and has other values`);
  if (type.kind === 'time') return makeData({ ...shape, type: utcMicros(), data: values });
  return makeData({ ...shape, type: new Int64(), data: values });
}

/** A map is a list of structs, of which no key is null. */
function mapData(
  { key, of }: Type & { kind: 'map' },
  keys: Data,
  { offsets, mapped, itemNulls }: ListValues,
  count: number,
): { type: Map_; child: Data } {
  const length = offsets[count]!;
  assert(mapped, 'a map has what its keys are mapped to');
  const values = makeData({ type: new Int64(), length, ...validity(itemNulls, length), data: mapped });
  const type = mapType(key, of.type);
  return { type, child: entriesData(type, length, keys, values) };
}

function entriesData(type: Map_, length: number, keys: Data, values: Data): Data {
  return makeData({ type: type.children[0]!.type as Struct, length, nullCount: 0, children: [keys, values] });
}

/** Values one by one, as nested types have them, each level of them a column. */
function cellData(type: Type, cells: Cell[]): Data {
  const length = cells.length;
  const nulls = Uint8Array.from(cells, cell => Number(cell === null));
  const shape = { length, ...validity(nulls, length) };
  switch (type.kind) {
    case 'struct': {
      const fieldCells = (name: string) =>
        cells.map(cell => (cell === null ? null : (cell as Record<string, Cell>)[name]!));
      const children = type.fields.map(field => cellData(field.type, fieldCells(field.name)));
      return makeData({ ...shape, type: arrowType(type) as Struct, children });
    }
    case 'list': {
      const { items, valueOffsets } = flattened(cells);
      return makeData({
        ...shape,
        type: new List(itemField(type.of.type)),
        valueOffsets,
        child: cellData(type.of.type, items),
      });
    }
    case 'map': {
      const { items, valueOffsets } = flattened(cells);
      const entries = items as { key: Cell; value: Cell }[];
      const keys = cellData(
        type.key,
        entries.map(({ key }) => key),
      );
      const values = cellData(
        type.of.type,
        entries.map(({ value }) => value),
      );
      const map = mapType(type.key, type.of.type);
      return makeData({ ...shape, type: map, valueOffsets, child: entriesData(map, items.length, keys, values) });
    }
    default:
      return columnData({ name: '', type, values: scalars(type, cells), nulls }, length);
  }
}

function flattened(cells: Cell[]): { items: Cell[]; valueOffsets: Int32Array } {
  const lists = cells.map(cell => (cell === null ? [] : (cell as Cell[])));
  const valueOffsets = new Int32Array(lists.length + 1);
  for (const [i, list] of lists.entries()) valueOffsets[i + 1] = valueOffsets[i]! + list.length;
  return { items: lists.flat(), valueOffsets };
}

/** Nulls have any value. */
function scalars(type: Type, cells: Cell[]): FrameColumn['values'] {
  switch (type.kind) {
    case 'double':
      return Float64Array.from(cells, cell => Number(cell ?? 0));
    case 'bool':
      return Uint8Array.from(cells, cell => Number(cell ?? 0));
    case 'string':
      return cells.map(cell => String(cell ?? ''));
    default:
      return BigInt64Array.from(cells, cell => (cell ?? 0n) as bigint);
  }
}

/** Arrow says 1 where a value is there; ours says 1 where it is null. */
function validity(nulls: Uint8Array, count: number): { nullBitmap: Uint8Array; nullCount: number } {
  const nullBitmap = new Uint8Array((count + 7) >> 3);
  let nullCount = 0;
  for (let i = 0; i < count; i++) {
    if (nulls[i]) nullCount++;
    else nullBitmap[i >> 3]! |= 1 << (i & 7);
  }
  return { nullBitmap, nullCount };
}

function packBits(values: Uint8Array, count: number): Uint8Array {
  const bits = new Uint8Array((count + 7) >> 3);
  for (let i = 0; i < count; i++) if (values[i]) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}

/** There are few event types, and few texts that a feature chooses from, so each is encoded once per batch and then copied. */
function textData(
  type: Utf8 | Binary,
  cells: (string | Uint8Array)[],
  nulls: { nullCount: number; nullBitmap: Uint8Array },
): Data {
  const encoder = new TextEncoder();
  const encoded = new Map<string, Uint8Array>();
  const encode = (text: string) => {
    const bytes = encoded.get(text) ?? encoder.encode(text);
    encoded.set(text, bytes);
    return bytes;
  };
  const bytes = cells.map(cell => (typeof cell === 'string' ? encode(cell) : cell));
  const offsets = new Int32Array(cells.length + 1);
  for (let i = 0; i < bytes.length; i++) offsets[i + 1] = offsets[i]! + bytes[i]!.length;
  const data = new Uint8Array(offsets[cells.length]!);
  for (let i = 0; i < bytes.length; i++) data.set(bytes[i]!, offsets[i]);
  return makeData({ type: type as Utf8, length: cells.length, ...nulls, valueOffsets: offsets, data });
}
