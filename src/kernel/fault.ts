import type { EventType } from '../plan/plan.ts';
import { NESTED_VALUES_MAX } from '../plan/value.ts';
import type { Kernel } from './instance.ts';

/** What is wrong with the value of an input in an event that counts all the same (Wrong in assembly/fault.ts). */
export const WRONGS: readonly { code: string; text: string }[] = [
  { code: 'none', text: '' },
  { code: 'missing', text: 'required input missing' },
  { code: 'null', text: 'required input is null' },
  // The words for a wrong type are those of the type.
  { code: 'type', text: '' },
  { code: 'lossy', text: 'loss of precision' },
  { code: 'too_many', text: `more than ${NESTED_VALUES_MAX} values` },
];

/** Of a value that is of another type: what was wanted, by kind (KINDS in ndjson.ts), as topologies call it. */
const EXPECTED = ['bool', 'int', 'string', 'time', 'float', 'list', 'struct', 'map'].map(name => `expected ${name}`);

const LENIENCIES = { reject: 0, null: 1, convert: 2 };

/** Kernels that have the words. */
const told = new WeakSet<Kernel>();

/** Makes a faulty input do what the event type says. Its frame has `faultRegister`s. */
export function setLeniency(kernel: Kernel, type: number, { onFault }: EventType): void {
  if (onFault === 'reject') return;
  if (!told.has(kernel)) sayWords(kernel);
  kernel.exports.setLeniency(type, LENIENCIES[onFault]);
}

function sayWords(kernel: Kernel): void {
  for (const [i, words] of [...WRONGS.map(({ text }) => text), ...EXPECTED].entries()) {
    const bytes = new TextEncoder().encode(words);
    kernel.exports.setFaultWords(i, kernel.put(bytes), bytes.length);
  }
  told.add(kernel);
}

/** How many registers decoding fills: inputs, the time, in a changelog the weight, and what is wrong with each input. */
export function decodedRegisters({ onFault, changelog }: EventType, inputCount: number): number {
  return inputCount + (changelog ? 2 : 1) + (onFault === 'reject' ? 0 : inputCount);
}

/** The register with what is wrong with an input, a text; null where nothing is. Null for events that are bad for any fault. */
export function faultRegister({ onFault }: EventType, inputCount: number, input: number): number | null {
  return onFault === 'reject' ? null : inputCount + 1 + input;
}
