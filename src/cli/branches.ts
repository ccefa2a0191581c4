import type { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { Fault, Faults } from '../base/fault.ts';
import { formatDuration, wallMicros } from '../base/time.ts';
import { checkNewName, parseVersionName, type VersionName, versionText } from '../base/version.ts';
import { compileSources, FILES_MAX, isDefinition, readSources, type SourceFile } from '../compile/compile.ts';
import type { BranchService } from '../http/branches.ts';
import { type BranchMeta, type BranchText, type BranchVersion, openBranchMeta } from '../meta/branches.ts';
import type { Plan } from '../plan/plan.ts';
import { type Config, loadConfig } from './config.ts';
import { openShared } from './alone/database.ts';

/** What is in force: no branch is called so. */
export const LIVE = 'live';

/** Definitions are written by people: more than this is something else. */
export const BRANCH_BYTES_MAX = 64 * 1024 * 1024;

/** In UTF-16 units. */
export const MESSAGE_MAX = 10_000;
export const AUTHOR_MAX = 200;

/** In UTF-16 units, as file systems have them. */
const PATH_MAX = 1_000;

/** What decides besides the files what they mean. */
export type Settings = Pick<Config, 'latenessMs' | 'dialect'>;

/** Definitions as they are to be saved. */
export interface Draft {
  name: string;
  texts: BranchText[];
  settings: Settings;
  author: string;
  message: string;
}

/** A version with what becomes of its files. */
export interface Compiled {
  version: BranchVersion;
  /** Under names that say of which version they are: `risk@2/payments.scowl`. */
  files: SourceFile[];
  /** Whole only where there are no faults. */
  plan: Plan;
  faults: Fault[];
}

/**
 * Branches of a data folder: named versions of definitions, in a database of their own. Nothing else is opened, and a server
 * may go on meanwhile.
 */
export class Branches {
  private constructor(
    private readonly db: Database,
    private readonly meta: BranchMeta,
  ) {}

  static async open({ branches: { sqlite } }: Config): Promise<Branches> {
    await mkdir(dirname(sqlite), { recursive: true });
    const { db, meta } = openShared(sqlite, openBranchMeta);
    return new Branches(db, meta);
  }

  close(): void {
    this.db.close();
  }

  /** All versions, by name and from the first on. */
  list(): BranchVersion[] {
    return this.meta.list();
  }

  /** @throws Fault `not_found` */
  show(name: VersionName): BranchVersion {
    return this.meta.show(name);
  }

  /** @throws Fault `not_found`, `corrupt` */
  texts(name: VersionName): BranchText[] {
    return this.meta.texts(name);
  }

  /** Definitions are compiled as they were when they were saved. @throws Fault `not_found`, `corrupt` */
  async compiled(name: VersionName): Promise<Compiled> {
    const version = this.meta.show(name);
    const texts = this.meta.texts(version);
    const files = texts.map(({ file, text }) => ({ file: `${versionText(version)}/${file}`, text }));
    return { version, files, ...(await compileSources(files, version)) };
  }

  /**
   * The next version of a branch, or the latest one where that has the same definitions. Faulty ones are saved too.
   *
   * @throws Fault `request`, `too_large` where the draft cannot be a branch
   */
  async save(draft: Draft): Promise<{ version: BranchVersion; isNew: boolean; faults: Fault[] }> {
    const { name, texts, settings } = draft;
    checkDraft(draft);
    const { faults } = await compileSources(texts, settings);
    return { ...this.meta.save({ ...rowOf(draft), name, texts, faults: faults.length }), faults };
  }

  /**
   * A version under another name, which no branch has yet.
   *
   * @throws Fault `not_found`, `conflict`
   */
  clone(from: VersionName, to: string, author: string): BranchVersion {
    const source = this.meta.show(from);
    const draft = { name: to, texts: this.meta.texts(source), settings: source, author, message: cloneText(source) };
    checkDraft(draft);
    return this.meta.save({ ...rowOf(draft), texts: draft.texts, faults: source.faults }, true).version;
  }

  /** Without a version, all of the name. @throws Fault `not_found` */
  remove(name: VersionName): number {
    return this.meta.remove(name);
  }

  selected(): string | null {
    return this.meta.selected();
  }

  /** @throws Fault `not_found` */
  select(name: string | null): void {
    this.meta.select(name);
  }

  /** @throws Fault `not_found` where nothing is named, and no branch is selected */
  named(text: string | undefined): VersionName {
    if (text !== undefined) return parseBranchName(text);
    const name = this.meta.selected();
    if (name === null) throw new Fault('not_found', 'no branch is selected: name one, or `tilefold branch select` it');
    return { name, version: null };
  }
}

/** @throws Fault `request` */
export function parseBranchName(text: string): VersionName {
  const name = parseVersionName(text, 'branch');
  if (name.name === LIVE) throw new Fault('request', `${LIVE} is what is in force, and no branch`);
  return name;
}

/** For whoever wants to work with the branches of a configuration once. */
export async function withBranches<T>(config: Config, work: (branches: Branches) => T | Promise<T>): Promise<T> {
  const branches = await Branches.open(config);
  try {
    return await work(branches);
  } finally {
    branches.close();
  }
}

/**
 * The plan of a branch: where replays, and all else that runs definitions, get it from.
 *
 * @param name `NAME`, or `NAME@VERSION`; the selected branch where it is left out
 * @throws Fault `not_found`; Faults where its definitions do not compile
 */
export async function branchPlan(config: Config, name: string | undefined): Promise<Compiled> {
  const compiled = await withBranches(config, branches => branches.compiled(branches.named(name)));
  if (compiled.faults.length > 0) throw new Faults(compiled.faults);
  return compiled;
}

/**
 * The definitions of a folder, to be saved.
 *
 * @param dir a folder of definitions, or one with a tilefold.yaml, which says then how they are read too; null for what the
 *   configuration says
 */
export async function folderTexts(
  dir: string | null,
  config: Config,
): Promise<{ texts: BranchText[]; settings: Settings }> {
  const path = dir === null ? null : join(dir, 'tilefold.yaml');
  const own = path !== null && existsSync(path) ? await loadConfig(path) : null;
  const { latenessMs, dialect, definitions } = own ?? (dir === null ? config : { ...config, definitions: dir });
  const folder = resolve(definitions);
  const texts = (await readSources(definitions)).map(({ file, text }) => ({
    file: relative(folder, resolve(file)).split(sep).join('/'),
    text,
  }));
  return { texts, settings: { latenessMs, dialect } };
}

/**
 * Writes the files of a version into a folder, which is made.
 *
 * @throws Fault `conflict` where something is in it: nothing is overwritten
 */
export async function exportTexts(texts: BranchText[], dir: string): Promise<void> {
  const there = await readdir(dir).catch(() => []);
  if (there.length > 0)
    throw new Fault('conflict', `${dir} is not empty, and nothing is overwritten: name another folder`);
  for (const { file, text } of texts) {
    const path = join(dir, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
}

/** Whoever works here, where nobody says otherwise. */
export function authorHere(): string {
  try {
    return userInfo().username;
  } catch {
    // A user of a container need not have a name.
    return 'unknown';
  }
}

/** @throws Fault `config` where a version is read otherwise than what is in force would be */
export function checkSettings(version: BranchVersion, config: Config): void {
  const [was, is] = [version, config].map(
    ({ latenessMs, dialect }) => `lateness ${formatDuration(latenessMs)} and dialect ${dialect}`,
  );
  if (was === is) return;
  const message = `branch ${versionText(version)} was saved with ${was}, and the configuration says ${is}: save it again with these`;
  throw new Fault('config', message);
}

/** Branches for a server, which opens their database when it is asked for them. */
export function branchService(config: Config): BranchService {
  const { latenessMs, dialect } = config;
  return {
    list: () => withBranches(config, branches => ({ versions: branches.list(), selected: branches.selected() })),
    show: name =>
      withBranches(config, async branches => {
        const compiled = await branches.compiled(parseBranchName(name));
        return { ...compiled, texts: branches.texts(compiled.version), selected: branches.selected() };
      }),
    save: ({ author, ...draft }) =>
      withBranches(config, async branches => {
        const settings = { latenessMs, dialect };
        const saved = await branches.save({ ...draft, author: author ?? authorHere(), settings });
        return { ...saved, selected: branches.selected() };
      }),
    remove: name => withBranches(config, branches => branches.remove(parseBranchName(name))),
  };
}

function rowOf({ name, settings: { latenessMs, dialect }, author, message }: Draft) {
  return { name, latenessMs, dialect, author, message, createdAtMicros: wallMicros() };
}

function cloneText(source: VersionName): string {
  return `cloned from ${versionText(source)}`;
}

function checkDraft({ name, texts, author, message }: Draft): void {
  checkNewName(name, 'branch');
  parseBranchName(name);
  if (texts.length === 0) throw new Fault('request', `branch ${name} would have no files`);
  if (texts.length > FILES_MAX)
    throw new Fault('too_large', `branch ${name} would have ${texts.length} files, and at most ${FILES_MAX} are kept`);
  const bytes = texts.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  if (bytes > BRANCH_BYTES_MAX)
    throw new Fault('too_large', `branch ${name} would have ${bytes} bytes, and at most ${BRANCH_BYTES_MAX} are kept`);
  checkLength('a message', message, MESSAGE_MAX);
  checkLength('an author', author, AUTHOR_MAX);
  const files = new Set<string>();
  for (const { file } of texts) {
    checkPath(file);
    if (files.has(file)) throw new Fault('request', `${file} is there twice`);
    files.add(file);
  }
}

function checkLength(what: string, text: string, max: number): void {
  if (text.trim() === '') throw new Fault('request', `${what} is wanted, and none is given`);
  if (text.length > max)
    throw new Fault('too_large', `${what} has at most ${max} characters, and this one has ${text.length}`);
}

/** It is written into folders of whoever exports it. */
function checkPath(file: string): void {
  const parts = file.split('/');
  const isInside = parts.every(part => part !== '' && !part.startsWith('.')) && !/[\\\0]/.test(file);
  if (isInside && file.length <= PATH_MAX && isDefinition(basename(file)) && !parts.includes('node_modules')) return;
  const wanted = 'wanted a path below the folder of definitions to a .yaml, .yml or .scowl file';
  throw new Fault('request', `${JSON.stringify(file.slice(0, PATH_MAX))} is no file of definitions: ${wanted}`);
}
