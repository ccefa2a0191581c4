import type { EventType } from '../plan/plan.ts';
import type { Kernel } from './instance.ts';
import { addType } from './event_type.ts';
import { Decoder } from './ndjson.ts';

/** The lines of events of certain types, found by the kernel's own reading of them: nothing else of them is read. */
export class TypePicker {
  readonly #decoder: Decoder;

  /** @param kernel a fresh instance, for nothing else */
  constructor(
    private readonly kernel: Kernel,
    types: string[],
  ) {
    this.#decoder = new Decoder(kernel, []);
    for (const name of types) addType(kernel, bareType(name), [], 1);
  }

  /** The lines of a block that are of the types, each with its newline. */
  pick(block: Uint8Array): Uint8Array {
    const { exports } = this.kernel;
    const parts: Uint8Array[] = [];
    this.#decoder.fill(block);
    while (this.#decoder.next(0, null)) {
      const { count } = this.#decoder;
      const types = this.kernel.ints(exports.recordType.value, count);
      const starts = this.kernel.ints(exports.recordStart.value, count);
      const lengths = this.kernel.ints(exports.recordLength.value, count);
      for (let i = 0; i < count; i++)
        if (types[i]! >= 0) parts.push(block.subarray(starts[i]!, starts[i]! + lengths[i]!), NEWLINE);
    }
    return Buffer.concat(parts);
  }
}

const NEWLINE = Uint8Array.of(10);

/** An event type of which nothing is read. */
export function bareType(name: string): EventType {
  return { name, inputs: [], columns: [], onFault: 'null', weight: null, at: null };
}
