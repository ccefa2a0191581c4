/**
 * Events in the order of their times, those of equal times as they came: another stream than the log, in which nothing is late. Its
 * now is the greatest event time, positions count anew, and when events arrived is of no account.
 */
import { assert } from '../base/assert.ts';
import type { Timeline } from '../base/timeline.ts';
import { loadKernel } from '../kernel/instance.ts';
import type { Rejected } from '../kernel/ndjson.ts';
import { RecordReader } from '../kernel/records.ts';
import { localDisk } from '../source/disk.ts';
import { numbered } from '../source/numbered.ts';
import { NEWLINE } from '../source/segment.ts';
import { BLOCK_MAX_BYTES, type Block, type Source } from '../source/source.ts';
import { timelineSource } from '../source/timeline.ts';
import { TimelineWriter } from '../source/timeline_writer.ts';
import type { ByTime } from './by_time.ts';
import { saveTimeline } from './save.ts';

/** @param byTime a new one, which is closed at the end; @param onRejected hears of lines that are no records, which are not given on */
export function sortedSource(
  source: Source,
  byTime: ByTime,
  onRejected: (rejected: Rejected & { file: string }) => void,
): Source {
  return {
    clock: { kind: 'event', maxJumpMs: source.clock.maxJumpMs },
    async *read(from) {
      assert(from === 0, 'what is sorted is read from its start');
      try {
        const files = await addAll(source, byTime, onRejected);
        yield* blocksOf(byTime, `${files}, in the order of time`);
      } finally {
        await byTime.close();
      }
    },
  };
}

/** @returns what to call them */
async function addAll(source: Source, byTime: ByTime, onRejected: Parameters<typeof sortedSource>[2]): Promise<string> {
  const reader = await RecordReader.open(loadKernel, { types: [] });
  const files: string[] = [];
  for await (const { bytes, file, line } of numbered(source.read(0))) {
    if (files.at(-1) !== file) files.push(file);
    for (const batch of await reader.read(bytes)) {
      for (const one of batch.rejected) onRejected({ ...one, file, line: line + one.line - 1 });
      for (let i = 0; i < batch.count; i++) {
        const text = bytes.subarray(batch.starts[i]!, batch.starts[i]! + batch.lengths[i]!);
        byTime.add(0, batch.timesMicros[i]!, text);
      }
    }
    await byTime.settle();
  }
  return files.length > 1 ? `${files[0]} and others` : (files[0] ?? '');
}

async function* blocksOf(byTime: ByTime, file: string): AsyncGenerator<Block> {
  const out = new Uint8Array(BLOCK_MAX_BYTES);
  let [length, first, count] = [0, 1, 0];
  const block = () => ({ bytes: out.subarray(0, length), arrivalMicros: null, file, line: first });
  for await (const { line } of byTime.sorted()) {
    if (length + line.length + 1 > out.length) {
      yield block();
      first += count;
      length = count = 0;
    }
    out.set(line, length);
    out[length + line.length] = NEWLINE;
    length += line.length + 1;
    count++;
  }
  if (count > 0) yield block();
}

/**
 * A timeline in the order of time, its chunks in another folder.
 *
 * @param types of which it is to hold events
 * @throws Fault as `timelineSource`
 */
export async function sortedTimeline(
  timeline: Timeline,
  types: Set<string>,
  { chunks, to, byTime }: { chunks: string; to: string; byTime: ByTime },
): Promise<Timeline> {
  const names = timeline.types.map(({ type }) => type).filter(type => types.has(type));
  try {
    const saved = await saveTimeline({
      source: timelineSource(localDisk, chunks, [timeline], types),
      selection: { types: names, startMicros: null, endMicros: null, where: null },
      reader: await RecordReader.open(loadKernel, { types: names }),
      writer: new TimelineWriter(localDisk, to),
      order: { byTime },
      onRejected: ({ reason }) => assert(false, `a timeline holds nothing but events: ${reason}`),
    });
    return { ...timeline, order: 'time', clock: { ...timeline.clock, kind: 'event' }, types: saved.types };
  } finally {
    await byTime.close();
  }
}
