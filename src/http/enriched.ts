import type { Enriched, EventFault } from '../ingest/enrich.ts';
import type { Enrichment } from '../ingest/ingest.ts';
import { NAME_WORDS } from '../kernel/door.ts';
import { ReplyBytes } from './reply.ts';

/** Room for what each event has beside its features: its line, and its name unless that is long. */
const EVENT_BYTES = 128;

const NEWLINE = 0x0a;
const COMMA = 0x2c;
const BRACE_END = 0x7d;

/**
 * What events are answered with, as UTF-8, in the order of the body.
 *
 * @param isLines a line for each event, those that were rejected among them; else one object, in which they stand apart
 */
export function enrichedJson(enrichment: Enrichment, isLines: boolean): Uint8Array<ArrayBuffer> {
  const { names, parts, rejected } = enrichment;
  const speltBytes = parts.reduce((sum, { spelt }) => sum + spelt.bytes.length, 0);
  const reply = new ReplyBytes(speltBytes + (names.length / NAME_WORDS + 1) * EVENT_BYTES);
  const waiting = rejected.toSorted((a, b) => a.line - b.line);
  let count = 0;
  if (!isLines) reply.ascii('{"events":[');
  for (const part of parts) {
    for (let i = 0; i < part.count; i++, count++) {
      const line = names[count * NAME_WORDS + 2]!;
      while (isLines && waiting.length > 0 && waiting[0]!.line < line) writeLine(reply, waiting.shift()!);
      if (!isLines && count > 0) reply.byte(COMMA);
      writeEvent(reply, enrichment, part, i, count);
      if (isLines) reply.byte(NEWLINE);
    }
  }
  if (isLines) for (const one of waiting) writeLine(reply, one);
  else reply.text(`],"rejected":${JSON.stringify(rejected)}}\n`);
  return reply.view();
}

function writeLine(reply: ReplyBytes, one: Enrichment['rejected'][number]): void {
  reply.text(`${JSON.stringify(one)}\n`);
}

/** Event `i` of a part, which is the `n`-th that was accepted. */
function writeEvent(reply: ReplyBytes, { lines, names }: Enrichment, part: Enriched, i: number, n: number): void {
  const start = names[n * NAME_WORDS]!;
  const length = names[n * NAME_WORDS + 1]!;
  const { bytes, ends } = part.spelt;
  reply.ascii(`{"line":${names[n * NAME_WORDS + 2]!},"event_id":`);
  // As it was posted: what has passed the door is JSON in UTF-8.
  if (length === 0) reply.ascii('null');
  else reply.copy(lines, start, start + length);
  reply.copy(bytes, i === 0 ? 0 : ends[i - 1]!, ends[i]!);
  const fault = part.faults.size > 0 && part.faults.get(i);
  if (fault) writeFault(reply, fault);
  reply.byte(BRACE_END);
}

function writeFault(reply: ReplyBytes, { code, reason }: EventFault): void {
  reply.text(`,"fault":${JSON.stringify({ code, reason })}`);
}
