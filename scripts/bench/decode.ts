import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { assert } from '../../src/base/assert.ts';
import { type Kernel, loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import type { EventType } from '../../src/plan/plan.ts';
import { AHEAD_MAX_MS, BLOCK_MAX_BYTES } from '../../src/source/source.ts';
import { CACHE } from './events.ts';
import { EVENT_CLOCK } from './fold.ts';
import { checkEqual, type Row, sideBySide, toMiB } from './measure.ts';
import { buildSimdjson, runSimdjson, sumOf } from './simdjson.ts';

const EVENTS_PER_RUN_MIN = 1_000_000;

/** Time in microseconds and each input of a block's events, one list each: numbers, booleans, texts, or null. */
type Columns = unknown[][];

/**
 * Decodes the same lines by the kernel and by JSON.parse, reading the same fields; `lines` gives the peer ready
 * strings, `bytes` what the kernel has too. And by simdjson, which starts from bytes as well, in a process of its own.
 *
 * @param blocks whole lines
 */
export async function decodeRows(name: string, blocks: Uint8Array[], event: EventType): Promise<Row[]> {
  const ours = await KernelSide.make(event);
  const peer = new ParseSide(event);
  const events = await checkDecoded(blocks, event);
  const bytes = blocks.reduce((sum, block) => sum + block.length, 0);
  // Short inputs several times, so that each run is long enough for both compilers to be done with it.
  const passes = Math.ceil(EVENTS_PER_RUN_MIN / events);
  const timed = (each: (block: Uint8Array) => number) => () => {
    let seconds = 0;
    for (let pass = 0; pass < passes; pass++) for (const block of blocks) seconds += each(block);
    return seconds / passes;
  };
  const kernel = timed(block => elapsed(() => ours.decode(block)));
  const row = (peerName: string, seconds: { ours: number; peer: number }, goal: number | null): Row => ({
    work: `decode, ${name}`,
    unit: 'events/s',
    ours: events / seconds.ours,
    peer: { name: peerName, value: events / seconds.peer },
    goal,
    memory: { ours: toMiB(ours.kernel.exports.memory.buffer.byteLength), peer: null },
    note: `${events} events, ${event.inputs.length} fields and the time; ${toRate(bytes, seconds.ours)} and ${toRate(bytes, seconds.peer)}`,
  });
  const ready = timed(block => {
    const lines = linesOf(block);
    return elapsed(() => peer.columns(lines));
  });
  const fromBytes = timed(block => elapsed(() => peer.columns(linesOf(block))));
  const rows = [
    row('JSON.parse of lines', await sideBySide(kernel, ready), 8),
    row('JSON.parse from bytes', await sideBySide(kernel, fromBytes), null),
  ];
  const program = await buildSimdjson();
  if (program === null) return rows;
  const path = join(CACHE, `decode-${name}.ndjson`);
  await Bun.write(path, new Blob(blocks.map(block => new Uint8Array(block))));
  const { sums } = await runSimdjson(program, path, event);
  checkEqual(`sums of columns`, ours.sums(blocks), sums);
  const native = async () => (await runSimdjson(program, path, event)).seconds;
  return [...rows, row('simdjson, native', await sideBySide(kernel, native), SIMDJSON_GOAL)];
}

/** The kernel runs in WebAssembly, which has vectors of 16 bytes only. */
const SIMDJSON_GOAL = 0.7;

function toRate(bytes: number, seconds: number): string {
  return `${(bytes / seconds / 1e9).toFixed(2)} GB/s`;
}

/**
 * Compares what both read, value by value.
 *
 * @param parsed what the peer reads
 * @returns how many events there are
 * @throws Error with the first difference
 */
export async function checkDecoded(blocks: Uint8Array[], event: EventType, parsed = blocks): Promise<number> {
  const ours = await KernelSide.make(event);
  const peer = new ParseSide(event);
  let events = 0;
  for (const [at, block] of blocks.entries()) {
    const got = ours.columns(block);
    for (const [i, column] of peer.columns(linesOf(parsed[at]!)).entries())
      checkEqual(`block ${at}, column ${i}`, got[i]!, column);
    events += got[0]!.length;
  }
  return events;
}

class KernelSide {
  readonly #decoder: Decoder;

  private constructor(
    readonly kernel: Kernel,
    readonly event: EventType,
  ) {
    const plan = { events: [event], entities: [], aggregates: [], sets: [], features: [], latenessMs: 0 };
    const ids = { entities: new Map(), aggregates: new Map() };
    const { types } = layPlan(kernel, plan, ids, { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
    this.#decoder = new Decoder(kernel, types);
    this.frame = types[0]!.frame;
  }

  readonly frame: number;

  static async make(event: EventType): Promise<KernelSide> {
    return new KernelSide(await loadKernel(), event);
  }

  decode(block: Uint8Array): void {
    this.#decoder.fill(block);
    while (this.#decoder.next(0, null));
  }

  columns(block: Uint8Array): Columns {
    const columns: Columns = [[], ...this.event.inputs.map(() => [])];
    this.#decoder.fill(block);
    while (this.#decoder.next(0, null)) {
      const { count } = this.#decoder;
      assert(this.kernel.exports.typeRows(0) === count, 'every line is a good event');
      columns[0]!.push(...Array.from(this.kernel.longs(this.kernel.exports.recordTime.value, count), Number));
      for (let i = 0; i < this.event.inputs.length; i++) columns[i + 1]!.push(...this.#column(i, count));
    }
    return columns;
  }

  /** Of the time and each field over all blocks, as simdjson's side gives them. */
  sums(blocks: Uint8Array[]): string[] {
    const parts = blocks.map(block => this.columns(block));
    return parts[0]!.map((_, i) => sumOf(parts.flatMap(columns => columns[i]!)));
  }

  #column(input: number, count: number): unknown[] {
    const { kernel, frame } = this;
    const nulls = kernel.bytes(kernel.exports.frameNulls(frame, input), count);
    const start = kernel.exports.frameValues(frame, input);
    const { kind } = this.event.inputs[input]!.type;
    const cells = kernel.ints(start, count * 2);
    const longs = kernel.longs(start, count);
    const decoder = new TextDecoder();
    return Array.from({ length: count }, (_, row) => {
      if (nulls[row]) return null;
      if (kind === 'string') return decoder.decode(kernel.bytes(cells[row * 2]!, cells[row * 2 + 1]!));
      return kind === 'bool' ? longs[row] === 1n : Number(longs[row]!);
    });
  }
}

/** What somebody would write without the kernel. */
class ParseSide {
  readonly #names: string[];
  readonly #defaults: unknown[];

  constructor(event: EventType) {
    for (const { path } of event.inputs) assert(path.length === 1, 'the fields stand right in `data`');
    this.#names = event.inputs.map(({ path }) => path[0]!);
    this.#defaults = event.inputs.map(({ presence }) => {
      if (presence.kind !== 'default') return null;
      return typeof presence.value === 'bigint' ? Number(presence.value) : presence.value;
    });
  }

  columns(lines: string[]): Columns {
    const columns: Columns = [new Array(lines.length), ...this.#names.map(() => new Array(lines.length))];
    for (let row = 0; row < lines.length; row++) {
      const { time, data } = JSON.parse(lines[row]!) as { time: string; data: Record<string, unknown> };
      columns[0]![row] = Date.parse(time) * 1000;
      for (let i = 0; i < this.#names.length; i++) columns[i + 1]![row] = data[this.#names[i]!] ?? this.#defaults[i];
    }
    return columns;
  }
}

function linesOf(block: Uint8Array): string[] {
  const lines = new TextDecoder().decode(block).split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** @returns seconds */
function elapsed(work: () => void): number {
  const startMs = performance.now();
  work();
  return (performance.now() - startMs) / 1000;
}

/** Whole lines of a file, as ingest reads them: block by block. */
export async function blocksOf(path: string): Promise<Uint8Array[]> {
  const packed = await Bun.file(path).bytes();
  const bytes = path.endsWith('.gz') ? gunzipSync(packed) : packed;
  const blocks: Uint8Array[] = [];
  for (let from = 0; from < bytes.length; ) {
    const to =
      bytes.length - from <= BLOCK_MAX_BYTES ? bytes.length : bytes.lastIndexOf(10, from + BLOCK_MAX_BYTES) + 1;
    blocks.push(bytes.subarray(from, to));
    from = to;
  }
  return blocks;
}
