import { Fault } from '../base/fault.ts';
import type { Kernel } from './instance.ts';
import { addType } from './event_type.ts';
import { Decoder, type Rejected } from './ndjson.ts';
import { bareType } from './pick.ts';

/** Records of a batch of a block, as arrays of the kernel: copies, one element a record. */
export interface Records {
  count: number;
  /** Index into `RecordReader.types`. */
  types: Int32Array;
  timesMicros: BigInt64Array;
  /** Lines in the block. */
  starts: Int32Array;
  lengths: Int32Array;
  rejected: Rejected[];
}

/** How records get their types: only these are told apart, and others are -1; or all, with what names a type, and how many there may be. */
export type Wanted = { types: string[] } | Naming;

interface Naming {
  typeOf: (line: Uint8Array) => string | null;
  typesMax: number;
}

/**
 * Of every record its type and time, by the kernel's own reading, whatever is declared. The kernel knows types by number;
 * those that it has not met yet are told to a new one, and the block is read once more.
 */
export class RecordReader {
  /** In the order in which they were met. */
  readonly types: string[] = [];
  #kernel: Kernel;
  #decoder: Decoder;

  private constructor(
    kernel: Kernel,
    private readonly newKernel: () => Promise<Kernel>,
    private readonly wanted: Wanted,
  ) {
    if ('types' in wanted) this.types.push(...wanted.types);
    this.#kernel = kernel;
    this.#decoder = this.#decoderIn(kernel);
  }

  static async open(newKernel: () => Promise<Kernel>, wanted: Wanted): Promise<RecordReader> {
    return new RecordReader(await newKernel(), newKernel, wanted);
  }

  /**
   * The records of a block, batch by batch.
   *
   * @throws Fault `too_large` with more types than there may be
   */
  async read(block: Uint8Array): Promise<Records[]> {
    const records = this.#decoded(block);
    if (!('typeOf' in this.wanted) || !records.some(hasUnknown)) return records;
    for (const line of unknownLines(block, records)) this.#learn(line, this.wanted);
    this.#kernel = await this.newKernel();
    this.#decoder = this.#decoderIn(this.#kernel);
    const again = this.#decoded(block);
    const [line] = unknownLines(block, again);
    if (line) throw new Fault('unsupported', `the type of this event cannot be told: ${sample(line)}`);
    return again;
  }

  #decoderIn(kernel: Kernel): Decoder {
    for (const type of this.types) addType(kernel, bareType(type), [], 1);
    return new Decoder(kernel, []);
  }

  #decoded(block: Uint8Array): Records[] {
    const { exports } = this.#kernel;
    const all: Records[] = [];
    this.#decoder.fill(block);
    for (let lines = 0; this.#decoder.parse(0); lines += this.#decoder.lines) {
      const { count } = this.#decoder;
      const ints = (global: { value: number }) => this.#kernel.ints(global.value, count).slice();
      all.push({
        count,
        types: ints(exports.recordType),
        timesMicros: this.#kernel.longs(exports.recordTime.value, count).slice(),
        starts: ints(exports.recordStart),
        lengths: ints(exports.recordLength),
        rejected: this.#decoder.rejected().map(one => ({ ...one, line: one.line + lines })),
      });
    }
    return all;
  }

  #learn(line: Uint8Array, { typeOf, typesMax }: Naming): void {
    const type = typeOf(line);
    if (type === null || this.types.includes(type)) return;
    if (this.types.length === typesMax)
      throw new Fault('too_large', `there are more than ${typesMax} event types; --types picks some of them`);
    this.types.push(type);
  }
}

function hasUnknown({ types }: Records): boolean {
  return types.some(type => type < 0);
}

function* unknownLines(block: Uint8Array, all: Records[]): Generator<Uint8Array> {
  for (const { count, types, starts, lengths } of all)
    for (let i = 0; i < count; i++) if (types[i]! < 0) yield block.subarray(starts[i]!, starts[i]! + lengths[i]!);
}

function sample(line: Uint8Array): string {
  return new TextDecoder().decode(line.subarray(0, SAMPLE_MAX_BYTES));
}

const SAMPLE_MAX_BYTES = 200;
