import type { Aggregate } from '../plan/plan.ts';
import { caseOf } from './aggregate.ts';
import type { Kernel } from './instance.ts';
import type { EventReadLayout } from './layout.ts';

/** May a read's window run along with the rows of its key, so that each event merges only what has come and gone (assembly/running.ts)? */
export function runsAlong(kernel: Kernel, { read, after }: EventReadLayout, { fn }: Aggregate): boolean {
  return read.window.kind === 'exact' && after === null && kernel.exports.isGroup(caseOf(fn)) !== 0;
}

/**
 * For tests: from how many rows of a cover on windows run along, and what their states may take.
 *
 * @param bytesMax 0 leaves all to the cover
 */
export function setRunning({ exports }: Kernel, bytesMax: number, rowsMin: number): void {
  exports.setRunning(bytesMax, rowsMin);
}
