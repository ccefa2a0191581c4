import { assert } from '../../base/assert.ts';
import { Stages } from '../../base/stages.ts';
import { loadKernel } from '../../kernel/instance.ts';
import { countedIds } from '../../kernel/layout.ts';
import { layPlan } from '../../kernel/load.ts';
import type { Plan } from '../../plan/plan.ts';
import { subplan } from '../../plan/subplan.ts';
import type { BatchParts } from '../../replay/batches.ts';
import { ColumnReader, ColumnWriter } from '../../replay/column_file.ts';
import { eventsOfJob } from '../../replay/inputs.ts';
import { type Manifest, type ManifestJob, outputsOf, PATHS } from '../../replay/manifest.ts';
import type { Columns, Node, PlaceColumn } from '../../replay/stages.ts';
import { streamSource } from '../../replay/stream.ts';
import { subjectsOf } from '../../replay/subject.ts';
import { localDisk } from '../../source/disk.ts';
import { AHEAD_MAX_MS, type Source } from '../../source/source.ts';

/** One job of a replay's folder. */
export interface Work {
  folder: string;
  manifest: Manifest;
  job: ManifestJob;
  columns: Columns;
}

interface OutputColumn {
  node: Node;
  writer: ColumnWriter;
}

/** The columns that a job writes. */
export interface Outputs {
  outputs: OutputColumn[];
  /** They are there then. */
  finish(): void;
  /** Leaves none that is not finished. */
  close(): void;
}

/** A job that is laid out: a kernel with what it has to know of the plan, its events, and the columns that it reads and writes. */
export interface LaidJob extends Outputs {
  work: Work;
  parts: BatchParts;
  source: Source;
  /** Rows of the event type in hand, of those that the source has. */
  from: number;
  to: number;
}

export async function layJob(work: Work): Promise<LaidJob> {
  const { folder, manifest, job } = work;
  const plan = planOf(work);
  const { timelines, first, ...how } = eventsOfJob(manifest, job);
  const source = streamSource(localDisk, PATHS.chunks(folder), timelines, how);
  const settings = { clock: source.clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 };
  const layout = layPlan(await loadKernel(), plan, countedIds(plan), settings);
  const [from, to] = [(job.range?.from ?? 0) - first, (job.range?.to ?? manifest.rows[job.event]!) - first];
  const subject = plan.sets.length > 0 ? subjectsOf(layout).subjects[0]! : null;
  const given: BatchParts['given'] = [];
  const written = openOutputs(work, to - from);
  const close = () => {
    written.close();
    for (const { reader } of given) reader.close();
  };
  try {
    for (const { event, name } of givenOf(plan)) {
      const reader = new ColumnReader(PATHS.column(folder, manifest.files[`${event}.${name}`]!));
      given.push({ event, column: name, reader });
      reader.skip(first);
    }
  } catch (error) {
    close();
    throw error;
  }
  const parts = { layout, event: job.event, subject, given, part: job.part, stages: new Stages() };
  return { ...written, work, parts, source, from, to, close };
}

/** @param rows that each is to have */
export function openOutputs({ folder, manifest, job, columns }: Work, rows: number): Outputs {
  const outputs: OutputColumn[] = [];
  const close = () => {
    for (const { writer } of outputs) writer.abandon();
  };
  try {
    for (const { id, path } of outputsOf(manifest, job, folder)) {
      const node = columns.node(id);
      outputs.push({ node, writer: new ColumnWriter(path, node.type, rows) });
    }
  } catch (error) {
    close();
    throw error;
  }
  const finish = () => {
    for (const { writer } of outputs) writer.finish();
  };
  return { outputs, finish, close };
}

function givenOf({ events }: Plan): { event: string; name: string }[] {
  return events.flatMap(event => (event.given ?? []).map(({ name }) => ({ event: event.name, name })));
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

/** Its columns, as the plan calls them. */
export function named({ outputs }: Outputs): { column: string; writer: ColumnWriter }[] {
  return outputs.map(({ node, writer }) => ({ column: columnOf(node), writer }));
}

function columnOf({ of }: Node): string {
  return of.kind === 'lookup' ? of.feature.name : of.column;
}

/** Of a job that makes places. */
export function placeWriters({ outputs }: Outputs): Map<PlaceColumn, ColumnWriter> {
  return new Map(outputs.map(({ node, writer }) => [placeOf(node), writer]));
}

function placeOf({ of }: Node): PlaceColumn {
  assert(of.kind === 'place', 'places are made by themselves');
  return of.column;
}
