import { Fault } from '../base/fault.ts';
import type { Kernel } from './instance.ts';
import type { Rejected } from './ndjson.ts';
import { rejectedLines } from './ndjson.ts';

/** Of one body, rejected ones among them: a body of tiny lines must not become a reply with a line for each. */
export const EVENTS_PER_BODY_MAX = 1_000_000;

/** What the door let in: one record a line, each ending in a newline. */
export interface Admitted {
  lines: Uint8Array;
  count: number;
  rejected: Rejected[];
}

/**
 * Checks a body of events before they enter the log. For `json` (one record, or an array of records) a body that is no
 * JSON gives nothing but its problem; for `ndjson` each line is judged by itself. A rejected record's `line` is its
 * line, or its place in the array, from 1.
 *
 * @throws Fault `too_large` beyond `EVENTS_PER_BODY_MAX`
 */
export function admit(kernel: Kernel, body: Uint8Array, format: 'json' | 'ndjson'): Admitted | { problem: number } {
  const { exports } = kernel;
  const input = exports.inputBuffer(body.length) >>> 0;
  kernel.bytes(input, body.length).set(body);
  const takeLines = () => kernel.bytes(exports.acceptedStart(), exports.acceptedLength()).slice();
  if (format === 'json') {
    if (!exports.admitDocument(body.length)) return { problem: exports.problem.value };
    return { lines: takeLines(), count: exports.acceptedCount.value, rejected: rejectedLines(kernel, input) };
  }
  const parts: Uint8Array[] = [];
  const rejected: Rejected[] = [];
  let count = 0;
  let lines = 0;
  for (let from = 0; from < body.length; ) {
    from = exports.admitLines(from, body.length) >>> 0;
    parts.push(takeLines());
    for (const one of rejectedLines(kernel, input)) rejected.push({ ...one, line: one.line + lines });
    count += exports.acceptedCount.value;
    lines += exports.lineCount.value;
    if (count + rejected.length > EVENTS_PER_BODY_MAX)
      throw new Fault('too_large', `too many events; the limit events_per_body is ${EVENTS_PER_BODY_MAX}`);
  }
  return { lines: parts.length === 1 ? parts[0]! : Buffer.concat(parts), count, rejected };
}
