/** What the kernel makes of NDJSON, taken out of its memory record by record, so that a test can hold it against a judge. */
import { faultRegister } from '../../src/kernel/fault.ts';
import type { Kernel } from '../../src/kernel/instance.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import type { Layout } from '../../src/kernel/layout.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { type BadEvent, Decoder, type Rejected } from '../../src/kernel/ndjson.ts';
import type { Expression } from '../../src/plan/expression.ts';
import type { EventType, Plan } from '../../src/plan/plan.ts';
import { type Field, STRING, type Type, type Value } from '../../src/plan/value.ts';
import { countedIds } from '../sim/engine.ts';
import { plan } from '../oracle/fixtures/spell.ts';

/** So far ahead that no event is: the clock has tests of its own. */
export const NEVER_MS = 1e15;

export interface DecodedRecord {
  line: number;
  /** Null where the type is not declared. */
  type: string | null;
  timeMicros: bigint;
  bad: BadEvent | null;
  /** By input name; null where the event is bad or not declared. */
  inputs: { [name: string]: Value } | null;
  /** What is wrong with each input; of nothing where any fault makes the event bad. */
  faults: { [name: string]: Value };
}

export interface Decoded {
  records: DecodedRecord[];
  rejected: Rejected[];
  batches: number;
}

export function eventType(name: string, inputs: Field[], weight: Expression | null = null): EventType {
  return { name, inputs, columns: [], onFault: 'reject', weight, at: null };
}

/** A plan in a kernel of its own, with a clock that takes any time. */
export async function layout(of: Plan): Promise<Layout> {
  const clock = { kind: 'event', maxJumpMs: NEVER_MS } as const;
  return layPlan(await loadKernel(), of, countedIds(of), { clock, aheadMaxMs: 0, shards: 1 });
}

export async function decodingLayout(events: EventType[]): Promise<Layout> {
  return layout(plan({ events }));
}

/** Decodes a block batch by batch, as ingest and replay do. */
export function decodeBlock(of: Layout, block: Uint8Array): Decoded {
  const decoder = new Decoder(of.kernel, of.types);
  decoder.fill(block);
  const decoded: Decoded = { records: [], rejected: [], batches: 0 };
  let line = 0;
  while (decoder.next(0, null)) {
    decoded.batches++;
    for (const one of decoder.rejected()) decoded.rejected.push({ ...one, line: one.line + line });
    const bads = new Map(decoder.bad().map(bad => [bad.record, bad]));
    for (let i = 0; i < decoder.count; i++) decoded.records.push(recordAt(of, i, bads.get(i) ?? null, line));
    line += decoder.lines;
  }
  return decoded;
}

function recordAt({ kernel, types }: Layout, record: number, bad: BadEvent | null, linesBefore: number): DecodedRecord {
  const { exports } = kernel;
  const int = (global: { value: number }) => kernel.ints(global.value + record * 4, 1)[0]!;
  const type = int(exports.recordType);
  const row = int(exports.recordRow);
  const declared = types[type] ?? null;
  const inputs: { [name: string]: Value } = {};
  const faults: { [name: string]: Value } = {};
  if (row >= 0)
    for (const [register, input] of declared!.inputs.entries()) {
      inputs[input.name] = cellAt(kernel, declared!.frame, register, input.type, row);
      const fault = faultRegister(declared!.event, declared!.inputs.length, register);
      if (fault !== null) faults[input.name] = cellAt(kernel, declared!.frame, fault, STRING, row);
    }
  return {
    line: int(exports.recordLine) + linesBefore,
    type: declared?.event.name ?? null,
    timeMicros: kernel.longs(exports.recordTime.value + record * 8, 1)[0]!,
    bad,
    inputs: row < 0 ? null : inputs,
    faults,
  };
}

/** One value of a frame. */
export function cellAt(kernel: Kernel, frame: number, register: number, type: Type, row: number): Value {
  const { exports } = kernel;
  if (kernel.bytes(exports.frameNulls(frame, register) + row, 1)[0] !== 0) return null;
  return valueAt(kernel, exports.frameValues(frame, register) + row * 8, type);
}

/** What a cell holds that is not null. */
function valueAt(kernel: Kernel, at: number, type: Type): Value {
  if (type.kind === 'double') return kernel.doubles(at, 1)[0]!;
  const word = kernel.longs(at, 1)[0]!;
  if (type.kind === 'bool') return word !== 0n;
  if (type.kind === 'int64' || type.kind === 'time') return word;
  const [start, count] = [Number(word & 0xffffffffn), Number((word >> 32n) & 0xffffffffn)];
  if (type.kind === 'string')
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(kernel.bytes(start, count));
  if (count > 0 && start % 8 !== 0) throw new Error(`a block begins at ${start}`);
  const nulls = kernel.bytes(start + count * 8, count);
  const inner = (i: number, of: Type) => (nulls[i] === 0 ? valueAt(kernel, start + i * 8, of) : null);
  if (type.kind === 'struct')
    return Object.fromEntries(type.fields.map((field, i) => [field.name, inner(i, field.type)]));
  if (type.kind === 'map')
    return Object.fromEntries(
      Array.from({ length: count / 2 }, (_, i) => [inner(i, STRING) as string, inner(count / 2 + i, type.of.type)]),
    );
  return Array.from({ length: count }, (_, i) => inner(i, type.of.type));
}

export function joined(lines: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(lines.flatMap(line => [line, NEWLINE])));
}

const NEWLINE = Uint8Array.of(10);

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
