import { formatMicros } from '../base/time.ts';
import type { Enriched, EnrichedType } from '../ingest/enrich.ts';
import type { Enrichment } from '../ingest/ingest.ts';
import { NAME_WORDS } from '../kernel/door.ts';
import type { FeatureColumn } from '../kernel/window.ts';
import { cellWriter } from './columnar.ts';
import { ReplyBytes } from './reply.ts';

/** Room for each event; a reply that needs more grows. */
const EVENT_BYTES = 256;

const ENCODER = new TextEncoder();
const NEWLINE = 0x0a;
const COMMA = 0x2c;

/**
 * What events are answered with, as UTF-8, in the order of the body.
 *
 * @param isLines a line for each event, those that were rejected among them; else one object, in which they stand apart
 */
export function enrichedJson(enrichment: Enrichment, isLines: boolean): Uint8Array<ArrayBuffer> {
  const { names, rejected } = enrichment;
  const reply = new ReplyBytes((names.length / NAME_WORDS) * EVENT_BYTES + EVENT_BYTES);
  const waiting = rejected.toSorted((a, b) => a.line - b.line);
  let count = 0;
  if (!isLines) reply.ascii('{"events":[');
  for (const part of enrichment.parts) {
    const write = eventWriter(reply, enrichment, part);
    for (let i = 0; i < part.count; i++, count++) {
      const line = names[count * NAME_WORDS + 2]!;
      while (isLines && waiting.length > 0 && waiting[0]!.line < line) writeLine(reply, waiting.shift()!);
      if (!isLines && count > 0) reply.byte(COMMA);
      write(i, count);
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

/** Writes event `i` of a part, which is the `n`-th that was accepted. */
function eventWriter(reply: ReplyBytes, { lines, names }: Enrichment, part: Enriched): (i: number, n: number) => void {
  const writers = part.features.map(features => features && featureWriter(reply, features));
  const bad = new Map(part.bad.map(one => [one.record, one]));
  return (i, n) => {
    const [start, length, line] = names.subarray(n * NAME_WORDS);
    reply.ascii(`{"line":${line},"event_id":`);
    // As it was posted: what has passed the door is JSON in UTF-8.
    if (length === 0) reply.ascii('null');
    else reply.copy(lines, start!, start! + length!);
    reply.ascii(`,"event_time":"${formatMicros(part.timesMicros[i]!)}","position":${part.position + i}`);
    const row = part.rows[i]!;
    if (row >= 0) writers[part.types[i]!]!(row);
    else {
      const { code, reason } = bad.get(i) ?? UNDECLARED;
      reply.text(`,"features":{},"errors":{},"fault":${JSON.stringify({ code, reason })}}`);
    }
  };
}

const UNDECLARED = { code: 'undeclared', reason: 'no definition declares events of this type' };

/** `features` and `errors` of the event in a row of its type. */
function featureWriter(reply: ReplyBytes, { columns, errors }: EnrichedType): (row: number) => void {
  const member = (column: FeatureColumn, name: string, before: string) => ({
    column,
    head: ENCODER.encode(`${before}${JSON.stringify(name)}:`),
    write: cellWriter(reply, column),
  });
  const cells = columns.map((column, i) => member(column, column.name, i > 0 ? ',' : ''));
  const wrong = errors.flatMap((column, i) => (column ? [member(column, columns[i]!.name, '')] : []));
  return row => {
    reply.ascii(',"features":{');
    for (const { head, write } of cells) {
      reply.copy(head, 0, head.length);
      write(row);
    }
    reply.ascii('},"errors":{');
    let isFirst = true;
    for (const { column, head, write } of wrong) {
      if (column.nulls[row]) continue;
      if (!isFirst) reply.byte(COMMA);
      reply.copy(head, 0, head.length);
      write(row);
      isFirst = false;
    }
    reply.ascii('}}');
  };
}
