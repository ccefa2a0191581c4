/** Whoever reads files tells the same lines of them, in whatever block they stand, though the source does not count them. */
import { expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { composeReplay } from '../../src/cli/alone/retelling.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { RecordReader } from '../../src/kernel/records.ts';
import { answersAt } from '../../src/replay/moments.ts';
import { saveTimeline } from '../../src/replay/save.ts';
import { Spill } from '../../src/replay/spill.ts';
import { localDisk } from '../../src/source/disk.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';
import { AHEAD_MAX_MS, BLOCK_MAX_BYTES } from '../../src/source/source.ts';
import { TimelineWriter } from '../../src/source/timeline_writer.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { countedIds, EVENT_CLOCK, PLENTY_BYTES } from '../sim/engine.ts';
import { body, smallWeek, tame } from '../sim/flights.ts';
import { folders } from '../source/folder.ts';

const folder = folders();
const plan = flightsPlan();
const week = tame(await smallWeek(40, 4));

/** So many lines of flights, some blocks of them, but for those that are no events and those that cannot count. */
function write(path: string, count: number, rejected: number[], bad: number[]): string {
  const lines = Array.from({ length: count }, (_, i) => Buffer.from(week[i % week.length]!));
  for (const line of rejected) lines[line - 1] = Buffer.from('{"type":');
  for (const line of bad) lines[line - 1] = Buffer.from(`${lines[line - 1]}`.replace(/"delay":[^,]*/, '"delay":"x"'));
  writeFileSync(path, body(lines));
  expect(Bun.file(path).size).toBeGreaterThan(2 * BLOCK_MAX_BYTES);
  return path;
}

test('a replay, one of moments, and a timeline that is made of files', async () => {
  const at = folder();
  mkdirSync(at);
  const [first, last] = [20_001, 19_000];
  const files = [
    write(join(at, 'a.ndjson'), first, [3, 15_000, first], [2, 14_999]),
    write(join(at, 'b.ndjson'), last, [1, last], [last - 1]),
  ];
  const [a, b] = files as [string, string];
  const rejected = [
    [a, 3],
    [a, 15_000],
    [a, first],
    [b, 1],
    [b, last],
  ];
  const bad = [
    [a, 2],
    [a, 14_999],
    [b, last - 1],
  ];
  const listening = () => {
    const told = { rejected: [] as unknown[], bad: [] as unknown[] };
    const onRejected = ({ file, line }: { file: string; line: number }) => void told.rejected.push([file, line]);
    const onBad = ({ file, line }: { file: string; line: number }) => void told.bad.push([file, line]);
    return { told, onRejected, onBad };
  };

  const whole = listening();
  const replay = await composeReplay(
    plan,
    await ndjsonFiles(files, EVENT_CLOCK),
    { memoryBytes: PLENTY_BYTES, path: '' },
    whole,
  );
  for await (const { count } of replay.batches) expect(count).toBeGreaterThan(0);
  replay.close();
  expect(whole.told).toEqual({ rejected, bad });

  const moments = listening();
  const layout = layPlan(await loadKernel(), plan, countedIds(plan), {
    clock: EVENT_CLOCK,
    aheadMaxMs: AHEAD_MAX_MS,
    shards: 1,
  });
  const spill = new Spill(layout, PLENTY_BYTES, () => expect.unreachable());
  const asked = { features: ['origin_delays:*'], entity: 'origin', key: 'ATL', atMicros: null };
  await answersAt({ layout, spill, source: await ndjsonFiles(files, EVENT_CLOCK), ...moments }, [asked]);
  expect(moments.told).toEqual({ rejected, bad });

  const timeline = listening();
  await saveTimeline({
    ...{ source: await ndjsonFiles(files, EVENT_CLOCK), order: { first: 0 }, onRejected: timeline.onRejected },
    selection: { types: null, startMicros: null, endMicros: null, where: null },
    reader: await RecordReader.open(loadKernel, { types: ['flight'] }),
    writer: new TimelineWriter(localDisk, at),
  });
  expect(timeline.told.rejected).toEqual(rejected);
});
