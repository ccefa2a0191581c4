import { unreachable } from '../base/assert.ts';
import type { Type } from '../plan/value.ts';
import type { Kernel } from './instance.ts';
import type { Layout } from './layout.ts';

const ENCODER = new TextEncoder();

/** Tells the kernel how it spells what events of a type are answered with. */
export function layAnswered({ kernel, types }: Layout, type: number): void {
  for (const { column, type: of, register, error } of types[type]!.features) {
    const head = headOf(column);
    kernel.exports.addAnswered(type, shapeOf(kernel, of), register, error ?? -1, kernel.put(head), head.length);
  }
}

/** `"name":`, as it stands before a value. */
function headOf(name: string): Uint8Array {
  return ENCODER.encode(`${JSON.stringify(name)}:`);
}

function shapeOf(kernel: Kernel, type: Type): number {
  const { exports } = kernel;
  switch (type.kind) {
    case 'bool':
      return exports.makeShape(exports.SHAPE_BOOL.value, 0);
    case 'int64':
      return exports.makeShape(exports.SHAPE_INT.value, 0);
    case 'double':
      return exports.makeShape(exports.SHAPE_DOUBLE.value, 0);
    case 'time':
      return exports.makeShape(exports.SHAPE_TIME.value, 0);
    case 'string':
      return exports.makeShape(exports.SHAPE_TEXT.value, 0);
    case 'list':
      return withParts(kernel, exports.SHAPE_LIST.value, [{ name: null, type: type.of.type }]);
    case 'struct':
      return withParts(kernel, exports.SHAPE_STRUCT.value, type.fields);
    case 'map': {
      const [key, value] = [type.key, type.of.type];
      return withParts(kernel, exports.SHAPE_MAP.value, [
        { name: null, type: key },
        { name: null, type: value },
      ]);
    }
    default:
      unreachable(type);
  }
}

function withParts(kernel: Kernel, kind: number, parts: { name: string | null; type: Type }[]): number {
  const { exports } = kernel;
  const shape = exports.makeShape(kind, parts.length);
  for (const [i, { name, type }] of parts.entries()) {
    const head = name === null ? new Uint8Array(0) : headOf(name);
    exports.setShapePart(shape, i, shapeOf(kernel, type), kernel.put(head), head.length);
  }
  return shape;
}

/** Pieces of JSON, one behind the other (assembly/answered.ts), and where each ends. */
export interface Spelt {
  bytes: Uint8Array<ArrayBuffer>;
  ends: Uint32Array;
}

/** What records [from, to) of the batch are answered with; they have been sequenced, and their texts stand. */
export function spellAnswered(kernel: Kernel, from: number, to: number): Spelt {
  const { exports, bytes, ints } = kernel;
  exports.spellAnswered(from, to);
  return {
    bytes: bytes(exports.answeredStart(), exports.answeredLength()).slice(),
    ends: new Uint32Array(ints(exports.answeredEnds(), to - from)),
  };
}
