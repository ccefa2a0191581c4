/** Jobs that read the same events over one reading: each leaves what it leaves alone, and fails alone. */
import { expect, test } from 'bun:test';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { handsOf } from '../../src/cli/runs/job_crew.ts';
import { doJobs } from '../../src/cli/runs/job.ts';
import { compileSources } from '../../src/compile/compile.ts';
import { type Manifest, PATHS } from '../../src/replay/manifest.ts';
import { sweepBytes } from '../../src/replay/sweep.ts';
import { tame } from '../sim/flights.ts';
import { folders } from '../source/folder.ts';
import { done, ENGINE, planned, timelineOf } from './runs.ts';

const newFolder = folders();

const TOPOLOGY = `
event view
user := $.user as string
post := $.post as string
ms   := $.ms as int
views  := Count(by post last 2 hours)
spent  := Sum(ms by post last day)
users  := Count(by user)
latest := Sequence(post by user limit 3)
both   := Count(by user, post last day)
deep   := Sum(views by user last day)
`;

function lineOf(i: number): string {
  const data = { user: `u${(i * 7) % 13}`, post: `p${(i * i) % 5}`, ms: i % 11 };
  return JSON.stringify({
    id: `e${i}`,
    type: 'view',
    time: new Date(Date.UTC(2024, 0, 1) + i * 600_000).toISOString(),
    data,
  });
}

async function viewsIn(folder: string): Promise<Manifest> {
  const { plan } = await compileSources([{ file: 'views.scowl', text: TOPOLOGY }], { latenessMs: 3_600_000 });
  const lines = tame(Array.from({ length: 400 }, (_, i) => lineOf(i)));
  return planned(folder, { plan, timelines: [await timelineOf(PATHS.chunks(folder), lines)] });
}

function columnsIn(folder: string): Map<string, Buffer> {
  const names = readdirSync(PATHS.columns(folder)).sort();
  return new Map(names.map(name => [name, readFileSync(join(PATHS.columns(folder), name))]));
}

/** What was told of each job. */
async function doneTogether(folder: string, { jobs }: Manifest, memoryBytes: number): Promise<(string | null)[]> {
  const told: (string | null)[] = [];
  const numbers = jobs.map(({ number }) => number);
  await doJobs(folder, numbers, { engine: ENGINE, memoryBytes }, (number, error) => {
    told[number] = error?.message ?? null;
  });
  return told;
}

async function alone(): Promise<{ folder: string; manifest: Manifest; columns: Map<string, Buffer> }> {
  const folder = newFolder();
  const manifest = await viewsIn(folder);
  const copy = newFolder();
  cpSync(folder, copy, { recursive: true });
  await done(copy, manifest);
  return { folder, manifest, columns: columnsIn(copy) };
}

test.each([
  ['with room', 2 ** 30],
  ['with room for one', 60_000],
  ['with none', 1000],
])('columns are those of jobs alone, %s', async (_what, memoryBytes) => {
  const { folder, manifest, columns } = await alone();
  expect(manifest.jobs.filter(({ isSwept }) => isSwept).length).toBe(4);
  expect(await doneTogether(folder, manifest, memoryBytes)).toEqual(manifest.jobs.map(() => null));
  expect(columnsIn(folder)).toEqual(columns);
});

test('one that fails fails alone', async () => {
  const { folder, manifest, columns } = await alone();
  const file = (id: string) => `${manifest.files[id]!}.column`;
  // What it stands on is there, and damaged.
  mkdirSync(PATHS.columns(folder), { recursive: true });
  writeFileSync(join(PATHS.columns(folder), file('view.views')), 'no column');
  const told = await doneTogether(folder, manifest, 2 ** 30);
  const stands = manifest.jobs.find(({ columns: made }) => made.includes('view.deep'))!;
  for (const { number } of manifest.jobs)
    if (number === stands.number) expect(told[number]).toMatch(/^job \d+ \(view\.deep\): .* is damaged at byte 0/);
    else expect([number, told[number]]).toEqual([number, null]);
  const made = columnsIn(folder);
  for (const name of [file('view.views'), file('view.deep')]) for (const all of [columns, made]) all.delete(name);
  expect(made).toEqual(columns);
});

test('events that nobody can read fail all of them, each by its name', async () => {
  const { folder, manifest } = await alone();
  rmSync(PATHS.chunks(folder), { recursive: true });
  const told = await doneTogether(folder, manifest, 2 ** 30);
  for (const { number } of manifest.jobs)
    expect(told[number]).toMatch(new RegExp(`^job ${number} .* (is gone|is not done)$`));
  expect(told.filter(text => text!.endsWith('is gone')).length).toBe(manifest.jobs.length - 1);
  expect(readdirSync(PATHS.columns(folder))).toEqual([]);
});

test('jobs are dealt to threads: those left over to who reads their events and has least to do', async () => {
  const manifest = await viewsIn(newFolder());
  const ready = manifest.jobs
    .filter(({ kind, stage }) => kind !== 'map' && stage < 2)
    .sort((a, b) => b.columns.length - a.columns.length || a.number - b.number)
    .map(({ number }) => number);
  const widths = (hands: number[][]) => hands.map(hand => hand.map(number => manifest.jobs[number]!.columns.length));
  expect(widths(handsOf(manifest, ready, 1, 2 ** 30))).toEqual([[3, 2, 2, 1]]);
  expect(widths(handsOf(manifest, ready, 2, 2 ** 30))).toEqual([
    [3, 1],
    [2, 2],
  ]);
  expect(widths(handsOf(manifest, ready, 9, 2 ** 30))).toEqual([[3], [2], [2], [1]]);
  // Where two columns hardly have room, only those of places come with them.
  expect(widths(handsOf(manifest, ready, 2, sweepBytes(2, manifest.rows.view!)))).toEqual([[3, 2], [2]]);
});
