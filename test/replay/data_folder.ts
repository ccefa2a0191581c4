/** A data folder with some events of the example `takeover` as a timeline, and replays of it. */
import { afterAll } from 'bun:test';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { loadConfig } from '../../src/cli/config.ts';
import { compileDefinitions } from '../../src/cli/definitions.ts';
import { type RunRequest, Runs } from '../../src/cli/runs/runs.ts';
import { Timelines } from '../../src/cli/timelines.ts';
import { folders } from '../source/folder.ts';
import { toldWhole } from './runs.ts';

const EXAMPLE = join(import.meta.dir, '../../examples/takeover');
/** Makes one at each call, all gone after the test file. */
export function dataFolders() {
  const newFolder = folders();
  const opened: Timelines[] = [];
  afterAll(() => {
    for (const each of opened) each.close();
  });
  return async (eventCount = 1500) => {
    const { timelines, ...data } = await dataFolder(newFolder(), eventCount);
    opened.push(timelines);
    return data;
  };
}

async function dataFolder(folder: string, eventCount: number) {
  mkdirSync(folder);
  cpSync(join(EXAMPLE, 'features'), join(folder, 'features'), { recursive: true });
  cpSync(join(EXAMPLE, 'tilefold.yaml'), join(folder, 'tilefold.yaml'));
  const lines = gunzipSync(readFileSync(join(EXAMPLE, 'events.ndjson.gz')))
    .toString()
    .split('\n');
  const config = await loadConfig(join(folder, 'tilefold.yaml'));
  const timelines = await Timelines.open(config);
  const save = async (count: number) => {
    writeFileSync(join(folder, 'events.ndjson'), lines.slice(0, count).join('\n'));
    const from = { kind: 'files' as const, paths: [join(folder, 'events.ndjson')], names: {} };
    const all = { types: null, startMicros: null, endMicros: null, lastMs: null, where: null };
    await timelines.create({ name: 'all', from, ...all });
  };
  await save(eventCount);
  const request = async (some: Partial<RunRequest> = {}): Promise<RunRequest> => ({
    plan: (await compileDefinitions(null, join(folder, 'tilefold.yaml'))).plan,
    ...{ definitions: 'features', patterns: null, stretch: { startMicros: null, endMicros: null }, workers: 2 },
    order: 'log',
    timelines: timelines.read([{ name: 'all', version: null }]).timelines,
    ...some,
  });
  const whole = async (manifest: Parameters<typeof toldWhole>[2]) =>
    toldWhole(join(config.timelines.dir, 'chunks'), (await request()).plan, manifest);
  return { timelines, folder, config, save, request, whole, runs: await Runs.open(config) };
}

const NEVER = new Promise<void>(() => {});
export const HOW = { workers: 2, memoryBytes: 2 ** 28, stopped: NEVER };
