import type { Fault } from '../base/fault.ts';
import { faultLine } from '../base/fault.ts';

/**
 * Faults for people to read: a line each and, where the file's text is at hand, the line it is about with carets
 * below.
 *
 * @param textOf a file's text, or null where it is not to be had
 */
export function formatFaults(faults: Fault[], textOf: (file: string) => string | null = () => null): string {
  return faults.map(fault => [faultLine(fault), ...excerpt(fault, textOf)].join('\n')).join('\n');
}

function excerpt({ at }: Fault, textOf: (file: string) => string | null): string[] {
  const line = at && textOf(at.file)?.split(/\r?\n/)[at.line - 1];
  if (!at || !line) return [];
  const before = line.slice(0, at.column - 1);
  const marked = line.slice(at.column - 1, at.column - 1 + at.length);
  // A character of two units takes one caret; a tab stays one, for only it is as wide as itself.
  const blank = before.replace(/[^\t]/gu, ' ');
  return [`    ${line}`, `    ${blank}${'^'.repeat(Math.max(1, [...marked].length))}`];
}
