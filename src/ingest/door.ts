import { Fault } from '../base/fault.ts';
import { Stages } from '../base/stages.ts';
import { turn } from '../base/turn.ts';
import type { Kernel } from '../kernel/instance.ts';
import type { Admitted } from '../kernel/door.ts';
import { admit, EVENTS_PER_BODY_MAX } from '../kernel/door.ts';
import { PROBLEMS, type Rejected } from '../kernel/ndjson.ts';
import { lineCount, NEWLINE } from '../source/segment.ts';
import { BLOCK_MAX_BYTES } from '../source/source.ts';
import type { BodyFormat, Rejection } from './body.ts';

/** Judged, or folded, between two turns of the event loop: a few milliseconds of work, which is what a lookup waits. */
export const SLICE_BYTES = BLOCK_MAX_BYTES;

/** Hashed between two turns: about as long. */
const HASHED_BYTES = 4 << 20;

/** The end of whole lines from `from` on, about as many as make a slice. */
export function sliceEnd(lines: Uint8Array, from: number, sliceBytes = SLICE_BYTES): number {
  if (lines.length - from <= sliceBytes) return lines.length;
  const end = lines.indexOf(NEWLINE, from + sliceBytes - 1) + 1;
  return end === 0 ? lines.length : end;
}

/** What the door has made of a body. */
export interface TakenBody {
  lines: Uint8Array;
  count: number;
  rejected: Rejection[];
}

/** A document is one value, and is judged in one go. */
export function isSlice(body: Uint8Array, format: BodyFormat): boolean {
  return format === 'json' || body.length <= SLICE_BYTES;
}

/**
 * Judges a body, a large one in more than one turn.
 *
 * @throws Fault `request` where a `json` body is no JSON, `too_large` beyond `EVENTS_PER_BODY_MAX`
 */
export async function admitBody(
  kernel: Kernel,
  body: Uint8Array,
  format: BodyFormat,
  stages: Stages,
): Promise<TakenBody> {
  if (isSlice(body, format)) return admitWhole(kernel, body, format, stages);
  const admitted = await admitSlices(kernel, body, stages);
  return { ...admitted, rejected: admitted.rejected.map(rejection) };
}

/** The same for one that `isSlice`, within this turn. */
export function admitWhole(kernel: Kernel, body: Uint8Array, format: BodyFormat, stages: Stages): TakenBody {
  const admitted = stages.time('door', () => admit(kernel, body, format));
  if ('problem' in admitted) throw refusal(admitted.problem);
  return { ...admitted, rejected: admitted.rejected.map(rejection) };
}

export function rejection({ line, code, reason }: Rejection): Rejection {
  return { line, code, reason };
}

/** Of a whole body: it is no JSON, or too much of it is no event. */
export function refusal(number: number): Fault {
  const { code, reason } = PROBLEMS[number]!;
  if (code === 'too_many') return new Fault('too_large', `nothing of the body is taken: ${reason}`);
  return new Fault('request', `the body is no JSON: ${reason}`);
}

/**
 * Judges the lines of a large body slice by slice; what comes out is what `admit` makes of all of it. The kernel's
 * buffers are anybody's between slices.
 *
 * @throws Fault `too_large` beyond `EVENTS_PER_BODY_MAX`
 */
export async function admitSlices(kernel: Kernel, body: Uint8Array, stages = new Stages()): Promise<Admitted> {
  const parts: Uint8Array[] = [];
  const rejected: Rejected[] = [];
  let count = 0;
  let lines = 0;
  for (let from = 0; from < body.length; ) {
    if (from > 0) await turn();
    const slice = body.subarray(from, sliceEnd(body, from));
    const admitted = stages.time('door', () => admit(kernel, slice, 'ndjson')) as Admitted;
    parts.push(admitted.lines);
    for (const one of admitted.rejected) rejected.push({ ...one, line: one.line + lines });
    count += admitted.count;
    if (count + rejected.length > EVENTS_PER_BODY_MAX)
      throw new Fault('too_large', `too many events; the limit events_per_body is ${EVENTS_PER_BODY_MAX}`);
    lines += lineCount(slice);
    from += slice.length;
  }
  return { lines: Buffer.concat(parts), count, rejected };
}

/** What tells bodies apart that come under one key: 64 hex digits. */
export async function bodyDigest(body: Uint8Array, format: string, stages: Stages): Promise<string> {
  const hash = new Bun.CryptoHasher('sha256').update(`${format}\n`);
  for (let from = 0; from < body.length; from += HASHED_BYTES) {
    if (from > 0) await turn();
    stages.time('door', () => hash.update(body.subarray(from, from + HASHED_BYTES)));
  }
  return hash.digest('hex');
}
