import { existsSync, readFileSync } from 'node:fs';
import { assert } from '../../src/base/assert.ts';

/** Each number is the median of so many. */
export const RUNS = 3;

/** One row of the table. Both sides have done the same work, and their results were compared, before there is a ratio. */
export interface Row {
  work: string;
  unit: 'events/s' | 'rows/event' | 'rows/s' | 'requests/s' | 'ms' | 'MiB';
  ours: number;
  peer: { name: string; value: number } | null;
  /** How many times better ours is. */
  goal: number | null;
  /** MiB at most, of a process of its own or (where both sides share one) of the kernels' memory; null where not measured. */
  memory: { ours: number | null; peer: number | null };
  /** What else is worth knowing. */
  note: string;
}

/** Above 1 where ours is better: of rates the greater is, of times and sizes the smaller. */
export function ratioOf({ unit, ours, peer }: Row): number | null {
  if (!peer) return null;
  return unit === 'ms' || unit === 'MiB' || unit === 'rows/event' ? peer.value / ours : ours / peer.value;
}

export function median(values: number[]): number {
  assert(values.length % 2 === 1, 'the median of an odd number of values');
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

type Side = () => number | Promise<number>;

/** Medians of what both sides give, run in turns: what slows the machine down for a while slows both down. */
export async function sideBySide(ours: Side, peer: Side): Promise<{ ours: number; peer: number }> {
  const runs: { ours: number[]; peer: number[] } = { ours: [], peer: [] };
  for (let i = 0; i < RUNS; i++) {
    runs.ours.push(await ours());
    runs.peer.push(await peer());
  }
  return { ours: median(runs.ours), peer: median(runs.peer) };
}

/** @throws Error with the first of the differences: no ratio is worth anything then */
export function checkEqual(what: string, ours: ArrayLike<unknown>, peer: ArrayLike<unknown>): void {
  if (ours.length !== peer.length)
    throw new Error(`${what}: ${ours.length} values of ours, ${peer.length} of the peer`);
  for (let i = 0; i < ours.length; i++)
    if (!Object.is(ours[i], peer[i])) throw new Error(`${what}, value ${i}: ours is ${ours[i]}, the peer's ${peer[i]}`);
}

/** How often a child is asked for its memory: what it takes only between the last time and its end is not seen. */
const MEMORY_ASKED_MS = 20;

/** A child process: what it wrote, and its memory at most in MiB. */
export async function runChild(command: string[]): Promise<{ out: string; peakMiB: number }> {
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  let peakMiB = 0;
  // Not from getrusage: there a child starts with the memory of the process that has made it.
  const timer = setInterval(() => {
    peakMiB = Math.max(peakMiB, memoryOf(child.pid, 'VmHWM') ?? 0);
  }, MEMORY_ASKED_MS);
  const out = await new Response(child.stdout).text();
  const exitCode = await child.exited;
  clearInterval(timer);
  if (exitCode !== 0) throw new Error(`${command.join(' ')} exited with ${exitCode}`);
  return { out, peakMiB };
}

/** MiB that are resident (VmRSS), or were at most (VmHWM); null where the process has ended. */
export function memoryOf(pid: number, what: 'VmRSS' | 'VmHWM'): number | null {
  const path = `/proc/${pid}/status`;
  if (!existsSync(path)) return null;
  const found = new RegExp(`${what}:\\s+(\\d+) kB`).exec(readFileSync(path, 'utf8'));
  return found ? toMiB(Number(found[1]) * 1024) : null;
}

/** What a process has had of the processor since it began. */
export function cpuSecondsOf(pid: number): number {
  // Behind the name, which may have anything in it: the 14th and 15th field, in ticks of a hundredth.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function toMiB(bytes: number): number {
  return bytes / 2 ** 20;
}

const COLUMNS = ['work', 'ours', 'peer', 'ratio', 'memory MiB', 'note'];

export function table(rows: Row[]): string {
  const cells = rows.map(row => {
    const { work, unit, ours, peer, goal, memory, note } = row;
    const ratio = ratioOf(row);
    const times = ratio === null ? '' : `${digits(ratio)}x${goal === null ? '' : ` (goal ${goal}x)`}`;
    const sizes = [memory.ours, memory.peer].map(mib => (mib === null ? '-' : digits(mib))).join(' / ');
    return [work, `${digits(ours)} ${unit}`, peer ? `${digits(peer.value)} ${peer.name}` : '', times, sizes, note];
  });
  const lines = [COLUMNS, COLUMNS.map(() => '-'), ...cells];
  const widths = COLUMNS.map((_, i) => Math.max(...lines.map(line => line[i]!.length)));
  return lines
    .map(line => `| ${line.map((cell, i) => cell.padEnd(widths[i]!, cell === '-' ? '-' : ' ')).join(' | ')} |`)
    .join('\n');
}

/** Three digits that count. */
function digits(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}
