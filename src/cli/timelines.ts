import type { Database } from 'bun:sqlite';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Fault, Faults } from '../base/fault.ts';
import { wallMicros } from '../base/time.ts';
import type { Timeline } from '../base/timeline.ts';
import { checkNewName, parseVersionName, type VersionName } from '../base/version.ts';
import { compileCondition } from '../compile/condition.ts';
import { compileFolder } from '../compile/compile.ts';
import type { TimelineService } from '../http/timelines.ts';
import { Condition } from '../kernel/condition.ts';
import { loadKernel } from '../kernel/instance.ts';
import type { Rejected } from '../kernel/ndjson.ts';
import { RecordReader } from '../kernel/records.ts';
import { openTimelineMeta, type TimelineMeta, type TimelineVersion } from '../meta/timelines.ts';
import { ByTime } from '../replay/by_time.ts';
import { type Saved, saveTimeline, type Selection } from '../replay/save.ts';
import { bucketDisk } from '../source/bucket.ts';
import { localDisk } from '../source/disk.ts';
import { eventFiles } from '../source/files.ts';
import type { RowNames } from '../source/rows.ts';
import { folderLog, folderRecords, listSegments } from '../source/segments.ts';
import type { Source } from '../source/source.ts';
import { timelineSource } from '../source/timeline.ts';
import { sweepChunks } from '../source/timeline_chunk.ts';
import { TimelineWriter, TYPES_MAX } from '../source/timeline_writer.ts';
import { archiveSource } from '../source/archive.ts';
import { LOCK_FILE, lockFolder } from '../store/lock.ts';
import { readableLog } from './alone/event_log.ts';
import type { Config } from './config.ts';
import { openFile, openShared } from './alone/database.ts';
import { typeNameOf } from './infer.ts';
import { WALL_PAUSES } from './pauses.ts';
import { archiveBucket, isS3, s3Place } from './s3_place.ts';
import { receive, sweepUploads, uploadPath } from './timeline_upload.ts';

/** What a timeline is made from; `called` is what files are called that nobody else has. */
export type TimelineOrigin =
  | { kind: 'log' }
  | { kind: 'feed' }
  /** `dir`: a folder, or `s3://BUCKET/PREFIX`. */
  | { kind: 'archive'; dir: string }
  | { kind: 'files'; paths: string[]; names: Partial<RowNames>; called?: string };

/** Which events of it, and what they are called then. */
export interface TimelineRequest {
  name: string;
  from: TimelineOrigin;
  /** Null for all. */
  types: string[] | null;
  /** Microseconds since 1970 UTC: events of times in [start, end); null for no bound. */
  startMicros: bigint | null;
  endMicros: bigint | null;
  /** Instead of `start`: so long before now, by the log's clock. */
  lastMs: number | null;
  /** A condition of SQL over inputs of declared types. */
  where: string | null;
}

export interface Created extends Omit<Saved, 'types'> {
  version: TimelineVersion;
  firstRejected: (Rejected & { file: string }) | null;
}

/** @throws Fault `request` */
export function parseTimelineName(text: string): VersionName {
  return parseVersionName(text, 'timeline');
}

/**
 * The timelines of a data folder: a database of what there is, and chunks of events beside it. Reading takes no lock, making
 * and deleting take the folder's, and a server may go on meanwhile.
 */
export class Timelines {
  private constructor(
    private readonly config: Config,
    private readonly db: Database,
    private readonly meta: TimelineMeta,
  ) {}

  static async open(config: Config): Promise<Timelines> {
    const { dir } = config.timelines;
    await mkdir(join(dir, CHUNKS), { recursive: true });
    const { db, meta } = openShared(join(dir, DATABASE), openTimelineMeta);
    return new Timelines(config, db, meta);
  }

  close(): void {
    this.db.close();
  }

  list(): TimelineVersion[] {
    this.#noteInterrupted();
    return this.meta.list();
  }

  /** @throws Fault `not_found` */
  show(name: VersionName): TimelineVersion {
    this.#noteInterrupted();
    return this.meta.show(name);
  }

  /** @throws Fault as `TimelineMeta.open` */
  read(names: VersionName[], types: Set<string> | null = null): { timelines: Timeline[]; source: Source } {
    const timelines = names.map(name => this.meta.open(name));
    return { timelines, source: timelineSource(localDisk, this.#chunks, timelines, types) };
  }

  /**
   * Makes the next version of a timeline. What fails on the way leaves a version that says so, and no chunks.
   *
   * @param began hears which version it will be
   * @throws Fault, Faults `busy` where another is being made or deleted
   */
  async create(request: TimelineRequest, began: (version: number) => void = () => {}): Promise<Created> {
    const { name, from } = request;
    checkNewName(name, 'timeline');
    const unlock = this.#lock();
    try {
      await this.#clean();
      const origin = await this.#origin(from);
      const { clock } = origin.source;
      const selection = await this.#selection(request, origin.source);
      const version = this.meta.begin({
        ...{ name, source: sourceJson(request), createdAtMicros: wallMicros(), order: origin.order },
        ...{ clock: clock.kind, maxJumpMs: clock.maxJumpMs },
      });
      began(version);
      return await this.#save(request, selection, origin, { name, version }).catch(async error => {
        this.meta.fail({ name, version }, failureText(error));
        await this.#sweep();
        throw error;
      });
    } finally {
      unlock();
    }
  }

  /** Without a version, all of the name. @throws Fault `not_found`, `busy` */
  async remove(name: VersionName): Promise<number> {
    const unlock = this.#lock();
    try {
      this.meta.show(name);
      const count = this.meta.remove(name);
      await this.#sweep();
      return count;
    } finally {
      unlock();
    }
  }

  get #chunks(): string {
    return join(this.config.timelines.dir, CHUNKS);
  }

  async #save(
    request: TimelineRequest,
    selection: Selection,
    { source, order, first }: Origin,
    named: VersionName,
  ): Promise<Created> {
    const { dir } = this.config.timelines;
    const byTime = order === 'time' ? new ByTime(localDisk, dir, WAITING) : null;
    let firstRejected: Created['firstRejected'] = null;
    try {
      const wanted = selection.types ? { types: selection.types } : { typeOf: typeNameOf, typesMax: TYPES_MAX };
      const { types, ...counts } = await saveTimeline({
        ...{ source, selection },
        reader: await RecordReader.open(loadKernel, wanted),
        writer: new TimelineWriter(localDisk, this.#chunks),
        order: byTime ? { byTime } : { first },
        onRejected(rejected) {
          firstRejected ??= rejected;
        },
      });
      if (types.length === 0) throw nothingIn(request, counts, firstRejected);
      this.meta.finish(named, types);
      return { ...counts, firstRejected, version: this.meta.show(named) };
    } finally {
      await byTime?.close();
    }
  }

  async #origin(from: TimelineOrigin): Promise<Origin> {
    if (from.kind === 'files') return { source: await this.#files(from), order: 'time', first: 0 };
    if (from.kind === 'archive') return { source: await this.#archive(from.dir), order: 'time', first: 0 };
    const [disk, { dir }] = [readableLog(this.config), this.config.log];
    const { start } = await listSegments(disk, dir);
    const log = await folderLog(disk, dir);
    if (from.kind === 'log') return { source: log, order: 'log', first: start };
    const before = Math.max(0, (await folderRecords(disk, dir)) - this.config.feed.events);
    const source = { clock: log.clock, read: (at: number) => log.read(before + at) };
    return { source, order: 'log', first: start + before };
  }

  #archive(place: string): Promise<Source> {
    if (!isS3(place)) return archiveSource(localDisk, place);
    const bucket = archiveBucket(place, this.config);
    return archiveSource(bucketDisk(bucket, WALL_PAUSES), '', bucket.name);
  }

  async #selection(
    { name, types, startMicros, endMicros, lastMs, where }: TimelineRequest,
    source: Source,
  ): Promise<Selection> {
    const bounds = { startMicros: lastMs === null ? startMicros : await this.#since(source, lastMs), endMicros };
    if (bounds.startMicros !== null && endMicros !== null && bounds.startMicros >= endMicros)
      throw new Fault('config', `timeline ${name} would end before it starts`);
    if (where === null) return { types, ...bounds, where: null };
    const { definitions, dialect } = this.config;
    const plan = await compileFolder(definitions, this.config);
    const names = types ?? plan.events.map(event => event.name);
    const conditions = await compileCondition({ file: '--where', text: where }, plan.events, names, dialect);
    return { types: names, ...bounds, where: new Condition(await loadKernel(), plan.events, conditions) };
  }

  /** Now is the wall clock, or by the clock of events the latest of them. */
  async #since(source: Source, lastMs: number): Promise<bigint> {
    const last = BigInt(lastMs) * 1000n;
    if (source.clock.kind === 'wall') return wallMicros() - last;
    const reader = await RecordReader.open(loadKernel, { types: [] });
    let latest: bigint | null = null;
    for await (const { bytes } of source.read(0))
      for (const { timesMicros } of await reader.read(bytes))
        for (const time of timesMicros) if (latest === null || time > latest) latest = time;
    return (latest ?? 0n) - last;
  }

  async #files({ paths, names, called }: TimelineOrigin & { kind: 'files' }): Promise<Source> {
    const { clock } = await eventFiles([], {});
    const local = paths.filter(path => !isS3(path));
    await eventFiles(local, names);
    const { dir } = this.config.timelines;
    const { s3 } = this.config.log;
    return {
      clock,
      async *read() {
        for (const path of paths)
          if (isS3(path)) yield* s3Blocks(path, join(dir, WAITING), s3, names);
          else
            for await (const block of (await eventFiles([path], names)).read(0))
              yield { ...block, file: called ?? block.file };
      },
    };
  }

  #lock(): () => void {
    const { dir } = this.config.timelines;
    const lock = lockFolder(dir, openFile(join(dir, LOCK_FILE)));
    return () => lock.release();
  }

  /** Nobody makes one who has not the lock: what says so was interrupted. */
  #noteInterrupted(): void {
    if (!this.meta.list().some(({ state }) => state === 'processing')) return;
    try {
      const unlock = this.#lock();
      this.meta.interrupt();
      unlock();
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'busy') throw error;
    }
  }

  /** After one that was interrupted. */
  async #clean(): Promise<void> {
    const { dir } = this.config.timelines;
    for (const name of await readdir(dir)) if (name.startsWith(WAITING)) await localDisk.remove(join(dir, name));
    if (this.meta.interrupt() > 0) await this.#sweep();
  }

  async #sweep(): Promise<void> {
    await sweepChunks(localDisk, this.#chunks, this.meta.chunks());
  }
}

/**
 * Timelines for a server, which opens their folder when it is asked for them.
 *
 * @param note hears why one could not be made: whoever asked for it has gone on, and finds its state
 */
export function timelineService(config: Config, note: (text: string) => void): TimelineService {
  const using = async <T>(work: (timelines: Timelines) => T | Promise<T>): Promise<T> => {
    const timelines = await Timelines.open(config);
    try {
      return await work(timelines);
    } finally {
      timelines.close();
    }
  };
  /** Resolves when it has begun. */
  const begun = (request: TimelineRequest, atEnd: () => unknown = () => {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<TimelineVersion>();
    let hasBegun = false;
    using(timelines =>
      timelines.create(request, version => {
        hasBegun = true;
        resolve(timelines.show({ name: request.name, version }));
      }),
    )
      .catch((error: unknown) => {
        if (hasBegun) note(`timeline ${request.name} could not be made: ${failureText(error)}`);
        else reject(error);
      })
      .finally(atEnd);
    return promise;
  };
  sweepUploads(config);
  return {
    list: () => using(timelines => timelines.list()),
    show: async name => using(timelines => timelines.show(parseTimelineName(name))),
    remove: async name => using(timelines => timelines.remove(parseTimelineName(name))),
    create: made => begun({ ...made, from: { kind: made.from } }),
    async upload({ name, suffix, names, body }) {
      const path = await receive(body, uploadPath(config, suffix));
      const from = { kind: 'files' as const, paths: [path], names, called: `a body (${suffix})` };
      const all = { types: null, startMicros: null, endMicros: null, lastMs: null, where: null };
      return begun({ name, from, ...all }, () => rm(path, { force: true }));
    },
  };
}

const CHUNKS = 'chunks';
const DATABASE = 'timelines.db';

/** What names of files begin with that are nobody's once a timeline is made. */
const WAITING = 'waiting';

interface Origin {
  source: Source;
  order: 'log' | 'time';
  /** The position of the first record. */
  first: number;
}

/** For people, and for who makes it again. */
function sourceJson({ from, types, startMicros, endMicros, lastMs, where }: TimelineRequest): Record<string, unknown> {
  const all = {
    from: from.kind,
    ...(from.kind === 'files' && { files: from.called === undefined ? from.paths : [from.called], ...from.names }),
    ...(from.kind === 'archive' && { archive: from.dir }),
    ...{
      types,
      start: startMicros === null ? null : String(startMicros),
      end: endMicros === null ? null : String(endMicros),
    },
    ...{ last_ms: lastMs, where },
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null && value !== undefined));
}

function failureText(error: unknown): string {
  if (error instanceof Faults) return error.faults.map(({ message }) => message).join('; ');
  return error instanceof Error ? error.message : String(error);
}

function nothingIn(
  { name }: TimelineRequest,
  { records, rejected }: { records: number; rejected: number },
  first: Created['firstRejected'],
): Fault {
  const what = `timeline ${name} would hold nothing`;
  if (records > 0) return new Fault('request', `${what}: none of ${records} events is asked for`);
  if (!first) return new Fault('request', `${what}: there are no events`);
  const found = `line ${first.line} of ${first.file}: ${first.reason}, found ${JSON.stringify(first.sample.slice(0, 60))}`;
  return new Fault('media_type', `${what}: all ${rejected} lines were rejected, the first being ${found}`);
}

/** Read at a time. */
const RANGE_BYTES = 4 << 20;

/** Objects below a prefix, one after the other by name: each waits in a file while it is read. */
async function* s3Blocks(url: string, waiting: string, known: Config['log']['s3'], names: Partial<RowNames>) {
  const { bucket, prefix } = s3Place(url, known);
  const objects = (await bucket.list()).filter(({ bytes }) => bytes > 0);
  if (objects.length === 0) throw new Fault('not_found', `there is nothing at ${url}`);
  for (const { name, bytes } of objects) {
    const path = `${waiting}.${basename(prefix + name)}`;
    const file = await localDisk.create(path);
    try {
      for (let at = 0; at < bytes; at += RANGE_BYTES)
        await file.write(await bucket.read(name, at, Math.min(RANGE_BYTES, bytes - at)));
      const source = await eventFiles([path], names);
      for await (const block of source.read(0)) yield { ...block, file: url + name };
    } finally {
      await file.close();
      await localDisk.remove(path);
    }
  }
}
