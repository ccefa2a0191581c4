import { assert } from '../base/assert.ts';
import { giveBack } from '../base/garbage.ts';
import type { ChunkRef, Timeline, TimelineType } from '../base/timeline.ts';
import { NEWLINE } from './segment.ts';
import { BLOCK_MAX_BYTES, type Block, MAX_JUMP_DEFAULT_MS, type Source } from './source.ts';
import { type Chunk, type ReadingDisk, readChunk, type Room } from './timeline_chunk.ts';

/**
 * Timelines as one stream of records, to be replayed.
 *
 *   1. chunks     of each type, one at a time in memory
 *   2. types      of a timeline, merged by the order that it was made in: that is its stream
 *   3. timelines  merged by time; of events of the same time, those of the timeline given first come first
 *
 * One timeline keeps the clock and the arrivals of what it was made from. Several are a new stream, whose now is the
 * greatest event time.
 *
 * @param types of all others nothing is read; null reads all
 */
export function timelineSource(
  disk: ReadingDisk,
  folder: string,
  timelines: Timeline[],
  types: Set<string> | null = null,
): Source {
  const [first] = timelines;
  assert(first, 'there is at least one timeline to read');
  const maxJumpMs = Math.max(...timelines.map(({ clock }) => clock.maxJumpMs), MAX_JUMP_DEFAULT_MS);
  const isOne = timelines.length === 1;
  return {
    clock: isOne ? first.clock : { kind: 'event', maxJumpMs },
    read(from) {
      assert(from === 0, 'timelines are read from their start');
      return blocks(disk, folder, timelines, types, isOne);
    },
  };
}

/** How many records that is. */
export function timelineCount(timelines: Timeline[], types: Set<string> | null = null): number {
  const counts = timelines.flatMap(timeline => wanted(timeline, types).map(({ count }) => count));
  return counts.reduce((sum, count) => sum + count, 0);
}

function wanted(timeline: Timeline, types: Set<string> | null): TimelineType[] {
  return timeline.types.filter(({ type }) => types === null || types.has(type));
}

/** Where a type of a timeline has come to. */
interface Cursor {
  refs: ChunkRef[];
  /** Of `refs`. */
  next: number;
  chunk: Chunk;
  room: Room;
  /** The event at hand, and where its line starts. */
  index: number;
  start: number;
}

/** Where a timeline has come to. */
interface Stream {
  byTime: boolean;
  cursors: Cursor[];
  /** The one whose event is next; null at the end. */
  head: Cursor | null;
}

async function* blocks(
  disk: ReadingDisk,
  folder: string,
  timelines: Timeline[],
  types: Set<string> | null,
  keepsArrivals: boolean,
): AsyncGenerator<Block> {
  const streams: Stream[] = [];
  for (const timeline of timelines) streams.push(await openStream(disk, folder, timeline, types));
  const out = new Uint8Array(BLOCK_MAX_BYTES);
  const place = { file: timelines.map(({ name, version }) => `${name}@${version}`).join(', '), line: 1 };
  const pending = { length: 0, count: 0, arrivalMicros: null as bigint | null };
  const flush = (): Block => {
    const block = { bytes: out.subarray(0, pending.length), arrivalMicros: pending.arrivalMicros, ...place };
    place.line += pending.count;
    pending.length = pending.count = 0;
    return block;
  };
  for (let stream = earliest(streams); stream; stream = earliest(streams)) {
    const cursor = stream.head!;
    const { chunk, index, start } = cursor;
    if (isAlone(streams, keepsArrivals)) {
      if (pending.count > 0) yield flush();
      yield { bytes: chunk.lines, arrivalMicros: null, ...place };
      place.line += chunk.count;
      if (!(await openNext(disk, folder, cursor))) stream.head = null;
      continue;
    }
    const arrivalMicros = (keepsArrivals && chunk.arrivalsMicros?.[index]) || null;
    const end = chunk.lines.indexOf(NEWLINE, start) + 1;
    if (pending.count > 0 && (arrivalMicros !== pending.arrivalMicros || pending.length + end - start > out.length))
      yield flush();
    pending.arrivalMicros = arrivalMicros;
    out.set(chunk.lines.subarray(start, end), pending.length);
    pending.length += end - start;
    pending.count++;
    cursor.index++;
    cursor.start = end;
    if (cursor.index === chunk.count && !(await openNext(disk, folder, cursor)))
      stream.cursors.splice(stream.cursors.indexOf(cursor), 1);
    stream.head = firstOf(stream);
  }
  if (pending.count > 0) yield flush();
}

/** Is all of the chunk at hand next, with no arrivals to tell? Then it is a block as it stands. */
function isAlone(streams: Stream[], keepsArrivals: boolean): boolean {
  const [stream] = streams;
  const [cursor] = stream!.cursors;
  if (streams.length > 1 || stream!.cursors.length > 1 || cursor!.index > 0) return false;
  const { lines, arrivalsMicros } = cursor!.chunk;
  return lines.length <= BLOCK_MAX_BYTES && !(keepsArrivals && arrivalsMicros);
}

async function openStream(
  disk: ReadingDisk,
  folder: string,
  timeline: Timeline,
  types: Set<string> | null,
): Promise<Stream> {
  const stream: Stream = { byTime: timeline.order === 'time', cursors: [], head: null };
  for (const { chunks } of wanted(timeline, types)) {
    const cursor: Cursor = {
      ...{ refs: chunks, next: 0, chunk: NOTHING, index: 0, start: 0 },
      room: { bytes: new Uint8Array(0) },
    };
    if (await openNext(disk, folder, cursor)) stream.cursors.push(cursor);
  }
  stream.head = firstOf(stream);
  return stream;
}

const NOTHING: Chunk = {
  count: 0,
  lines: new Uint8Array(0),
  timesMicros: new BigInt64Array(0),
  orders: new BigInt64Array(0),
  arrivalsMicros: null,
};

/** False where there is none left. */
async function openNext(disk: ReadingDisk, folder: string, cursor: Cursor): Promise<boolean> {
  const ref = cursor.refs[cursor.next++];
  if (!ref) return false;
  // Whoever asks for more has done with what there was.
  giveBack(cursor.chunk.lines);
  cursor.chunk = await readChunk(disk, folder, ref, cursor.room);
  cursor.index = cursor.start = 0;
  return true;
}

/** Of equal times the stream given first. */
function earliest(streams: Stream[]): Stream | null {
  let first: Stream | null = null;
  for (const stream of streams) {
    if (!stream.head) continue;
    if (streams.length === 1) return stream;
    if (!first || timeOf(stream.head) < timeOf(first.head!)) first = stream;
  }
  return first;
}

function firstOf({ cursors, byTime }: Stream): Cursor | null {
  let first = cursors[0] ?? null;
  for (let i = 1; i < cursors.length; i++) if (comesBefore(cursors[i]!, first!, byTime)) first = cursors[i]!;
  return first;
}

function comesBefore(a: Cursor, b: Cursor, byTime: boolean): boolean {
  if (byTime && timeOf(a) !== timeOf(b)) return timeOf(a) < timeOf(b);
  return a.chunk.orders[a.index]! < b.chunk.orders[b.index]!;
}

function timeOf({ chunk, index }: Cursor): bigint {
  return chunk.timesMicros[index]!;
}
