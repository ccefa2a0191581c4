/**
 * A replay as a folder: what is to be done, what it is done from, and what came of it. Whoever has the folder can do any job of
 * it, anywhere; a job is done when its columns are there.
 *
 *     manifest.json   this
 *     plan.json       the definitions
 *     chunks/         events, as timelines keep them
 *     columns/        one file a column, named by all that decides its values
 *     parts/          parts of columns, until they are joined
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import type { Timeline } from '../base/timeline.ts';
import { eventMeaning, eventOf } from '../plan/canonical.ts';
import { Identities, type Identity } from '../plan/identity.ts';
import { readPlan } from '../plan/json.ts';
import type { Plan } from '../plan/plan.ts';
import type { Clock } from '../source/source.ts';
import type { About } from './cache.ts';
import { BLOCK_ROWS } from './column_file.ts';
import { Columns, type Node, PLACE_COLUMNS, placeId, type PlannedJob, planJobs, type Shown } from './stages.ts';
import { contentOf, countOf, type Order, type Streamed } from './stream.ts';
import type { Stretch } from './within.ts';

/** Raised where columns or manifests no longer mean what they say, and where the engine makes other values of the same definitions. */
export const REPLAY_FORMAT = 3;

export interface Manifest {
  format: number;
  id: string;
  /** Of the program that makes the columns: others make columns of their own. */
  engine: string;
  createdAtMicros: bigint;
  /** For people: which definitions. */
  definitions: string;
  order: Order;
  clock: Clock;
  keepsArrivals: boolean;
  timelines: Timeline[];
  stretch: Stretch;
  /** What is shown of each event type, in order. */
  shown: Shown[];
  /** Of each column, by its id, the name of its file, and what that is made of. */
  files: Record<string, string>;
  about: Record<string, About>;
  /** Events of each type that is shown. */
  rows: Record<string, number>;
  /** Columns that were there already. */
  reused: string[];
  /** In an order that respects what they need. */
  jobs: ManifestJob[];
}

export interface ManifestJob {
  /** Its place in the list, from 0. */
  number: number;
  stage: number;
  /** `places`: when events were, and which are rows. `join`: parts of columns to columns. */
  kind: 'places' | 'map' | 'fold' | 'join';
  /** A fold that goes key by key (replay/sweep.ts). */
  isSwept: boolean;
  event: string;
  /** By id. */
  columns: string[];
  needs: string[];
  /** Event types. */
  reads: string[];
  /** A part of all keys. */
  part: { index: number; count: number } | null;
  /** Rows [from, to). */
  range: { from: number; to: number; index: number; count: number } | null;
  /** How many parts a join joins. */
  parts: number;
  /** Jobs that have to be done before. */
  after: number[];
}

/** Where the files of a replay are. */
export const PATHS = {
  manifest: (folder: string) => join(folder, 'manifest.json'),
  plan: (folder: string) => join(folder, 'plan.json'),
  chunks: (folder: string) => join(folder, 'chunks'),
  columns: (folder: string) => join(folder, 'columns'),
  parts: (folder: string) => join(folder, 'parts'),
  column: (folder: string, file: string) => join(folder, 'columns', `${file}.column`),
  part: (folder: string, file: string, index: number, count: number) =>
    join(folder, 'parts', `${file}.${index + 1}-of-${count}.column`),
};

/** The files that a job makes, by the id of their column. */
export function outputsOf(manifest: Manifest, job: ManifestJob, folder: string): { id: string; path: string }[] {
  const { part, range } = job;
  const piece = part ?? range;
  return job.columns.map(id => {
    const file = manifest.files[id]!;
    return { id, path: piece ? PATHS.part(folder, file, piece.index, piece.count) : PATHS.column(folder, file) };
  });
}

/** Does a replay have the file of this name, `columns/...` or `parts/...`? */
export type Has = (name: string) => boolean;

export function inFolder(folder: string): Has {
  return name => existsSync(join(folder, name));
}

export function isDone(manifest: Manifest, job: ManifestJob, has: Has): boolean {
  // Parts go once they are joined.
  return outputsOf(manifest, job, '').every(({ id, path }) => has(path) || has(PATHS.column('', manifest.files[id]!)));
}

/** What is asked for. */
export interface ReplayRequest {
  id: string;
  plan: Plan;
  definitions: string;
  order: Order;
  streamed: Streamed;
  stretch: Stretch;
  /** Names with `*` for any characters; null for all. */
  patterns: string[] | null;
  engine: string;
  createdAtMicros: bigint;
  /** Into so many parts the keys of a stage's folds are dealt, and rows of long event types. */
  parts: number;
  /** Is the column of this name of a file there? Asked once for each. */
  has: (file: string, id: string) => boolean;
}

/** @throws Fault `not_found` where a pattern names nothing */
export function planReplay(request: ReplayRequest): Manifest {
  const { plan, streamed, patterns } = request;
  const columns = new Columns(plan);
  const identities = new Identities(plan);
  const held = new Set(streamed.timelines.flatMap(({ types }) => types.map(({ type }) => type)));
  const shown = chosen(columns.shown(), patterns).filter(({ event }) => held.has(event));
  const events = [...new Set(shown.map(({ event }) => event))];
  const files: Record<string, string> = {};
  const about: Record<string, About> = {};
  const names = new Map(columns.shown().map(one => [one.id, one.name]));
  const name = (id: string) => {
    about[id] ??= aboutOf(columns.node(id), names.get(id) ?? id, identities, request);
    files[id] ??= fileOf(about[id]);
    return files[id];
  };
  const wanted = [
    ...events.flatMap(event => PLACE_COLUMNS.map(column => placeId(event, column))),
    ...shown.map(({ id }) => id),
  ];
  const { jobs, reused } = planJobs(columns, wanted, id => request.has(name(id), id));
  for (const { columns: made, needs } of jobs) for (const id of [...made, ...needs]) name(id);
  const rows = Object.fromEntries(plan.events.map(event => [event.name, countOf(streamed, event.name)]));
  const { id, engine, createdAtMicros, definitions, order, stretch } = request;
  return {
    ...{ format: REPLAY_FORMAT, id, engine, createdAtMicros, definitions, order, stretch },
    ...{ clock: streamed.clock, keepsArrivals: streamed.keepsArrivals, timelines: streamed.timelines },
    ...{ shown, files, about, rows, reused, jobs: manifestJobs(jobs, request, rows) },
  };
}

/** Shorter event types are not worth a second job. */
const RANGE_MIN_ROWS = 8 * BLOCK_ROWS;

/** Numbers them, deals keys and ranges out, and says who waits for whom. */
function manifestJobs(planned: PlannedJob[], request: ReplayRequest, rows: Record<string, number>): ManifestJob[] {
  const jobs: ManifestJob[] = [];
  const makers = new Map<string, number[]>();
  const add = (job: Omit<ManifestJob, 'number' | 'after'>): number => {
    const number = jobs.length;
    const after = new Set(job.needs.flatMap(need => makers.get(need) ?? []));
    jobs.push({ number, ...job, after: [...after].sort((a, b) => a - b) });
    return number;
  };
  const stages = Map.groupBy(planned, ({ stage }) => stage);
  for (const { stage, event, columns, needs, reads, kind, isSwept, isKeyed } of planned) {
    const base = { stage, kind, isSwept, event, columns, needs, reads, part: null, range: null, parts: 0 } as const;
    // Where a stage has jobs for everybody, the keys of one need not be dealt out.
    const beside = stages.get(stage)!.length;
    const count = Math.ceil(request.parts / beside);
    const pieces = isKeyed ? keyParts(count) : kind === 'map' ? rangesOf(rows[event]!, count, event, request) : [];
    if (pieces.length < 2) {
      const number = add(base);
      for (const id of columns) makers.set(id, [number]);
      continue;
    }
    const numbers = pieces.map(piece => add({ ...base, ...piece }));
    const joining = add({ ...base, kind: 'join', isSwept: false, needs: [], reads: [], parts: pieces.length });
    jobs[joining]!.after = numbers;
    for (const id of columns) makers.set(id, [joining]);
  }
  return jobs;
}

function keyParts(count: number): Pick<ManifestJob, 'part'>[] {
  return Array.from({ length: count }, (_, index) => ({ part: { index, count } }));
}

/** Ranges begin where blocks do. Of several timelines nobody knows where which row is, before they are merged. */
function rangesOf(
  rows: number,
  count: number,
  event: string,
  { streamed }: ReplayRequest,
): Pick<ManifestJob, 'range'>[] {
  const holding = streamed.timelines.filter(({ types }) => types.some(({ type }) => type === event));
  if (holding.length !== 1 || rows < RANGE_MIN_ROWS) return [];
  const blocks = Math.ceil(rows / BLOCK_ROWS);
  const step = Math.ceil(blocks / count) * BLOCK_ROWS;
  const ranges = Array.from({ length: Math.ceil(rows / step) }, (_, index) => ({
    from: index * step,
    to: Math.min((index + 1) * step, rows),
    index,
  }));
  return ranges.map(range => ({ range: { ...range, count: ranges.length } }));
}

/**
 * What a column's file is called: by all that decides its values, and nothing else.
 *
 *   - what it means, with all that it is made of
 *   - the events of the types that it stands on, and their order
 *   - of what hangs on other events, the clock
 *   - the engine
 */
function aboutOf(node: Node, name: string, identities: Identities, { streamed, engine }: ReplayRequest): About {
  const isAlone = node.level === 0 && node.of.kind !== 'place';
  const clock = isAlone ? null : [streamed.clock, streamed.keepsArrivals];
  const { hash, events } = identityOf(node, identities);
  return { name, meaning: hash, events, content: digest([contentOf(streamed, events), clock]), engine };
}

function fileOf({ meaning, content, engine }: About): string {
  return digest([REPLAY_FORMAT, engine, meaning, content]);
}

function digest(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** Of a column, whatever it is called. */
export function identityOf({ of, event: name }: Node, identities: Identities): Identity {
  switch (of.kind) {
    case 'place': {
      const meaning = [of.column, eventMeaning(eventOf(identities.plan, name), identities.plan)];
      return { hash: JSON.stringify(meaning), events: [name] };
    }
    case 'column':
      return identities.eventFeature(name, { ...BARE, ...of });
    case 'lookup':
      return identities.replayed(of.feature, name, of.set.keys);
  }
}

const BARE = { description: '', at: null };

function chosen(shown: Shown[], patterns: string[] | null): Shown[] {
  if (patterns === null) return shown;
  const matches = patterns.map(pattern => ({ pattern, is: matcherOf(pattern) }));
  const names = new Set<string>();
  const known = () => new Set(shown.map(({ name }) => name));
  for (const { pattern, is } of matches) {
    const found = shown.filter(({ name }) => is(name));
    if (found.length === 0)
      throw new Fault(
        'not_found',
        `no feature is called ${pattern}${didYouMean(pattern, known()) || '; `tilefold graph` lists them'}`,
      );
    for (const { name } of found) names.add(name);
  }
  return shown.filter(({ name }) => names.has(name));
}

function matcherOf(pattern: string): (name: string) => boolean {
  const escaped = pattern.split('*').map(part => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const regex = new RegExp(`^${escaped.join('.*')}$`, 's');
  return name => regex.test(name);
}

/** int64 as `"5n"`: what a manifest has of it are times. */
export function manifestJson(manifest: Manifest): string {
  return `${JSON.stringify(manifest, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value), 1)}\n`;
}

/**
 * @throws Fault `not_found` where the folder is no replay's, `corrupt`, or `unsupported` where another version has made it
 */
export function readManifest(folder: string, engine: string | null): { manifest: Manifest; plan: Plan } {
  const path = PATHS.manifest(folder);
  const manifest = parsed(textOf(path), path);
  if (manifest.format !== REPLAY_FORMAT || (engine !== null && manifest.engine !== engine)) {
    const what = `${path} was made by another version of tilefold (${manifest.engine}), and this one would make other columns`;
    throw new Fault('unsupported', `${what}: plan the replay anew`);
  }
  if (!isManifest(manifest)) throw new Fault('corrupt', `${path} cannot be read: something of it is missing`);
  return { manifest, plan: readPlan(textOf(PATHS.plan(folder)), PATHS.plan(folder)) };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw new Fault('corrupt', `${path} cannot be read: ${message}`);
    throw new Fault('not_found', `there is no ${path}: that is no folder of a replay`);
  }
}

/** As much as every version of it has. */
function parsed(text: string, path: string): Record<string, unknown> {
  try {
    const manifest: unknown = JSON.parse(text, (name, value: unknown) =>
      name.endsWith('Micros') && typeof value === 'string' ? BigInt(value.slice(0, -1)) : value,
    );
    if (isObject(manifest) && typeof manifest.format === 'number') return manifest;
  } catch (error) {
    throw new Fault('corrupt', `${path} cannot be read: ${(error as Error).message}`);
  }
  throw new Fault('corrupt', `${path} cannot be read: it is no manifest of a replay`);
}

const OBJECTS = ['clock', 'stretch', 'files', 'about', 'rows'] as const;
const JOB_LISTS = ['columns', 'needs', 'reads', 'after'] as const;

/** So far that a replay which was damaged can be told from others, and listed and deleted among them. */
function isManifest(manifest: unknown): manifest is Manifest {
  if (!isObject(manifest) || OBJECTS.some(name => !isObject(manifest[name]))) return false;
  const { id, createdAtMicros, timelines, shown, reused, jobs } = manifest;
  return (
    typeof id === 'string' &&
    typeof createdAtMicros === 'bigint' &&
    isListOf(timelines, ({ name, types }) => typeof name === 'string' && isListOf(types, isNamed)) &&
    isListOf(shown, ({ name, event, id: column }) => [name, event, column].every(text => typeof text === 'string')) &&
    Array.isArray(reused) &&
    isListOf(jobs, (job, i) => job.number === i && JOB_LISTS.every(name => Array.isArray(job[name])))
  );
}

function isNamed({ type, chunks }: Record<string, unknown>): boolean {
  return typeof type === 'string' && Array.isArray(chunks);
}

function isListOf(list: unknown, is: (item: Record<string, unknown>, i: number) => boolean): boolean {
  return Array.isArray(list) && list.every((item: unknown, i) => isObject(item) && is(item, i));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
