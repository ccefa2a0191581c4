import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { Stages } from '../base/stages.ts';
import { loadKernel } from '../kernel/instance.ts';
import type { Layout } from '../kernel/layout.ts';
import { layPlan } from '../kernel/load.ts';
import type { Plan } from '../plan/plan.ts';
import { subplan } from '../plan/subplan.ts';
import type { BatchParts } from '../replay/batches.ts';
import { ColumnReader, ColumnWriter } from '../replay/column_file.ts';
import { eventsOfJob, waitsFor } from '../replay/inputs.ts';
import { runJob } from '../replay/job.ts';
import { joinParts } from '../replay/join.ts';
import {
  inFolder,
  isDone,
  type Manifest,
  type ManifestJob,
  outputsOf,
  PATHS,
  readManifest,
} from '../replay/manifest.ts';
import { runPlaces } from '../replay/places.ts';
import { Columns, type Node, type PlaceColumn } from '../replay/stages.ts';
import { streamSource } from '../replay/stream.ts';
import { subjectsOf } from '../replay/subject.ts';
import { runSweep } from '../replay/sweep.ts';
import { rowsPathOf } from '../replay/unfinished.ts';
import { localDisk } from '../source/disk.ts';
import { AHEAD_MAX_MS, type Source } from '../source/source.ts';
import { countedIds, spillOf } from './compose.ts';

/**
 * Does one job of a replay's folder, if it is not done already: what it leaves is there whole or not at all, so whoever does
 * it again, or beside another, does no harm.
 *
 * @param memoryBytes for rows
 * @throws Fault naming the columns that were to be made
 */
export async function doJob(
  folder: string,
  number: number,
  { engine, memoryBytes }: { engine: string; memoryBytes: number },
): Promise<{ isNew: boolean }> {
  const { manifest, plan } = readManifest(folder, engine);
  const job = manifest.jobs[number];
  if (!job) throw new Fault('not_found', `${folder} has no job ${number}: they are 0 to ${manifest.jobs.length - 1}`);
  const has = inFolder(folder);
  if (isDone(manifest, job, has)) return { isNew: false };
  const before = waitsFor(manifest, job, has);
  if (before) throw new Fault('conflict', `job ${number} needs what job ${before.number} makes, which is not done`);
  mkdirSync(PATHS.columns(folder), { recursive: true });
  mkdirSync(PATHS.parts(folder), { recursive: true });
  try {
    const work = { folder, manifest, job, columns: new Columns(plan), memoryBytes };
    if (job.kind === 'join') joinColumns(work);
    else if (!job.isSwept || !(await sweepColumns(work))) await makeColumns(work);
  } catch (error) {
    // Another one has done it meanwhile, and has tidied up after himself: the parts that he has joined, say.
    if (isDone(manifest, job, has)) return { isNew: false };
    if (!(error instanceof Fault)) throw error;
    throw new Fault(error.code, `${jobText(manifest, job)}: ${error.message}`, error.at);
  }
  await localDisk.syncFolder(job.part || job.range ? PATHS.parts(folder) : PATHS.columns(folder));
  return { isNew: true };
}

interface Work {
  folder: string;
  manifest: Manifest;
  job: ManifestJob;
  columns: Columns;
  memoryBytes: number;
}

function joinColumns(work: Work): void {
  const { folder, manifest, job } = work;
  for (const id of job.columns) {
    // Whoever was killed here may have joined some of them, and somebody else may be at it too: parts go with it.
    const isJoined = () => existsSync(PATHS.column(folder, manifest.files[id]!));
    if (isJoined()) continue;
    try {
      joinColumn(work, id);
    } catch (error) {
      if (!isJoined()) throw error;
    }
  }
}

function joinColumn({ folder, manifest, job, columns }: Work, id: string): void {
  const file = manifest.files[id]!;
  const paths = Array.from({ length: job.parts }, (_, index) => PATHS.part(folder, file, index, job.parts));
  const parts: ColumnReader[] = [];
  try {
    for (const path of paths) parts.push(new ColumnReader(path));
    const writer = new ColumnWriter(PATHS.column(folder, file), columns.node(id).type, manifest.rows[job.event]!);
    try {
      joinParts(parts, writer);
      writer.finish();
    } finally {
      writer.abandon();
    }
  } finally {
    for (const part of parts) part.close();
  }
  for (const path of paths) rmSync(path, { force: true });
}

/** A kernel with what the job has to know of the plan, its events, and the columns that it reads and writes. */
async function makeColumns(work: Work): Promise<void> {
  const { folder, job, memoryBytes } = work;
  const laid = await layJob(work);
  const { layout } = laid;
  const { spill, close } = spillOf(layout, { memoryBytes, path: rowsPathOf(folder, job.number) });
  try {
    await withColumns(work, laid, async (parts, outputs, from, to) => {
      if (job.kind === 'places') {
        const writers = new Map(outputs.map(({ node, writer }) => [placeOf(node), writer]));
        await runPlaces({ ...parts, spill, writers });
      } else await runJob({ ...parts, spill, outputs: named(outputs), from, to });
      return true;
    });
  } finally {
    close();
  }
}

/** The same key by key; false where that is not to be done. */
async function sweepColumns(work: Work): Promise<boolean> {
  const laid = await layJob(work);
  return withColumns(work, laid, (parts, outputs, from, to) =>
    runSweep({ ...parts, outputs: named(outputs), rows: to - from, memoryBytes: work.memoryBytes }),
  );
}

interface Laid {
  plan: Plan;
  layout: Layout;
  source: Source;
  /** The row of the event type in hand that the source begins with. */
  first: number;
}

async function layJob(work: Work): Promise<Laid> {
  const { folder, manifest, job } = work;
  const plan = planOf(work);
  const { timelines, first, ...how } = eventsOfJob(manifest, job);
  const source = streamSource(localDisk, PATHS.chunks(folder), timelines, how);
  const settings = { clock: source.clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 };
  return { plan, source, first, layout: layPlan(await loadKernel(), plan, countedIds(plan), settings) };
}

interface OutputColumn {
  node: Node;
  writer: ColumnWriter;
}

/** Opens what a job reads and writes, rows [from, to) of what the source has; its columns are there where it says that they are made. */
async function withColumns(
  work: Work,
  { plan, layout, source, first }: Laid,
  make: (parts: BatchParts, outputs: OutputColumn[], from: number, to: number) => Promise<boolean>,
): Promise<boolean> {
  const { folder, manifest, job } = work;
  const [from, to] = [(job.range?.from ?? 0) - first, (job.range?.to ?? manifest.rows[job.event]!) - first];
  const given = plan.events.flatMap(event =>
    (event.given ?? []).map(({ name }) => {
      const reader = new ColumnReader(PATHS.column(folder, manifest.files[`${event.name}.${name}`]!));
      reader.skip(first);
      return { event: event.name, column: name, reader };
    }),
  );
  const outputs = outputsOf(manifest, job, folder).map(({ id, path }): OutputColumn => {
    const node = work.columns.node(id);
    return { node, writer: new ColumnWriter(path, node.type, to - from) };
  });
  const subject = plan.sets.length > 0 ? subjectsOf(layout).subjects[0]! : null;
  const parts = { layout, source, event: job.event, subject, given, part: job.part, stages: new Stages() };
  let isMade = false;
  try {
    isMade = await make(parts, outputs, from, to);
    if (isMade) for (const { writer } of outputs) writer.finish();
  } finally {
    for (const { writer } of outputs) writer.abandon();
    for (const { reader } of given) reader.close();
  }
  return isMade;
}

function named(outputs: OutputColumn[]): { column: string; writer: ColumnWriter }[] {
  return outputs.map(({ node, writer }) => ({ column: columnOf(node), writer }));
}

function planOf({ job, columns }: Work): Plan {
  const { plan } = columns;
  const nodes = job.columns.map(id => columns.node(id));
  const given = new Map<string, Set<string>>();
  for (const { event, of } of job.needs.map(id => columns.node(id)))
    if (of.kind === 'column') given.set(event, (given.get(event) ?? new Set()).add(of.column));
  const lookups = nodes.flatMap(({ of }) => (of.kind === 'lookup' ? [of] : []));
  const set = lookups[0]?.set;
  const part = subplan(plan, {
    event: job.event,
    columns: nodes.flatMap(({ of }) => (of.kind === 'column' ? [of.column] : [])),
    lookups: set ? { set, features: lookups.map(({ feature }) => feature) } : null,
    given,
  });
  if (job.kind !== 'places') return part;
  // What an upsert takes back decides whether it is a row, and rows are kept for what is counted of them.
  const isUpsert = part.events.some(({ changelog }) => changelog?.kind === 'upsert');
  return isUpsert ? { ...plan, sets: [], features: [] } : part;
}

function placeOf({ of }: Node): PlaceColumn {
  assert(of.kind === 'place', 'places are made by themselves');
  return of.column;
}

/** What the plan calls it. */
function columnOf({ of }: Node): string {
  return of.kind === 'lookup' ? of.feature.name : of.column;
}

/** What a job makes, in a few words. */
export function jobText({ shown }: Manifest, { number, columns, event, kind, part, range }: ManifestJob): string {
  const names = columns.map(id => shown.find(one => one.id === id)?.name ?? id);
  const some =
    names.length > NAMES_MAX
      ? `${names.slice(0, NAMES_MAX).join(', ')} and ${names.length - NAMES_MAX} more`
      : names.join(', ');
  const piece = part ?? range;
  const which = piece ? `, part ${piece.index + 1} of ${piece.count}` : kind === 'join' ? ', joined' : '';
  return `job ${number} (${some || event}${which})`;
}

const NAMES_MAX = 4;
