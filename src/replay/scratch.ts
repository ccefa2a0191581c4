import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { Fault } from '../base/fault.ts';

/** Some bytes of a scratch file. */
export interface Stretch {
  offset: number;
  size: number;
}

/** A file for what memory has no room for, as long as a job goes on: nobody reads it after that. */
export class Scratch {
  readonly #file: number;
  #size = 0;
  #isOpen = true;

  constructor(private readonly path: string) {
    this.#file = openSync(path, 'w+');
  }

  get size(): number {
    return this.#size;
  }

  append(bytes: Uint8Array): Stretch {
    const offset = this.#size;
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at, bytes.length - at, offset + at);
    this.#size += bytes.length;
    return { offset, size: bytes.length };
  }

  /** @throws Fault `corrupt` where so many bytes were not written there */
  need(offset: number, size: number): void {
    if (offset + size > this.#size) throw this.#damaged(offset, `${size} bytes are beyond its end`);
  }

  /** Fills `into` from there on. @throws Fault `corrupt` where the file ends before */
  read(offset: number, into: Uint8Array): void {
    for (let at = 0; at < into.length; ) {
      const count = readSync(this.#file, into, at, into.length - at, offset + at);
      if (count === 0) throw new Fault('corrupt', `${this.path} is cut off at byte ${offset + at}`);
      at += count;
    }
  }

  /** @throws Fault `corrupt` where the bytes that were read are not those that were written */
  check(offset: number, bytes: Uint8Array, crc: number): void {
    if (crc32(bytes) !== crc) throw this.#damaged(offset, 'a wrong checksum');
  }

  #damaged(offset: number, what: string): Fault {
    return new Fault('corrupt', `${this.path} is damaged at byte ${offset}: ${what}`);
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#file);
    this.#isOpen = false;
    rmSync(this.path, { force: true });
  }
}
