/** Of the events of one type: when each was, what it is called, and why it does not count where it does not. */
import { assert } from '../base/assert.ts';
import { parseExactly } from '../base/json.ts';
import type { Fold } from '../kernel/fold.ts';
import type { Kernel } from '../kernel/instance.ts';
import type { Layout } from '../kernel/layout.ts';
import { typeIndex } from '../kernel/layout.ts';
import { type BadEvent, Decoder } from '../kernel/ndjson.ts';
import { addPlace, placeBads, placeCount, placeIds, placeTimes, startPlaces, takePlaces } from '../kernel/places.ts';
import { completeBatch } from '../kernel/upsert.ts';
import type { SweptRows } from '../kernel/swept.ts';
import type { Block } from '../source/source.ts';
import type { Taker } from './batches.ts';
import { BLOCK_ROWS, type ColumnWriter } from './column_file.ts';
import { packSizes } from './packed_longs.ts';
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
  readonly #places: Places;
  #position = 0;

  constructor(private readonly parts: PlacesParts) {
    const { layout, event, writers } = parts;
    assert(!layout.keepsLastRows || parts.fold, 'last rows of upserts are kept by a fold');
    this.#decoder = new Decoder(layout.kernel, layout.types);
    this.#places = new Places(layout.kernel, typeIndex(layout, event), writers);
  }

  take({ bytes, arrivalMicros }: Block): void {
    const { layout, fold } = this.parts;
    const decoder = this.#decoder;
    decoder.fill(bytes);
    while (decoder.next(this.#position, arrivalMicros)) {
      if (layout.keepsLastRows) completeBatch(layout.kernel, fold!);
      this.#places.add(decoder);
      this.#position += decoder.count;
    }
  }

  close(): void {
    this.#places.close();
  }

  finish(): true {
    return this.#places.finish();
  }
}

/** The places of events of one type, in a kernel (assembly/places.ts) until they make a block. */
export class Places {
  /** What is said of bad ones, and in which rows of the block. */
  #bads: { row: number; text: Uint8Array }[] = [];

  constructor(
    private readonly kernel: Kernel,
    private readonly type: number,
    private readonly writers: PlacesParts['writers'],
  ) {
    startPlaces(kernel);
  }

  /** The events of the batch that was decoded last. */
  add(decoder: Decoder): void {
    const { kernel } = this;
    for (let record = 0; ; ) {
      record = takePlaces(kernel, decoder, this.type, record, BLOCK_ROWS);
      const isEnd = record === decoder.count;
      const isFull = placeCount(kernel) === BLOCK_ROWS;
      // Its id does not stand plainly in its line.
      if (!isEnd && !isFull) {
        addPlace(kernel, record, idBytes(decoder.line(record)));
        record++;
      }
      this.#noteBads(decoder);
      if (isEnd) return;
      if (isFull) this.#flush();
    }
  }

  #noteBads(decoder: Decoder): void {
    for (const { row, record } of placeBads(this.kernel, this.#bads.length)) {
      const bad = decoder.badEvent(record);
      this.#bads.push({ row, text: ENCODER.encode(badText(bad)) });
    }
  }

  /** It has nothing open. */
  close(): void {}

  /** Writes what no block was made of yet. */
  finish(): true {
    this.#flush();
    return true;
  }

  #flush(): void {
    const count = placeCount(this.kernel);
    if (count === 0) return;
    this.writers.get('_time')?.addBlock(placeTimes(this.kernel));
    this.writers.get('_id')?.addBlock(placeIds(this.kernel));
    this.writers.get('_bad')?.addBlock(badRows(count, this.#bads));
    startPlaces(this.kernel);
    this.#bads = [];
  }
}

const ENCODER = new TextEncoder();

/** Null but for those that are said to be bad. */
function badRows(count: number, bads: { row: number; text: Uint8Array }[]): SweptRows {
  const ends = new Uint32Array(count + 1);
  const nulls = new Uint8Array(count).fill(1);
  for (const { row, text } of bads) {
    ends[row + 1] = text.length;
    nulls[row] = 0;
  }
  for (let row = 0; row < count; row++) ends[row + 1]! += ends[row]!;
  const values = { sizes: packSizes(ends), bytes: Buffer.concat(bads.map(({ text }) => text)) };
  return { values, nulls, statuses: new Uint8Array(count) };
}

function badText({ code, reason, sample, timeMicros }: BadEvent): string {
  return JSON.stringify({ code, reason, sample, time: String(timeMicros) });
}

function idBytes(line: Uint8Array): Uint8Array | null {
  const id = idOf(line);
  return id === null ? null : ENCODER.encode(id);
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
