/**
 * simdjson, built where it is installed: the fastest known reader of JSON, natively. scripts/bench/simdjson.cpp says what
 * it does here.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventType } from '../../src/plan/plan.ts';
import { CACHE } from './events.ts';
import { runChild } from './measure.ts';

const HEADER = '/usr/include/simdjson.h';
const SOURCE = join(import.meta.dir, 'simdjson.cpp');
const PROGRAM = join(CACHE, 'simdjson');

/** Within one process: the first passes warm up memory and caches. */
const PASSES = 5;

/** What is read and, as a check, a sum for the time and each field: of each value times its row from 1, modulo 2^64. */
export interface SimdjsonRun {
  seconds: number;
  lines: number;
  sums: string[];
}

/** The program's path, or null where there is no simdjson or no compiler, which it says aloud. */
export async function buildSimdjson(): Promise<string | null> {
  if (!existsSync(HEADER) || Bun.which('g++') === null) {
    console.error('bench: simdjson is left out. Get it with: apt-get install g++ libsimdjson-dev');
    return null;
  }
  await mkdir(CACHE, { recursive: true });
  await runChild(['g++', '-O3', '-march=native', '-std=c++17', '-o', PROGRAM, SOURCE, '-lsimdjson']);
  return PROGRAM;
}

/** Reads a file of events of one type. */
export async function runSimdjson(program: string, path: string, event: EventType): Promise<SimdjsonRun> {
  const fields = event.inputs.map(({ path: [name], type }) => `${name}:${type.kind[0]}`);
  const { out } = await runChild([program, path, String(PASSES), ...fields]);
  return JSON.parse(out) as SimdjsonRun;
}

/** The sum of a column as the program makes it; nulls count as 0. */
export function sumOf(column: unknown[]): string {
  let total = 0n;
  for (const [row, value] of column.entries()) total += BigInt(row + 1) * BigInt(weightOf(value));
  return BigInt.asUintN(64, total).toString();
}

function weightOf(value: unknown): number {
  if (typeof value !== 'string') return Number(value);
  return new TextEncoder().encode(value).reduce((sum, byte, i) => sum + byte * (i + 1), 0);
}
