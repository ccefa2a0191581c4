/** Of the events of one type: when each was, what it is called, and why it does not count where it does not. */
import { parseExactly } from '../base/json.ts';
import type { Layout } from '../kernel/layout.ts';
import { typeIndex } from '../kernel/layout.ts';
import { type BadEvent, Decoder } from '../kernel/ndjson.ts';
import { completeBatch } from '../kernel/upsert.ts';
import { type FeatureColumn, makeColumn } from '../kernel/window.ts';
import { STRING, TIME } from '../plan/value.ts';
import type { Source } from '../source/source.ts';
import type { ColumnWriter } from './column_file.ts';
import type { Spill } from './spill.ts';
import type { PlaceColumn } from './stages.ts';

export interface PlacesParts {
  layout: Layout;
  spill: Spill;
  source: Source;
  event: string;
  writers: Map<PlaceColumn, ColumnWriter>;
}

/** What is said of an event that does not count. */
export interface BadPlace {
  code: string;
  reason: string;
  sample: string;
}

export async function runPlaces({ layout, spill, source, event, writers }: PlacesParts): Promise<void> {
  const { kernel } = layout;
  const decoder = new Decoder(kernel, layout.types);
  const type = typeIndex(layout, event);
  let position = 0;
  for await (const block of source.read(0)) {
    decoder.fill(block.bytes);
    while (decoder.next(position, block.arrivalMicros)) {
      if (layout.keepsLastRows) completeBatch(kernel, spill.fold);
      writeBatch(kernel, type, decoder, block.bytes, writers);
      position += decoder.count;
    }
  }
}

function writeBatch(
  kernel: Layout['kernel'],
  type: number,
  decoder: Decoder,
  bytes: Uint8Array,
  writers: PlacesParts['writers'],
): void {
  const { exports } = kernel;
  const { count } = decoder;
  const types = kernel.ints(exports.recordType.value, count).slice();
  const rows = kernel.ints(exports.recordRow.value, count).slice();
  const times = kernel.longs(exports.recordTime.value, count).slice();
  const starts = kernel.ints(exports.recordStart.value, count).slice();
  const lengths = kernel.ints(exports.recordLength.value, count).slice();
  const bad = new Map(decoder.bad().map(one => [one.record, one]));
  const records = Array.from(types.keys()).filter(record => types[record] === type);
  for (let at = 0; at < records.length; ) {
    const some = records.slice(at, at + [...writers.values()][0]!.room);
    writers.get('_time')?.add(timesOf(some, rows, times));
    writers
      .get('_id')
      ?.add(textsOf(some, record => idOf(bytes.subarray(starts[record]!, starts[record]! + lengths[record]!))));
    writers.get('_bad')?.add(textsOf(some, record => badText(bad.get(record))));
    at += some.length;
  }
}

/** Null of events that are no rows. */
function timesOf(records: number[], rows: Int32Array, times: BigInt64Array): FeatureColumn {
  const column = makeColumn({ name: '_time', type: TIME }, records.length);
  const values = column.values as BigInt64Array;
  for (const [i, record] of records.entries()) {
    values[i] = times[record]!;
    column.nulls[i] = rows[record]! < 0 ? 1 : 0;
  }
  return column;
}

function textsOf(records: number[], textOf: (record: number) => string | null): FeatureColumn {
  const column = makeColumn({ name: '', type: STRING }, records.length);
  const values = column.values as string[];
  for (const [i, record] of records.entries()) {
    const text = textOf(record);
    values[i] = text ?? '';
    column.nulls[i] = text === null ? 1 : 0;
  }
  return column;
}

function badText(bad: BadEvent | undefined): string | null {
  if (!bad) return null;
  const { code, reason, sample, timeMicros } = bad;
  return JSON.stringify({ code, reason, sample, time: String(timeMicros) });
}

const NAMES = ['"id"', '"_id"'].map(name => Buffer.from(name));

/** As the event says it: most say nothing, and are not looked at any further. */
function idOf(line: Uint8Array): string | null {
  const text = Buffer.from(line.buffer, line.byteOffset, line.length);
  if (!NAMES.some(name => text.includes(name))) return null;
  const event = parseExactly(text.toString()) as Record<string, unknown>;
  // In the flat form a member `id` is an input.
  const id = typeof event.type === 'string' ? (event.id ?? event._id) : event._id;
  return id === undefined || id === null ? null : typeof id === 'string' ? id : JSON.stringify(id);
}
