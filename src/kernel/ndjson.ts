import { assert } from '../base/assert.ts';
import { CHANGE_OPS, type EventType } from '../plan/plan.ts';
import { type Field, NESTED_VALUES_MAX, type Type, isScalar, typeName } from '../plan/value.ts';
import type { Kernel } from './instance.ts';

/** Why a line is no record (Problem in assembly/json.ts): it is rejected, and has no position. */
export const PROBLEMS: readonly { code: string; reason: string }[] = [
  { code: 'none', reason: 'nothing is wrong' },
  { code: 'not_json', reason: 'not valid JSON' },
  { code: 'bad_utf8', reason: 'a string is not valid UTF-8' },
  { code: 'too_deep', reason: 'objects and arrays are nested deeper than 64, the limit event_depth' },
  { code: 'not_object', reason: 'an event is a JSON object' },
  { code: 'no_type', reason: 'no event type: a non-empty string `type` (or `_type` in the flat form) is wanted' },
  { code: 'no_time', reason: 'no event time: `time` (or `_time` in the flat form) is wanted' },
  { code: 'bad_time', reason: 'the event time is neither RFC 3339 nor integral epoch milliseconds' },
  { code: 'too_long', reason: 'the event is longer than 1048576 bytes, the limit event_bytes' },
  { code: 'too_many', reason: 'more than 4096 of its elements are no events' },
];

/** Why a logged event is bad (Bad in assembly/event_type.ts). */
export const BADS: readonly { code: string; reason: (event: EventType, place: BadPlace) => string }[] = [
  { code: 'none', reason: () => 'nothing is wrong' },
  { code: 'missing', reason: (_, { name }) => `required input ${name} is missing or null` },
  { code: 'wrong_type', reason: (_, { name, type }) => `input ${name} is no ${type && typeName(type)}` },
  { code: 'out_of_range', reason: (_, { name }) => `input ${name} is no integer within int64` },
  { code: 'data_not_object', reason: () => '`data` is not an object' },
  {
    code: 'time_jump',
    reason: event => `the event time is further ahead of the latest ${event.name} than log.max_jump allows`,
  },
  { code: 'time_ahead', reason: () => 'the event time is more than 10 minutes ahead of its arrival' },
  {
    code: 'too_large',
    reason: (_, { name }) =>
      `with input ${name} its lists and structs have more than ${NESTED_VALUES_MAX} values, the limit`,
  },
  {
    code: 'unknown_op',
    reason: ({ changelog }, { name }) => {
      const form = changelog?.kind === 'upsert' ? changelog.form : changelog?.kind;
      if (form === 'debezium') return '`op` is none of c, r, u, d';
      return `input ${name} is none of ${(form === 'flag' ? ['true', 'false'] : Object.keys(CHANGE_OPS)).join(', ')}`;
    },
  },
  { code: 'row_ahead', reason: (_, { name }) => `input ${name} is more than 10 minutes ahead of the event's time` },
  {
    code: 'no_before',
    reason: ({ changelog }, { name }) => {
      if (changelog?.kind === 'upsert') return 'the key of the deleted row is not there: `before` is no row';
      const what = name === '' ? 'is no row' : `lacks input ${name}`;
      return `what is taken back is not there: \`before\` ${what}; the database has to log whole rows, as Postgres does with REPLICA IDENTITY FULL`;
    },
  },
  { code: 'no_after', reason: () => 'what is added is not there: `after` is no row' },
  { code: 'unavailable', reason: (_, { name }) => `input ${name} is a value that the database did not hand over` },
  {
    code: 'row_too_long',
    reason: () => 'the event is longer than 65536 bytes, the limit of what is kept as the last row of a key',
  },
];

/** Where something is bad: an input, or a place within it, like `crew[2].name`. */
interface BadPlace {
  name: string;
  /** Null where it is no input that is bad. */
  type: Type | null;
}

/** Follows the faults within a faulty input (assembly/nested_input.ts) down to the first one's place. */
function badPlace(kernel: Kernel, input: Field | undefined, within: number): BadPlace {
  if (!input) return { name: '', type: null };
  let { name, type }: { name: string; type: Type } = input;
  for (let at = within >>> 0; at !== 0; at = kernel.ints(at + 8, 1)[0]! >>> 0) {
    const number = kernel.ints(at + 4, 1)[0]!;
    assert(!isScalar(type), 'only lists, maps and structs have faults within');
    if (type.kind === 'struct') {
      const field = type.fields[number]!;
      name += `.${field.path.join('.')}`;
      type = field.type;
    } else {
      name += type.kind === 'map' ? `['${textAt(kernel, at + 16)}']` : `[${number}]`;
      type = type.of.type;
    }
  }
  return { name, type };
}

/** The text of a cell. */
function textAt(kernel: Kernel, cell: number): string {
  const [start, length] = kernel.ints(cell, 2) as unknown as [number, number];
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(kernel.bytes(start, length));
}

/** A line that is no record. `line` counts from 1 within the bytes that were decoded. */
export interface Rejected {
  line: number;
  code: string;
  reason: string;
  sample: string;
}

/** A logged event that counts nowhere. `record` is its index in the batch. */
export interface BadEvent {
  record: number;
  line: number;
  type: string;
  timeMicros: bigint;
  code: string;
  reason: string;
  sample: string;
}

/** For a source that does not know when its records arrived (assembly/clock.ts). */
const NO_ARRIVAL = -(2n ** 63n);

/** What is shown of a bad line. */
const SAMPLE_MAX_BYTES = 200;

/** Decodes blocks of NDJSON batch by batch: the columns stay in the kernel. */
export class Decoder {
  #input = 0;
  #size = 0;
  #from = 0;

  constructor(
    private readonly kernel: Kernel,
    /** The plan's event types in the order in which the kernel knows them, with the inputs it reads. */
    private readonly types: { event: EventType; inputs: Field[] }[],
  ) {}

  /** Copies a block into the kernel. All of the last one must have been decoded. */
  fill(bytes: Uint8Array): void {
    this.#input = this.kernel.exports.inputBuffer(bytes.length) >>> 0;
    this.kernel.bytes(this.#input, bytes.length).set(bytes);
    this.#size = bytes.length;
    this.#from = 0;
  }

  /**
   * Decodes the next batch of the block; false when there is none left.
   *
   * @param position in the log, of the batch's first record
   */
  next(position: number, arrivalMicros: bigint | null): boolean {
    if (!this.parse(position)) return false;
    this.passClocks(arrivalMicros);
    return true;
  }

  /** `next` without what depends on the records before: `passClocks` has to follow, with the clocks as they left them. */
  parse(position: number): boolean {
    if (this.#from === this.#size) return false;
    this.#from = this.kernel.exports.decode(this.#from, this.#size, BigInt(position), 1) >>> 0;
    return true;
  }

  passClocks(arrivalMicros: bigint | null): void {
    this.kernel.exports.passClocks(arrivalMicros ?? NO_ARRIVAL);
  }

  /** Bytes of the block that have been decoded. */
  get offset(): number {
    return this.#from;
  }

  /** Nothing of the block is left. */
  get isDone(): boolean {
    return this.#from === this.#size;
  }

  /** Records of the batch: each has a position in the log. */
  get count(): number {
    return this.kernel.exports.recordCount.value;
  }

  /** Lines of the batch, blank and rejected ones among them. */
  get lines(): number {
    return this.kernel.exports.lineCount.value;
  }

  rejected(): Rejected[] {
    return rejectedLines(this.kernel, this.#input);
  }

  bad(): BadEvent[] {
    const { exports } = this.kernel;
    const count = exports.recordCount.value;
    const bads = this.kernel.ints(exports.recordBad.value, count);
    const found: BadEvent[] = [];
    for (let record = 0; record < count; record++) if (bads[record] !== 0) found.push(this.badEvent(record));
    return found;
  }

  /** Where the input of the batch starts in the kernel. */
  get input(): number {
    return this.#input;
  }

  /** Of a record of the batch: good until the next one is decoded. */
  line(record: number): Uint8Array {
    const { exports } = this.kernel;
    const int = (global: { value: number }) => this.kernel.ints(global.value + record * 4, 1)[0]!;
    return this.kernel.bytes(this.#input + int(exports.recordStart), int(exports.recordLength));
  }

  /** What is wrong with a record that is bad. */
  badEvent(record: number): BadEvent {
    const { exports } = this.kernel;
    const int = (global: { value: number }) => this.kernel.ints(global.value + record * 4, 1)[0]!;
    const { event, inputs } = this.types[int(exports.recordType)]!;
    const { code, reason } = BADS[int(exports.recordBad)]!;
    return {
      record,
      line: int(exports.recordLine),
      type: event.name,
      timeMicros: this.kernel.longs(exports.recordTime.value + record * 8, 1)[0]!,
      code,
      reason: reason(event, badPlace(this.kernel, inputs[int(exports.recordInput)], int(exports.recordWithin))),
      sample: sampleOf(this.kernel, this.#input + int(exports.recordStart), int(exports.recordLength)),
    };
  }
}

/** The lines that the kernel has listed as rejected. `input` is where its input starts. */
export function rejectedLines(kernel: Kernel, input: number): Rejected[] {
  const { exports } = kernel;
  const count = exports.rejectedCount.value;
  if (count === 0) return [];
  const lines = kernel.ints(exports.rejectedLine.value, count);
  const problems = kernel.ints(exports.rejectedProblem.value, count);
  const starts = kernel.ints(exports.rejectedStart.value, count);
  const lengths = kernel.ints(exports.rejectedLength.value, count);
  return Array.from({ length: count }, (_, i) => ({
    line: lines[i]!,
    ...PROBLEMS[problems[i]!]!,
    sample: sampleOf(kernel, input + starts[i]!, lengths[i]!),
  }));
}

function sampleOf(kernel: Kernel, start: number, length: number): string {
  return new TextDecoder().decode(kernel.bytes(start, Math.min(length, SAMPLE_MAX_BYTES)));
}
