/** Replays in jobs, in this thread, and what the replay in one piece makes of the same timelines. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Timeline } from '../../src/base/timeline.ts';
import { composeReplay } from '../../src/cli/alone/retelling.ts';
import { doJob } from '../../src/cli/runs/job.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { RecordReader } from '../../src/kernel/records.ts';
import { type FeatureColumn, isList, type ScalarValues } from '../../src/kernel/feature_column.ts';
import { planJson } from '../../src/plan/json.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { type Manifest, manifestJson, PATHS, planReplay, type ReplayRequest } from '../../src/replay/manifest.ts';
import { errorsOf, eventsOf } from '../../src/replay/results.ts';
import { saveTimeline } from '../../src/replay/save.ts';
import { streamed, streamSource } from '../../src/replay/stream.ts';
import { localDisk } from '../../src/source/disk.ts';
import { type Clock, MAX_JUMP_DEFAULT_MS, type Source } from '../../src/source/source.ts';
import { TimelineWriter } from '../../src/source/timeline_writer.ts';
import { body } from '../sim/flights.ts';

export const ENGINE = 'tests';
const CLOCK: Clock = { kind: 'event', maxJumpMs: MAX_JUMP_DEFAULT_MS };
const EVERYTHING = { types: null, startMicros: null, endMicros: null, where: null };

/** A timeline in the order of a log, its chunks in a folder. */
export async function timelineOf(chunks: string, lines: Uint8Array[], name = 'all'): Promise<Timeline> {
  mkdirSync(chunks, { recursive: true });
  const source: Source = {
    clock: CLOCK,
    async *read() {
      for (let from = 0; from < lines.length; from += 500)
        yield { bytes: body(lines.slice(from, from + 500)), arrivalMicros: null, file: name, line: from + 1 };
    },
  };
  const typeOf = (line: Uint8Array) => (JSON.parse(new TextDecoder().decode(line)) as { type: string }).type;
  const { types } = await saveTimeline({
    ...{ source, selection: EVERYTHING, order: { first: 0 }, onRejected() {} },
    reader: await RecordReader.open(loadKernel, { typeOf, typesMax: 100 }),
    writer: new TimelineWriter(localDisk, chunks),
  });
  return { name, version: 1, order: 'log', clock: CLOCK, types };
}

export interface Planning extends Partial<ReplayRequest> {
  plan: Plan;
  timelines: Timeline[];
}

/** Plans a replay into a folder whose chunks are there already. */
export function planned(folder: string, { plan, timelines, ...some }: Planning): Manifest {
  const manifest = planReplay({
    ...{
      id: 'test',
      plan,
      definitions: 'tests',
      order: 'log',
      streamed: streamed(timelines),
      patterns: null,
      engine: ENGINE,
    },
    ...{ stretch: { startMicros: null, endMicros: null }, createdAtMicros: 0n, parts: 1, has: () => false },
    ...some,
  });
  writeFileSync(PATHS.plan(folder), planJson(plan));
  writeFileSync(PATHS.manifest(folder), manifestJson(manifest));
  return manifest;
}

export async function done(folder: string, manifest: Manifest, memoryBytes = 2 ** 30): Promise<Manifest> {
  for (const { number } of manifest.jobs) await doJob(folder, number, { engine: ENGINE, memoryBytes });
  return manifest;
}

/** Of each event type, rows and errors as texts that differ where a bit does. */
export type Told = Record<string, { rows: string[]; errors: string[] }>;

export function toldOf(folder: string, manifest: Manifest): Told {
  const told: Told = {};
  for (const type of new Set(manifest.shown.map(({ event }) => event))) {
    const rows: string[] = [];
    const errors: string[] = [];
    for (const { count, columns } of eventsOf(manifest, folder, type)) {
      const shown = columns.filter(({ name }) => name !== '_id' && name !== '_type');
      for (let row = 0; row < count; row++) rows.push(rowText(shown, row));
    }
    for (const batch of errorsOf(manifest, folder, type))
      for (const { timeMicros, feature, error } of batch) errors.push(`${timeMicros} ${feature} ${error}`);
    told[type] = { rows, errors: errors.sort() };
  }
  return told;
}

/** What the replay in one piece says, of the columns that a manifest shows. */
export async function toldWhole(chunks: string, plan: Plan, manifest: Manifest): Promise<Told> {
  const told: Told = {};
  const { timelines, shown } = manifest;
  for (const { event } of shown) told[event] ??= { rows: [], errors: [] };
  const all = streamed(timelines);
  const source = streamSource(localDisk, chunks, timelines, all);
  const replay = await composeReplay(
    plan,
    source,
    { memoryBytes: 2 ** 30, path: join(chunks, 'rows') },
    {
      onRejected() {},
      onBad: ({ type, timeMicros, reason }) => told[type]?.errors.push(`${timeMicros} null ${reason}`),
    },
  );
  for await (const batch of replay.batches) {
    const time: FeatureColumn = {
      ...{ name: '_time', type: { kind: 'time' }, values: batch.timesMicros },
      ...{ nulls: new Uint8Array(batch.count), statuses: new Uint8Array(batch.count) },
    };
    for (let row = 0; row < batch.count; row++) {
      const type = batch.types[row]!;
      if (!told[type]) continue;
      const own = shown.filter(({ event }) => event === type);
      const columns = own.map(({ name }) => batch.columns.find(column => column.name === name)!);
      told[type].rows.push(rowText([time, ...columns], row));
    }
    for (const { timeMicros, feature, text } of batch.errors)
      if (shown.some(({ name }) => name === feature))
        told[feature.slice(0, feature.indexOf('.'))]!.errors.push(`${timeMicros} ${feature} ${text}`);
  }
  replay.close();
  for (const one of Object.values(told)) one.errors.sort();
  return told;
}

function rowText(columns: FeatureColumn[], row: number): string {
  return columns.map(column => `${column.name}=${cellText(column, row)}`).join(' ');
}

function cellText({ values, nulls, statuses }: FeatureColumn, row: number): string {
  const status = statuses[row] ? `!${statuses[row]}` : '';
  if (nulls[row]) return `null${status}`;
  if (!isList(values)) return scalarText(values, row) + status;
  const items: string[] = [];
  for (let item = values.offsets[row]!; item < values.offsets[row + 1]!; item++) {
    const mapped = values.mapped ? `>${values.mapped[item]}` : '';
    items.push(values.itemNulls[item] && !values.mapped ? 'null' : scalarText(values.items, item) + mapped);
  }
  return `[${items.join()}]${status}`;
}

function scalarText(values: ScalarValues, row: number): string {
  if (!(values instanceof Float64Array)) return String(values[row]);
  const words = new Uint32Array(values.buffer, values.byteOffset + row * 8, 2);
  return `${values[row]}:${words[0]}.${words[1]}`;
}
