/** SQL and expressions over rows of values, computed by the kernel. */
import { bind, fieldOf } from '../../src/compile/bind.ts';
import type { Dialect } from '../../src/compile/dialect.ts';
import { readExpression } from '../../src/compile/sql/read.ts';
import { type Fault, Faults } from '../../src/base/fault.ts';
import { Lowering, putCell } from '../../src/kernel/expression.ts';
import type { Kernel } from '../../src/kernel/instance.ts';
import type { Expression } from '../../src/plan/expression.ts';
import { isScalar, type Type, type Value } from '../../src/plan/value.ts';
import { cellAt } from './columns.ts';

export type Columns = { [name: string]: Type };
export type Row = { [column: string]: Value };

/** @throws Faults where the compiler refuses it */
export async function compile(sql: string, columns: Columns = {}, dialect: Dialect | null = null): Promise<Expression> {
  const faults: Fault[] = [];
  const at = (start: number, end: number) => ({
    file: 'sql',
    line: 1,
    column: start + 1,
    length: Math.max(1, end - start),
  });
  const node = await readExpression({ text: sql, at }, faults, dialect);
  const expression =
    node &&
    bind(node, {
      faults,
      name: ({ table, name, at }) => {
        const column = table?.name ?? name;
        const found: Expression = { kind: 'column', name: column, type: columns[column]!, at };
        return table ? fieldOf(found, { name, at }, column, at, faults) : found;
      },
      aggregate: () => null,
    });
  if (!expression || faults.length > 0) throw new Faults(faults);
  return expression;
}

/** Values by expression, then by row; in as many batches as it takes. */
export function evaluateAll(kernel: Kernel, expressions: Expression[], columns: Columns, rows: Row[]): Value[][] {
  const { exports } = kernel;
  const names = Object.keys(columns);
  const lowering = new Lowering(names.length, expression => {
    return names.findIndex(name => expression.kind === 'column' && expression.name === name);
  });
  const registers = expressions.map(expression => lowering.lower(expression));
  const frame = exports.answerFrame(exports.addAnswer(1, lowering.registerCount, 0, 0)) >>> 0;
  const program = lowering.load(kernel, frame);
  const found: Value[][] = expressions.map(() => []);
  const size = exports.ANSWER_ROWS.value;
  for (let from = 0; from < rows.length; from += size) {
    const batch = rows.slice(from, from + size);
    const texts: [number, number][] = [];
    for (const [register, name] of names.entries())
      for (const [i, row] of batch.entries())
        texts.push(...setCell(kernel, frame, register, i, columns[name]!, row[name]!));
    if (program !== null) exports.runProgram(program, frame, 0, batch.length);
    for (const [i, expression] of expressions.entries())
      for (const at of batch.keys()) found[i]!.push(cellAt(kernel, frame, registers[i]!, expression.type, at));
    for (const [block, length] of texts) exports.release(block, length);
  }
  return found;
}

/** @returns the block that a text takes */
export function setCell(
  kernel: Kernel,
  frame: number,
  register: number,
  row: number,
  type: Type,
  value: Value,
): [number, number][] {
  const { exports } = kernel;
  if (value !== null && !isScalar(type)) {
    // Its blocks are the kernel's for good: tests have few of them.
    const cell = putCell(kernel, type, value);
    const word = kernel.longs(cell, 1)[0]!;
    kernel.longs(exports.frameValues(frame, register) + row * 8, 1)[0] = word;
    kernel.bytes(exports.frameNulls(frame, register) + row, 1)[0] = 0;
    return [[cell, 8]];
  }
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : null;
  const start = bytes && kernel.put(bytes);
  const view = new DataView(exports.memory.buffer, (exports.frameValues(frame, register) >>> 0) + row * 8, 8);
  // What lies under a null must not show.
  if (value === null) view.setBigUint64(0, type.kind === 'string' ? 0n : 0x8000_0000_0000_0000n, true);
  else if (bytes) {
    view.setUint32(0, start!, true);
    view.setUint32(4, bytes.length, true);
  } else if (type.kind === 'double') view.setFloat64(0, value as number, true);
  else view.setBigInt64(0, BigInt(value as bigint | boolean), true);
  kernel.bytes(exports.frameNulls(frame, register) + row, 1)[0] = value === null ? 1 : 0;
  return bytes ? [[start!, bytes.length]] : [];
}
