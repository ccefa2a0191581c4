import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { checkColumn } from './column_file.ts';
import { partOf, placeWhole, sweepUnfinished } from './unfinished.ts';

/** What is known of a column beside it, to say why another one is not the same. */
export interface About {
  /** As it was called then. */
  name: string;
  /** Of its definition. */
  meaning: string;
  /** Event types that it stands on, and what of them there was. */
  events: string[];
  content: string;
  engine: string;
}

/** As it is kept. */
interface Sealed extends About {
  /** Of the file when it was whole; none where it was kept before there were seals. */
  seal?: string;
}

/**
 * Columns that replays have made, for those after them: a folder of files that are named by all that decides what they hold.
 * So an entry is right or it is damaged, never out of date; nobody locks anything, for whoever makes an entry gives it its
 * name when it is whole, and of two that make the same either will do. A replay takes an entry by a link of its own: what leaves
 * the cache then is still there for it.
 *
 * Beside each entry stands what is known of it, and the seal that its file had when it was whole: which file it is, its size, and when it was written last.
 * One whose file has another seal by now is read and checked before anybody takes it. Whoever reads a column checks it in any case.
 */
export class ColumnCache {
  constructor(
    private readonly folder: string,
    readonly maxBytes: number,
    private readonly nowMs: () => number,
  ) {}

  has(file: string): boolean {
    return existsSync(this.#path(file));
  }

  /** Puts the column at a path, where it is there. One that is damaged no longer is then. */
  take(file: string, to: string): 'taken' | 'missing' | 'damaged' {
    const path = this.#path(file);
    if (!existsSync(path)) return 'missing';
    try {
      linkOrCopy(path, to);
      if (!this.#isSealed(file)) {
        checkColumn(to);
        this.#seal(file);
      }
    } catch (error) {
      rmSync(to, { force: true });
      if (isGone(error)) return 'missing';
      if (!(error instanceof Fault)) throw error;
      this.#remove(file);
      return 'damaged';
    }
    const now = this.nowMs() / 1000;
    try {
      // The file itself keeps the time at which it was written: that is in its seal.
      utimesSync(this.#aboutPath(file), now, now);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
    return 'taken';
  }

  #isSealed(file: string): boolean {
    const [about] = aboutOf(this.#aboutPath(file));
    return about?.seal !== undefined && about.seal === sealOf(this.#path(file));
  }

  /** An entry that was found to be whole, and has been somewhere else, or was kept before there were seals. */
  #seal(file: string): void {
    const [about] = aboutOf(this.#aboutPath(file));
    if (about) this.#tell(file, about, true);
  }

  #tell(file: string, about: About, isWhole: boolean): void {
    const sealed: Sealed = isWhole ? { ...about, seal: sealOf(this.#path(file)) } : about;
    const text = JSON.stringify(sealed);
    placeWhole(this.#aboutPath(file), part => writeFileSync(part, text));
  }

  keep(file: string, from: string, about: About): void {
    mkdirSync(this.folder, { recursive: true });
    const isNew = !existsSync(this.#path(file));
    if (isNew) placeWhole(this.#path(file), part => linkOrCopy(from, part));
    // What was there already is somebody else's, and is checked before it is taken.
    if (isNew || !existsSync(this.#aboutPath(file))) this.#tell(file, about, isNew);
  }

  /** Entries not used for longest leave, until the rest is small enough; and what the dead have left. */
  trim(): number {
    sweepUnfinished(this.folder);
    const entries = this.entries().sort((a, b) => a.usedMs - b.usedMs);
    let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    let removed = 0;
    for (const { file, bytes: own } of entries) {
      if (bytes <= this.maxBytes) break;
      this.#remove(file);
      bytes -= own;
      removed++;
    }
    return removed;
  }

  entries(): { file: string; bytes: number; usedMs: number }[] {
    return listOf(this.folder).flatMap(name => {
      const [, file] = COLUMN.exec(name) ?? [];
      if (file === undefined) return [];
      const stats = statSync(this.#path(file), { throwIfNoEntry: false });
      const told = statSync(this.#aboutPath(file), { throwIfNoEntry: false });
      return stats ? [{ file, bytes: stats.size, usedMs: (told ?? stats).mtimeMs }] : [];
    });
  }

  about(): About[] {
    return listOf(this.folder).flatMap(name => {
      const [, file] = ABOUT.exec(name) ?? [];
      return file === undefined ? [] : aboutOf(join(this.folder, name));
    });
  }

  clear(): number {
    const count = this.entries().length;
    for (const name of listOf(this.folder))
      if (COLUMN.test(name) || ABOUT.test(name) || PART.test(name)) rmSync(join(this.folder, name), { force: true });
    return count;
  }

  #remove(file: string): void {
    rmSync(this.#path(file), { force: true });
    rmSync(this.#aboutPath(file), { force: true });
  }

  #path(file: string): string {
    return join(this.folder, `${file}.column`);
  }

  #aboutPath(file: string): string {
    return join(this.folder, `${file}.json`);
  }
}

const COLUMN = /^([0-9a-f]{64})\.column$/;
const ABOUT = /^([0-9a-f]{64})\.json$/;
/** What somebody who was killed has left. */
const PART = /^[0-9a-f]{64}\.\w+\.\d+-\d+-\d+\.part$/;

function aboutOf(path: string): Sealed[] {
  try {
    return [JSON.parse(readFileSync(path, 'utf8')) as Sealed];
  } catch {
    // Nobody's values hang on it.
    return [];
  }
}

/** Of what is written to it nothing remains unseen: not of another file in its place either. */
function sealOf(path: string): string {
  const { ino, size, mtimeNs } = statSync(path, { bigint: true });
  return `${ino} ${size} ${mtimeNs}`;
}

function listOf(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

/** On another file system there are no links; then it is a copy. */
export function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code === 'ENOENT' || code === undefined) throw error;
    const part = partOf(to);
    copyFileSync(from, part);
    renameSync(part, to);
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Why a column has to be computed, in the words of who asks. */
export function whyComputed(wanted: About, known: About[]): string {
  const same = known.filter(({ meaning }) => meaning === wanted.meaning);
  if (same.some(({ content }) => content === wanted.content)) {
    const isOther = same.every(({ engine }) => engine !== wanted.engine);
    return isOther ? 'another version of tilefold has computed it' : 'what the cache had of it is gone';
  }
  if (same.length > 0) return `events of ${wanted.events.join(', ')}, or their clock, are others than before`;
  const isNamed = known.some(({ name }) => name === wanted.name);
  return isNamed ? 'it, or what it is made of, is defined otherwise than before' : 'it was not computed before';
}
