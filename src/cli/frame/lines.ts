import { formatMicros } from '../../base/time.ts';
import { cellJson } from '../../http/columnar.ts';
import type { FeatureColumn } from '../../kernel/feature_column.ts';
import type { FeatureError, ReplayParts } from '../../replay/replay.ts';
import type { FrameBatch, FrameColumn } from './frame.ts';

/** A batch as NDJSON: one object a row, its columns by name; bytes are base64. */
export function batchLines({ count, columns }: FrameBatch): Uint8Array {
  const names = columns.map(({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  const cells = columns.map(textOf);
  let text = '';
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < names.length; k++) text += names[k]! + cells[k]!(i);
    text += '}\n';
  }
  return new TextEncoder().encode(text);
}

function textOf({ name, type, values, nulls }: FrameColumn): (row: number) => string {
  if (type.kind !== 'bytes') return cellJson({ name, type, values: values as FeatureColumn['values'], nulls });
  return row => (nulls[row] ? 'null' : `"${(values as Uint8Array[])[row]!.toBase64()}"`);
}

/** A line that is no record has no position. */
export function rejectedLine(rejected: Parameters<ReplayParts['onRejected']>[0]): string {
  const { file, line, code, reason, sample } = rejected;
  return `${JSON.stringify({ position: null, file, line, type: null, time: null, code, reason, sample })}\n`;
}

/** An event that has a position and counts nowhere. */
export function badLine(bad: Parameters<ReplayParts['onBad']>[0]): string {
  const { position, file, line, type, timeMicros, code, reason, sample } = bad;
  return `${JSON.stringify({ position, file, line, type, time: formatMicros(timeMicros), code, reason, sample })}\n`;
}

/** A feature of an event that counts. */
export function featureErrorLine({ position, timeMicros, feature, text }: FeatureError): string {
  return `${JSON.stringify({ position, time: formatMicros(timeMicros), feature, error: text })}\n`;
}
