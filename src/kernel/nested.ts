import { formatMicros } from '../base/time.ts';
import { isScalar, type Type } from '../plan/value.ts';
import type { Kernel } from './instance.ts';

/** A text may well begin with what looks like a byte order mark. */
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });

/** Do columns hold its values as such? Those of others are held as JSON texts: they are answers of events, and whole. */
export function isColumnar(type: Type): boolean {
  if (type.kind === 'list') return isScalar(type.of.type);
  if (type.kind === 'map') return isScalar(type.key) && type.of.type.kind === 'int64';
  return isScalar(type);
}

/** A value of a register, spelt as replies spell values: `cell` is where its 8 bytes stand. */
export function nestedText(kernel: Kernel, type: Type, cell: number): string {
  switch (type.kind) {
    case 'int64':
      return String(kernel.longs(cell, 1)[0]!);
    case 'time':
      return `"${formatMicros(kernel.longs(cell, 1)[0]!)}"`;
    case 'bool':
      return kernel.longs(cell, 1)[0] === 0n ? 'false' : 'true';
    case 'double': {
      const value = kernel.doubles(cell, 1)[0]!;
      if (!Number.isFinite(value)) return 'null';
      return Object.is(value, -0) ? '-0' : String(value);
    }
    case 'string': {
      const [start, length] = kernel.ints(cell, 2);
      return JSON.stringify(DECODER.decode(kernel.bytes(start!, length!)));
    }
    case 'list':
      return `[${placesOf(kernel, cell, () => type.of.type).join(',')}]`;
    case 'struct': {
      const { fields } = type;
      const values = placesOf(kernel, cell, i => fields[i]!.type);
      return `{${values.map((value, i) => `${JSON.stringify(fields[i]!.name)}:${value}`).join(',')}}`;
    }
    case 'map': {
      const count = kernel.ints(cell, 2)[1]! / 2;
      const all = placesOf(kernel, cell, i => (i < count ? type.key : type.of.type));
      const keys = all.slice(0, count).map(key => (key.startsWith('"') ? key : JSON.stringify(key)));
      return `{${keys.map((key, i) => `${key}:${all[count + i]}`).join(',')}}`;
    }
  }
}

/** Elements or fields in a block: assembly/nested.ts says how they lie. */
function placesOf(kernel: Kernel, cell: number, typeOf: (index: number) => Type): string[] {
  const [block, count] = kernel.ints(cell, 2) as unknown as [number, number];
  const start = block >>> 0;
  const nulls = kernel.bytes(start + count * 8, count);
  return Array.from(nulls, (isNull, i) => (isNull ? 'null' : nestedText(kernel, typeOf(i), start + i * 8)));
}
