import { basename, dirname } from 'node:path';
import { assert } from '../../src/base/assert.ts';
import type { AppendFile, Disk } from '../../src/source/disk.ts';
import { Random } from './random.ts';

/** The process died in the middle of an operation. */
export class Crash extends Error {
  override name = 'Crash';
}

/** Unsynced bytes survive or are lost in pieces of this size, in any order; small, so that little writes tear too. */
const SECTOR_BYTES = 32;

/** A synced part never changes; what follows it is in the page cache only. Files are only ever appended to or cut. */
interface File {
  bytes: Uint8Array;
  syncedBytes: number;
}

/** What was done to the entry of a folder since it was synced: after it the path names this file, or nothing. */
type Entry = { path: string; file: File | null }[];

/** What a lying disk leaves out, so that tests show that they would notice. */
export type Lie = 'sync' | 'syncFolder';

/**
 * A disk in memory that keeps its promises to the letter and nothing beyond them.
 *
 * - `kill(n)` lets the process die in the n-th operation from now (0 is the next): before it, after it, or half way
 *   through a write. Everything else fails from then on.
 * - `restart()` starts the machine's next process: written bytes are there, whether synced or not.
 * - `powerCut()` is that after a power cut: of unsynced bytes any part survives, and of what was done to the
 *   entries of an unsynced folder (files made, renamed, removed) anything; but a renaming is whole.
 * - `fail(n)` lets the n-th operation fail without harm to the process.
 */
export class SimulatedDisk implements Disk {
  /** Operations done since it was made. */
  operations = 0;
  readonly #random: Random;
  readonly #lie: Lie | null;
  #files = new Map<string, File>();
  /** The entries of folders as they are durable, and what was done to them since. */
  #durable = new Map<string, File>();
  #pending: Entry[] = [];
  #killAt = Number.POSITIVE_INFINITY;
  #failAt = Number.POSITIVE_INFINITY;
  #process = 0;
  #dead = false;

  constructor(seed: number, lie: Lie | null = null) {
    this.#random = new Random(seed);
    this.#lie = lie;
  }

  /** Has its process died? */
  get isDead(): boolean {
    return this.#dead;
  }

  kill(n: number): void {
    this.#killAt = this.operations + n;
  }

  fail(n: number): void {
    this.#failAt = this.operations + n;
  }

  restart(): void {
    this.#killAt = Number.POSITIVE_INFINITY;
    this.#failAt = Number.POSITIVE_INFINITY;
    this.#dead = false;
    this.#process++;
  }

  powerCut(): void {
    for (const entry of this.#pending) if (this.#random.chance(0.5)) enter(this.#durable, entry);
    this.#pending = [];
    this.#files = new Map(this.#durable);
    for (const file of new Set(this.#files.values())) this.#forget(file);
    this.restart();
  }

  /** Changes one byte that was synced, as no disk should. */
  rot(path: string, offset: number): void {
    const file = this.#file(path);
    assert(offset < file.syncedBytes, 'only synced bytes rot');
    file.bytes[offset]! ^= 0x20;
  }

  /** Deletes a file for good. */
  lose(path: string): void {
    this.#files.delete(path);
    this.#durable.delete(path);
  }

  /** Of all files, as a process sees them. */
  paths(): string[] {
    return [...this.#files.keys()];
  }

  /** A file's bytes as a process sees them. */
  content(path: string): Uint8Array {
    return this.#file(path).bytes;
  }

  async makeFolder(): Promise<void> {
    await this.#operation(() => {});
  }

  async list(folder: string): Promise<string[]> {
    const paths = [...this.#files.keys()].filter(path => dirname(path) === folder);
    return this.#operation(() => paths.map(path => basename(path)).sort());
  }

  async read(path: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#operation(() => this.#file(path).bytes.slice(offset, offset + length));
  }

  async size(path: string): Promise<number> {
    return this.#operation(() => this.#file(path).bytes.length);
  }

  async create(path: string): Promise<AppendFile> {
    return this.#operation(() => {
      assert(!this.#files.has(path), `${path} is there already`);
      const file = { bytes: new Uint8Array(0), syncedBytes: 0 };
      this.#change([{ path, file }]);
      return this.#handle(file);
    });
  }

  async append(path: string): Promise<AppendFile> {
    return this.#operation(() => this.#handle(this.#file(path)));
  }

  async truncate(path: string, size: number): Promise<void> {
    await this.#operation(() => {
      const file = this.#file(path);
      file.bytes = file.bytes.slice(0, size);
      file.syncedBytes = file.bytes.length;
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#operation(() =>
      this.#change([
        { path: to, file: this.#file(from) },
        { path: from, file: null },
      ]),
    );
  }

  async remove(path: string): Promise<void> {
    await this.#operation(() => {
      this.#file(path);
      this.#change([{ path, file: null }]);
    });
  }

  async syncFolder(folder: string): Promise<void> {
    await this.#operation(() => {
      if (this.#lie === 'syncFolder') return;
      const isWithin = (entry: Entry) => dirname(entry[0]!.path) === folder;
      for (const entry of this.#pending.filter(isWithin)) enter(this.#durable, entry);
      this.#pending = this.#pending.filter(entry => !isWithin(entry));
    });
  }

  #change(entry: Entry): void {
    enter(this.#files, entry);
    this.#pending.push(entry);
  }

  #handle(file: File): AppendFile {
    const process = this.#process;
    const write = (bytes: Uint8Array) => {
      file.bytes = Uint8Array.from(Buffer.concat([file.bytes, bytes]));
    };
    const sync = () => {
      if (this.#lie !== 'sync') file.syncedBytes = file.bytes.length;
    };
    return {
      write: bytes =>
        this.#operation(
          () => write(bytes),
          () => write(bytes.subarray(0, this.#random.below(bytes.length))),
          process,
        ),
      sync: () => this.#operation(sync, () => {}, process),
      close: () =>
        this.#operation(
          () => {},
          () => {},
          process,
        ),
    };
  }

  /** @param half what is done of it when the process dies half way through */
  async #operation<T>(whole: () => T, half: () => void = () => {}, process = this.#process): Promise<T> {
    // Even a fast disk answers in a later turn: this is when other appends queue up.
    await null;
    if (this.#dead || process !== this.#process) throw new Crash('the process is dead');
    const operation = this.operations++;
    if (operation === this.#failAt) {
      half();
      throw new Error('EIO: i/o error');
    }
    if (operation < this.#killAt) return whole();
    this.#dead = true;
    if (this.#random.chance(0.5)) half();
    else whole();
    throw new Crash('the process died');
  }

  /** What a power cut leaves of unsynced bytes: a part of their length, in which any sector may be garbage or zero. */
  #forget(file: File): void {
    const unsynced = file.bytes.length - file.syncedBytes;
    const survives = this.#random.chance(0.5) ? unsynced : this.#random.below(unsynced + 1);
    file.bytes = file.bytes.slice(0, file.syncedBytes + survives);
    // From one lost sector among whole ones to nothing but garbage.
    const lost = this.#random.pick([0, 0.1, 0.5, 1]);
    for (let at = file.syncedBytes; at < file.bytes.length; at += SECTOR_BYTES)
      if (this.#random.chance(lost)) this.#garble(file.bytes, at);
    file.syncedBytes = file.bytes.length;
  }

  #garble(bytes: Uint8Array, start: number): void {
    const isZero = this.#random.chance(0.5);
    for (let i = start; i < Math.min(bytes.length, start + SECTOR_BYTES); i++)
      bytes[i] = isZero ? 0 : this.#random.below(256);
  }

  #file(path: string): File {
    const file = this.#files.get(path);
    if (!file) throw Object.assign(new Error(`ENOENT: there is no file ${path}`), { code: 'ENOENT' });
    return file;
  }
}

function enter(files: Map<string, File>, entry: Entry): void {
  for (const { path, file } of entry)
    if (file) files.set(path, file);
    else files.delete(path);
}
