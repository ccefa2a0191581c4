import { Fault } from '../base/fault.ts';
import type { Kernel } from './instance.ts';

/** What is to be said of a value, by the kernel's numbers (Status in assembly/register.ts): the graver, the greater. */
export const STATUS = [null, 'WARMING', 'NOT_FOUND', 'EXPIRED', 'OVERFLOW'] as const;

export const WARMING = STATUS.indexOf('WARMING');

export function checkRead(kernel: Kernel, outcome: number): void {
  if (outcome !== kernel.exports.READ_OK.value)
    throw new Fault('corrupt', 'a stored row is not in canonical form, or belongs to other definitions');
}
