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

/** Records that say what they are called and when they were: what they lacked is filled in. */
export interface Filled extends Admitted {
  /** Of each record where its name begins among `lines`, how long that is (0: it has none), and its line or place, from 1. */
  names: Uint32Array;
}

/**
 * Checks a body of events before they enter the log. For `json` (one record, or an array of records) a body that is no
 * JSON gives nothing but its problem; for `ndjson` each line is judged by itself. A rejected record's `line` is its
 * line, or its place in the array, from 1.
 *
 * @param seen is told of parts of it, with the lines before them, while the kernel still has what else it knows of them
 * @throws Fault `too_large` beyond `EVENTS_PER_BODY_MAX`
 */
export function admit(
  kernel: Kernel,
  body: Uint8Array,
  format: 'json' | 'ndjson',
  seen: (part: { lines: Uint8Array; count: number; line: number }) => void = () => {},
): Admitted | { problem: number } {
  const { exports } = kernel;
  const input = exports.inputBuffer(body.length) >>> 0;
  kernel.bytes(input, body.length).set(body);
  const takeLines = () => kernel.bytes(exports.acceptedStart(), exports.acceptedLength()).slice();
  if (format === 'json') {
    if (!exports.admitDocument(body.length)) return { problem: exports.problem.value };
    const lines = takeLines();
    seen({ lines, count: exports.acceptedCount.value, line: 0 });
    return { lines, count: exports.acceptedCount.value, rejected: rejectedLines(kernel, input) };
  }
  const parts: Uint8Array[] = [];
  const rejected: Rejected[] = [];
  let count = 0;
  let lines = 0;
  for (let from = 0; from < body.length; ) {
    from = exports.admitLines(from, body.length) >>> 0;
    parts.push(takeLines());
    seen({ lines: parts.at(-1)!, count: exports.acceptedCount.value, line: lines });
    for (const one of rejectedLines(kernel, input)) rejected.push({ ...one, line: one.line + lines });
    count += exports.acceptedCount.value;
    lines += exports.lineCount.value;
    if (count + rejected.length > EVENTS_PER_BODY_MAX)
      throw new Fault('too_large', `too many events; the limit events_per_body is ${EVENTS_PER_BODY_MAX}`);
  }
  return { lines: parts.length === 1 ? parts[0]! : Buffer.concat(parts), count, rejected };
}

/**
 * The same for records that are to be answered: each has a name, one that says nothing of its time has this one.
 *
 * @param timeMs epoch milliseconds
 * @param seed random bits that no other body has
 */
export function admitFilled(
  kernel: Kernel,
  body: Uint8Array,
  format: 'json' | 'ndjson',
  { timeMs, seed }: { timeMs: number; seed: bigint },
): Filled | { problem: number } {
  const { exports } = kernel;
  exports.startFilling(timeMs, seed);
  try {
    const names: Uint32Array[] = [];
    let size = 0;
    const admitted = admit(kernel, body, format, ({ lines, count, line }) => {
      const part = new Uint32Array(kernel.ints(exports.namedStart(), count * NAME_WORDS));
      for (let i = 0; i < part.length; i += NAME_WORDS) {
        part[i]! += size;
        part[i + 2]! += line;
      }
      names.push(part);
      size += lines.length;
    });
    if ('problem' in admitted) return admitted;
    const all = new Uint32Array(names.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of names) {
      all.set(part, at);
      at += part.length;
    }
    return { ...admitted, names: all };
  } finally {
    exports.stopFilling();
  }
}

/** Of each record in `Filled.names`. */
export const NAME_WORDS = 3;
