import type { Expression } from '../plan/expression.ts';
import type { EventType, Plan } from '../plan/plan.ts';
import type { Kernel } from './instance.ts';
import { registerOf } from './layout.ts';
import type { Layout } from './layout.ts';
import { layPlan } from './load.ts';
import { Decoder } from './ndjson.ts';

/** Tells of records whether a condition is true of them: one for each event type. */
export class Condition {
  readonly #layout: Layout;
  readonly #registers: number[];
  readonly #decoder: Decoder;

  /** @param kernel a fresh instance, for nothing else */
  constructor(kernel: Kernel, events: EventType[], conditions: Map<string, Expression>) {
    const of = events.filter(({ name }) => conditions.has(name));
    this.#layout = layPlan(kernel, planOf(of, conditions), { entities: new Map(), aggregates: new Map() }, SETTINGS);
    this.#registers = this.#layout.types.map(type => registerOf(type, conditions.get(type.event.name)!));
    this.#decoder = new Decoder(kernel, this.#layout.types);
  }

  /** Of each record of a block whether it is true: not of one whose inputs are not as declared, nor of one of another type. */
  holds(block: Uint8Array): Uint8Array {
    const { kernel, types } = this.#layout;
    const { exports } = kernel;
    const parts: Uint8Array[] = [];
    this.#decoder.fill(block);
    while (this.#decoder.parse(0)) {
      for (const [index, { program, frame }] of types.entries())
        if (program !== null) exports.runProgram(program, frame, 0, exports.typeRows(index));
      const { count } = this.#decoder;
      const [recordTypes, rows] = [
        kernel.ints(exports.recordType.value, count),
        kernel.ints(exports.recordRow.value, count),
      ];
      parts.push(
        Uint8Array.from({ length: count }, (_, i) =>
          rows[i]! >= 0 && this.#isTrue(recordTypes[i]!, rows[i]!) ? 1 : 0,
        ),
      );
    }
    return Buffer.concat(parts);
  }

  #isTrue(type: number, row: number): boolean {
    const { kernel, types } = this.#layout;
    const [frame, register] = [types[type]!.frame, this.#registers[type]!];
    if (kernel.bytes(kernel.exports.frameNulls(frame, register) + row, 1)[0] !== 0) return false;
    return kernel.ints(kernel.exports.frameValues(frame, register) + row * 8, 1)[0] !== 0;
  }
}

/** Nobody asks a clock whether an event is late or ahead. */
const SETTINGS = { clock: { kind: 'event', maxJumpMs: 1 }, aheadMaxMs: 1, shards: 1 } as const;

/**
 * What is computed of an event is what something stands on: here a set of no features, keyed by the condition. Computed
 * columns are written out in it.
 */
function planOf(events: EventType[], conditions: Map<string, Expression>): Plan {
  const sets = events.map(({ name }) => ({
    ...{ name, description: '', owner: '', entity: '', event: name, sql: '', at: null },
    keys: [conditions.get(name)!],
  }));
  const bare = events.map(({ features: _, ...event }) => ({ ...event, columns: [], weight: null }));
  return { events: bare, entities: [], aggregates: [], sets, features: [], latenessMs: 0 };
}
