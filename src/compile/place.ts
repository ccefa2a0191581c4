import type { Position } from '../base/fault.ts';

/** Of the UTF-16 units [start, end) of a file's text: where they stand, as far as the end of their first line. */
export type Place = (start: number, end: number) => Position;

/** Says of parts of a file where they stand. */
export function placeIn(file: string, text: string): Place {
  const starts = lineStarts(text);
  return (start, end) => {
    const line = lineAt(starts, start);
    const written = text.slice(start, end);
    const newline = written.indexOf('\n');
    const part = (newline < 0 ? written : written.slice(0, newline)).trimEnd();
    return { file, line: line + 1, column: start - starts[line]! + 1, length: Math.max(1, part.length) };
  };
}

/** Offsets of the lines of a text. (Those of the YAML library have gaps behind a syntax error.) */
function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** The last line that starts at or before an offset. */
function lineAt(starts: number[], offset: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
