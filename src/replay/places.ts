/** Of the events of one type: when each was, what it is called, and why it does not count where it does not. */
import { assert } from '../base/assert.ts';
import { parseExactly } from '../base/json.ts';
import type { Fold } from '../kernel/fold.ts';
import type { Layout } from '../kernel/layout.ts';
import { typeIndex } from '../kernel/layout.ts';
import { type BadEvent, Decoder } from '../kernel/ndjson.ts';
import { completeBatch } from '../kernel/upsert.ts';
import type { SweptRows } from '../kernel/swept.ts';
import type { Block } from '../source/source.ts';
import type { Taker } from './batches.ts';
import { BLOCK_ROWS, type ColumnWriter } from './column_file.ts';
import type { PlaceColumn } from './stages.ts';

export interface PlacesParts {
  layout: Layout;
  /** Has the last rows of upserts; null where there are none. */
  fold: Fold | null;
  event: string;
  writers: Map<PlaceColumn, ColumnWriter>;
}

/** What is said of an event that does not count. */
export interface BadPlace {
  code: string;
  reason: string;
  sample: string;
}

export class PlaceTaker implements Taker {
  readonly #decoder: Decoder;
  readonly #type: number;
  readonly #places: Places;
  #position = 0;

  constructor(private readonly parts: PlacesParts) {
    const { layout, event, writers } = parts;
    assert(!layout.keepsLastRows || parts.fold, 'last rows of upserts are kept by a fold');
    this.#decoder = new Decoder(layout.kernel, layout.types);
    this.#type = typeIndex(layout, event);
    this.#places = new Places(writers);
  }

  take({ bytes, arrivalMicros }: Block): void {
    const { layout, fold } = this.parts;
    const decoder = this.#decoder;
    decoder.fill(bytes);
    while (decoder.next(this.#position, arrivalMicros)) {
      if (layout.keepsLastRows) completeBatch(layout.kernel, fold!);
      this.#add(bytes);
      this.#position += decoder.count;
    }
  }

  #add(bytes: Uint8Array): void {
    const { kernel } = this.parts.layout;
    const { exports } = kernel;
    const { count } = this.#decoder;
    const bad = new Map(this.#decoder.bad().map(one => [one.record, one]));
    const ints = (global: { value: number }, words = 1) => kernel.ints(global.value, count * words);
    const [types, rows, times] = [ints(exports.recordType), ints(exports.recordRow), ints(exports.recordTime, 2)];
    const [starts, lengths] = [ints(exports.recordStart), ints(exports.recordLength)];
    for (let i = 0; i < count; i++) {
      if (types[i] !== this.#type) continue;
      this.#places.addTime(times, i, rows[i]! >= 0);
      this.#places.add(bytes, starts[i]!, starts[i]! + lengths[i]!, bad.get(i));
    }
  }

  /** It has nothing open. */
  close(): void {}

  /** Writes what no block was made of yet. */
  finish(): true {
    this.#places.flush();
    return true;
  }
}

/** The places of events until they make a block. */
class Places {
  #count = 0;
  readonly #times = new Int32Array(BLOCK_ROWS * 2);
  readonly #nulls = new Uint8Array(BLOCK_ROWS);
  readonly #ids = new PackedRows();
  readonly #bad = new PackedRows();

  constructor(private readonly writers: PlacesParts['writers']) {}

  /** Of the event that is added next: two words of all times, which none has that is no row. */
  addTime(times: Int32Array, index: number, isRow: boolean): void {
    this.#times[this.#count * 2] = isRow ? times[index * 2]! : 0;
    this.#times[this.#count * 2 + 1] = isRow ? times[index * 2 + 1]! : 0;
    this.#nulls[this.#count] = isRow ? 0 : 1;
  }

  /** The event whose line is bytes [from, to). */
  add(bytes: Uint8Array, from: number, to: number, bad: BadEvent | undefined): void {
    addId(bytes, from, to, this.#ids);
    this.#bad.add(bad ? ENCODER.encode(badText(bad)) : null);
    if (++this.#count === BLOCK_ROWS) this.flush();
  }

  flush(): void {
    const count = this.#count;
    if (count === 0) return;
    const values = new BigInt64Array(this.#times.slice(0, count * 2).buffer);
    this.writers
      .get('_time')
      ?.addBlock({ values, nulls: this.#nulls.slice(0, count), statuses: new Uint8Array(count) });
    this.writers.get('_id')?.addBlock(this.#ids.take());
    this.writers.get('_bad')?.addBlock(this.#bad.take());
    this.#count = 0;
  }
}

const ENCODER = new TextEncoder();

/** Texts that may be null, one behind the other. */
export class PackedRows {
  #count = 0;
  readonly #ends = new Uint32Array(BLOCK_ROWS + 1);
  readonly #nulls = new Uint8Array(BLOCK_ROWS);
  #bytes = new Uint8Array(BLOCK_ROWS);

  /** At most BLOCK_ROWS of them; @param text null, or a text whose bytes [from, to) are meant */
  add(text: Uint8Array | null, from = 0, to = text?.length ?? 0): void {
    const start = this.#ends[this.#count]!;
    const end = start + to - from;
    this.#nulls[this.#count] = text ? 0 : 1;
    if (end > this.#bytes.length) this.#grow(end);
    for (let i = from; i < to; i++) this.#bytes[start + i - from] = text![i]!;
    this.#ends[++this.#count] = end;
  }

  /** All there are; it is empty then. */
  take(): SweptRows {
    const count = this.#count;
    const ends = this.#ends.slice(0, count + 1);
    this.#count = 0;
    const values = { ends, bytes: this.#bytes.slice(0, ends[count]) };
    return { values, nulls: this.#nulls.slice(0, count), statuses: new Uint8Array(count) };
  }

  #grow(size: number): void {
    const grown = new Uint8Array(Math.max(size, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

function badText({ code, reason, sample, timeMicros }: BadEvent): string {
  return JSON.stringify({ code, reason, sample, time: String(timeMicros) });
}

/** As the event says it whose line is bytes [from, to): most say it plainly, within their first members. */
export function addId(bytes: Uint8Array, from: number, to: number, into: PackedRows): void {
  const start = findId(bytes, from, to);
  if (start >= 0) into.add(bytes, start, textEnd(bytes, start - 1, to));
  else {
    const text = idOf(bytes.subarray(from, to));
    into.add(text === null ? null : ENCODER.encode(text));
  }
}

const [QUOTE, BACKSLASH, COLON, COMMA, OPEN] = [0x22, 0x5c, 0x3a, 0x2c, 0x7b];

/** Where the id of an event begins whose first members are texts without escapes, `id` and `type` among them; -1 of any other. */
function findId(bytes: Uint8Array, from: number, to: number): number {
  if (bytes[from] !== OPEN) return -1;
  let id = -1;
  let hasType = false;
  for (let at = from + 1; ; ) {
    const nameEnd = textEnd(bytes, at, to);
    if (nameEnd < 0 || bytes[nameEnd + 1] !== COLON) return -1;
    const valueEnd = textEnd(bytes, nameEnd + 2, to);
    if (valueEnd < 0) return -1;
    if (isAt(bytes, at + 1, nameEnd, ID)) id = nameEnd + 3;
    else if (isAt(bytes, at + 1, nameEnd, TYPE)) hasType = true;
    if (id >= 0 && hasType) return id;
    if (bytes[valueEnd + 1] !== COMMA) return -1;
    at = valueEnd + 2;
  }
}

const ID = ENCODER.encode('id');
const TYPE = ENCODER.encode('type');

function isAt(bytes: Uint8Array, from: number, to: number, name: Uint8Array): boolean {
  if (to - from !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[from + i] !== name[i]) return false;
  return true;
}

/** The closing quote, before `to`, of a text that begins here and has no escapes; -1 where there is none. */
function textEnd(bytes: Uint8Array, at: number, to: number): number {
  if (bytes[at] !== QUOTE) return -1;
  for (let end = at + 1; end < to; end++) {
    if (bytes[end] === QUOTE) return end;
    if (bytes[end] === BACKSLASH) return -1;
  }
  return -1;
}

const NAMES = ['"id"', '"_id"'].map(name => Buffer.from(name));

/** Of any event: most that come here say nothing, and are not looked at any further. */
export function idOf(line: Uint8Array): string | null {
  const text = Buffer.from(line.buffer, line.byteOffset, line.length);
  if (!NAMES.some(name => text.includes(name))) return null;
  const event = parseExactly(text.toString()) as Record<string, unknown>;
  // In the flat form a member `id` is an input.
  const id = typeof event.type === 'string' ? (event.id ?? event._id) : event._id;
  return id === undefined || id === null ? null : typeof id === 'string' ? id : JSON.stringify(id);
}
