import { assert } from '../base/assert.ts';
import type { Changelog, EventType } from '../plan/plan.ts';
import type { Field, Slot } from '../plan/value.ts';
import { putCell } from './expression.ts';
import { setLeniency } from './fault.ts';
import type { Kernel } from './instance.ts';
import { keyKindOf } from './key.ts';

/** What the kernel can read into a column (Kind in assembly/event_type.ts). */
const KINDS = { bool: 0, int64: 1, string: 2, time: 3, double: 4, list: 5, struct: 6, map: 7 };

const PRESENCES = { required: 0, optional: 1, default: 2 };

export function isReadable({ type }: Slot): boolean {
  if (type.kind === 'list') return isReadable(type.of);
  if (type.kind === 'map') return type.key.kind === 'string' && isReadable(type.of);
  return type.kind !== 'struct' || type.fields.every(isReadable);
}

/** The event's time is the register right after its inputs; behind it comes what is wrong with them (fault.ts). */
export function addType(kernel: Kernel, event: EventType, inputs: Field[], registerCount: number): number {
  const { exports } = kernel;
  const name = new TextEncoder().encode(event.name);
  const type = exports.addType(kernel.put(name), name.length, inputs.length, registerCount);
  setFields(kernel, exports.typeShape(type) >>> 0, inputs);
  setLeniency(kernel, type, event);
  return type;
}

/** Its decoding then fills a register behind the time: each row's weight. */
export function setChangelog(kernel: Kernel, type: number, changelog: Changelog, inputs: Field[]): void {
  const indexOf = (name: string | null) => {
    if (name === null) return -1;
    const index = inputs.findIndex(input => input.name === name);
    assert(index >= 0, `a changelog reads ${name}, which is no input`);
    return index;
  };
  const { exports } = kernel;
  const time = indexOf(changelog.time);
  if (changelog.kind !== 'upsert') {
    exports.setChangelog(type, indexOf(changelog.kind === 'ops' ? changelog.op : null), time);
    return;
  }
  const { key, form, says } = changelog;
  exports.setUpsert(type, FORMS[form], indexOf(says), time, key.length);
  for (const [i, name] of key.entries()) {
    const input = indexOf(name);
    exports.setUpsertKey(type, i, input, keyKindOf(inputs[input]!.type));
  }
}

/** How upserts say what is gone (Form in assembly/event_type.ts). */
const FORMS = { rows: 0, ops: 1, flag: 2, debezium: 3 };

function setFields(kernel: Kernel, shape: number, fields: Field[]): void {
  const { exports } = kernel;
  for (const [i, field] of fields.entries()) {
    let node = exports.rootNode(shape);
    for (const step of field.path) {
      const text = new TextEncoder().encode(step);
      node = exports.stepNode(node, kernel.put(text), text.length);
    }
    setPlace(kernel, shape, i, field, node);
    const name = new TextEncoder().encode(field.path.join('.'));
    exports.nameInput(shape, i, kernel.put(name), name.length);
  }
}

/** Describes a place to the kernel, with all that is in it. */
function setPlace(kernel: Kernel, shape: number, index: number, { type, presence }: Slot, node: number): void {
  const { exports } = kernel;
  const cell = putCell(kernel, type, presence.kind === 'default' ? presence.value : null);
  exports.setInput(shape, index, KINDS[type.kind], PRESENCES[presence.kind], cell, node);
  exports.release(cell, 8);
  if (type.kind === 'list' || type.kind === 'map')
    setPlace(kernel, exports.nestShape(shape, index, 1) >>> 0, 0, type.of, 0);
  if (type.kind === 'struct') setFields(kernel, exports.nestShape(shape, index, type.fields.length) >>> 0, type.fields);
}
