import { formatMicros } from '../base/time.ts';
import { cellJson } from '../http/columnar.ts';
import type { ReplayBatch, ReplayParts } from '../replay/replay.ts';

/** A replayed batch as NDJSON: one object an event, with `_position`, `_type`, `_time` and its features by name. */
export function batchLines({ count, positions, timesMicros, types, columns }: ReplayBatch): Uint8Array {
  const names = columns.map(column => `,${JSON.stringify(column.name)}:`);
  const cells = columns.map(cellJson);
  let text = '';
  for (let i = 0; i < count; i++) {
    text += `{"_position":${positions[i]},"_type":${JSON.stringify(types[i])},"_time":"${formatMicros(timesMicros[i]!)}"`;
    for (let k = 0; k < names.length; k++) text += names[k]! + cells[k]!(i);
    text += '}\n';
  }
  return new TextEncoder().encode(text);
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
