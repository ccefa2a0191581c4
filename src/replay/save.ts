import { turn } from '../base/turn.ts';
import type { Condition } from '../kernel/condition.ts';
import type { Rejected } from '../kernel/ndjson.ts';
import type { RecordReader, Records } from '../kernel/records.ts';
import { numbered } from '../source/numbered.ts';
import type { Source } from '../source/source.ts';
import type { TimelineType } from '../base/timeline.ts';
import type { TimelineWriter } from '../source/timeline_writer.ts';
import type { ByTime } from './by_time.ts';

/** Which events of a source a timeline has. */
export interface Selection {
  /** Null for all. */
  types: string[] | null;
  /** Of its times: those in [start, end), microseconds since 1970 UTC; null for no bound. */
  startMicros: bigint | null;
  endMicros: bigint | null;
  where: Condition | null;
}

export interface SaveParts {
  source: Source;
  selection: Selection;
  /** Tells the types of the selection, or all. */
  reader: RecordReader;
  writer: TimelineWriter;
  /** The position of the source's first record in its log; or, of files, what puts their events in order. */
  order: { first: number } | { byTime: ByTime };
  onRejected: (rejected: Rejected & { file: string }) => void;
}

export interface Saved {
  types: TimelineType[];
  /** Of the source. */
  records: number;
  rejected: number;
  chunksWritten: number;
  chunksShared: number;
}

/**
 * A source's way into a timeline: records -> those that are wanted -> the timeline's order -> chunks of their types.
 *
 * All of it is durable when it returns; that it is there is the caller's to say.
 */
export async function saveTimeline(parts: SaveParts): Promise<Saved> {
  const { source, selection, reader, writer, order, onRejected } = parts;
  const counts = { records: 0, rejected: 0 };
  for await (const block of numbered(source.read(0))) {
    const { bytes, file, line, arrivalMicros } = block;
    const holds = selection.where?.holds(bytes) ?? null;
    const batches = await reader.read(bytes);
    let first = 0;
    for (const batch of batches) {
      for (const one of batch.rejected) onRejected({ ...one, file, line: line + one.line - 1 });
      counts.rejected += batch.rejected.length;
      for (let i = 0; i < batch.count; i++) {
        if (!isWanted(batch, i, selection) || (holds && holds[first + i] === 0)) continue;
        const text = bytes.subarray(batch.starts[i]!, batch.starts[i]! + batch.lengths[i]!);
        const [type, timeMicros] = [batch.types[i]!, batch.timesMicros[i]!];
        if ('byTime' in order) order.byTime.add(type, timeMicros, text);
        else
          writer.add(reader.types[type]!, {
            ...{ line: text, timeMicros, arrivalMicros },
            order: order.first + counts.records + first + i,
          });
      }
      first += batch.count;
    }
    counts.records += first;
    await ('byTime' in order ? order.byTime.settle() : writer.settle());
    await turn();
  }
  if ('byTime' in order) await writeSorted(order.byTime, reader, writer);
  return { ...(await writer.finish()), ...counts };
}

function isWanted(batch: Records, i: number, { startMicros, endMicros }: Selection): boolean {
  const timeMicros = batch.timesMicros[i]!;
  if (batch.types[i]! < 0) return false;
  return (startMicros === null || timeMicros >= startMicros) && (endMicros === null || timeMicros < endMicros);
}

/** Written at a time, in bytes of lines. */
const SETTLE_BYTES = 1 << 20;

/** An event's order is its place among those of the same time. */
async function writeSorted(byTime: ByTime, reader: RecordReader, writer: TimelineWriter): Promise<void> {
  let before: bigint | null = null;
  let order = 0;
  let bytes = 0;
  for await (const { type, timeMicros, line } of byTime.sorted()) {
    order = timeMicros === before ? order + 1 : 0;
    before = timeMicros;
    writer.add(reader.types[type]!, { line, timeMicros, order, arrivalMicros: null });
    bytes += line.length;
    if (bytes < SETTLE_BYTES) continue;
    bytes = 0;
    await writer.settle();
    await turn();
  }
}
