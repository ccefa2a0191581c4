import type { Kernel } from './instance.ts';
import type { Decoder } from './ndjson.ts';
import type { SweptRows } from './swept.ts';

/** Forgets what there is of a block of places (assembly/places.ts). */
export function startPlaces({ exports }: Kernel): void {
  exports.startPlaces();
}

/** Events that the block has. */
export function placeCount({ exports }: Kernel): number {
  return exports.placeCount();
}

/**
 * Takes the events of a type of the batch that was decoded last, from a record on, until the block has so many.
 *
 * @returns the record that comes next, or whose id has to be said (`addPlace`) where there is room for it; how many records there are where all are taken
 */
export function takePlaces({ exports }: Kernel, decoder: Decoder, type: number, from: number, rowsMax: number): number {
  return exports.takePlaces(decoder.input, type, from, rowsMax);
}

/** @param id null of a record that has none */
export function addPlace(kernel: Kernel, record: number, id: Uint8Array | null): void {
  const { exports } = kernel;
  const block = id ? kernel.put(id) : 0;
  exports.addPlace(record, block, id ? id.length : -1);
  if (id) exports.release(block, id.length);
}

/** Which rows of the block are of bad events, and of which records: those of the batch at hand, from the so-manieth of the block on. */
export function placeBads(kernel: Kernel, from: number): { row: number; record: number }[] {
  const { exports } = kernel;
  const count = exports.placeBadsCount() - from;
  const found = kernel.ints(exports.placeBadsStart() + from * 8, count * 2);
  return Array.from({ length: count }, (_, i) => ({ row: found[i * 2]!, record: found[i * 2 + 1]! }));
}

/** The block's times: they hold until the next event is taken. */
export function placeTimes(kernel: Kernel): SweptRows {
  const { exports } = kernel;
  const count = exports.placeCount();
  const size = exports.packPlaceTimes();
  const values = { packed: kernel.bytes(exports.packedPlacesStart(), size) };
  return { values, nulls: kernel.bytes(exports.placeTimeNulls(), count), statuses: new Uint8Array(count) };
}

/** Its ids, likewise, until times are asked for. */
export function placeIds(kernel: Kernel): SweptRows {
  const { exports } = kernel;
  const count = exports.placeCount();
  const size = exports.packPlaceLengths();
  const sizes = kernel.bytes(exports.packedPlacesStart(), size);
  const values = { sizes, bytes: kernel.bytes(exports.placeIdsStart(), exports.placeIdsSize()) };
  return { values, nulls: kernel.bytes(exports.placeIdNulls(), count), statuses: new Uint8Array(count) };
}
