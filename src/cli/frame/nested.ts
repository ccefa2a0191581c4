import { assert } from '../../base/assert.ts';
import { parseExactly } from '../../base/json.ts';
import { parseMicros } from '../../base/time.ts';
import { isColumnar } from '../../kernel/nested.ts';
import type { Type } from '../../plan/value.ts';
import type { FrameType } from './frame.ts';

/** A value of a file: int64 and time (microseconds) as bigint, a struct as an object, a map as its entries. */
export type Cell = bigint | number | boolean | string | Uint8Array | null | Cell[] | Entry | { [field: string]: Cell };

interface Entry {
  key: Cell;
  value: Cell;
}

/** Is it what columns hold as JSON texts: structs, and lists and maps of more than scalars? */
export function isNested(type: FrameType): boolean {
  return type.kind !== 'bytes' && !isColumnar(type);
}

/** What a JSON text of a type stands for. */
export function nestedCell(type: Type, text: string): Cell {
  // Digits of int64 are more than a number holds.
  return cellOf(type, parseExactly(text));
}

function cellOf(type: Type, json: unknown): Cell {
  if (json === null) return null;
  switch (type.kind) {
    case 'int64':
      return BigInt(json as string);
    case 'double':
      return Number(json);
    case 'time':
      return parseMicros(json as string);
    case 'bool':
    case 'string':
      return json as boolean | string;
    case 'list':
      return (json as unknown[]).map(element => cellOf(type.of.type, element));
    case 'struct': {
      const fields = json as Record<string, unknown>;
      return Object.fromEntries(type.fields.map(field => [field.name, cellOf(field.type, fields[field.name])]));
    }
    case 'map':
      assert(type.key.kind === 'string', 'members of an object have texts for names');
      return Object.entries(json as object).map(([key, value]) => ({ key, value: cellOf(type.of.type, value) }));
  }
}
