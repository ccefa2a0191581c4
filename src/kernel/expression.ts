import { assert } from '../base/assert.ts';
import type { Expression, FunctionName } from '../plan/expression.ts';
import type { Type, Value } from '../plan/value.ts';
import type { Kernel } from './instance.ts';

/** The kernel's instructions, as assembly/expression.ts numbers them. */
export enum Op {
  COPY,
  ADD_INT,
  SUBTRACT_INT,
  MULTIPLY_INT,
  MODULO_INT,
  NEGATE_INT,
  ADD_DOUBLE,
  SUBTRACT_DOUBLE,
  MULTIPLY_DOUBLE,
  DIVIDE_DOUBLE,
  NEGATE_DOUBLE,
  EQUAL_INT,
  LESS_INT,
  LESS_OR_EQUAL_INT,
  EQUAL_DOUBLE,
  LESS_DOUBLE,
  LESS_OR_EQUAL_DOUBLE,
  EQUAL_STRING,
  LESS_STRING,
  LESS_OR_EQUAL_STRING,
  AND,
  OR,
  NOT,
  IS_NULL,
  COALESCE,
  SELECT,
  INT_TO_DOUBLE,
  DOUBLE_TO_INT,
  CLEAR_STATUS,
  STATUS,
}

interface Instruction {
  op: Op;
  target: number;
  a: number;
  b: number;
  c: number;
}

/** A program over the registers of one frame, on its way into the kernel. Equal expressions share a register. */
export class Lowering {
  private readonly instructions: Instruction[] = [];
  private readonly constants: { register: number; type: Type; value: Value }[] = [];
  private readonly known = new Map<string, number>();
  registerCount: number;

  /**
   * @param firstFree registers below it belong to the caller (inputs, reads)
   * @param leaf the register of a column or a read
   */
  constructor(
    firstFree: number,
    private readonly leaf: (expression: Expression, lowering: Lowering) => number,
  ) {
    this.registerCount = firstFree;
  }

  /** The register that holds an expression once the program has run. */
  lower(expression: Expression): number {
    const identity = identityOf(expression);
    const known = this.known.get(identity);
    if (known !== undefined) return known;
    const register = this.compute(expression);
    this.known.set(identity, register);
    return register;
  }

  emit(op: Op, a: number, b = a, c = a, target = this.registerCount++): number {
    this.instructions.push({ op, target, a, b, c });
    return target;
  }

  /** Fills the frame's constants and makes the program. Null when there is nothing to run. */
  load(kernel: Kernel, frame: number): number | null {
    const { exports } = kernel;
    for (const { register, type, value } of this.constants) {
      const cell = putCell(kernel, type, value);
      exports.fillRegister(frame, register, cell, value === null ? 1 : 0);
      exports.release(cell, 8);
    }
    if (this.instructions.length === 0) return null;
    const program = exports.makeProgram(this.instructions.length);
    for (const [i, { op, target, a, b, c }] of this.instructions.entries())
      exports.setInstruction(program, i, op, target, a, b, c);
    return program;
  }

  private compute(expression: Expression): number {
    switch (expression.kind) {
      case 'literal': {
        const register = this.registerCount++;
        this.constants.push({ register, type: expression.type, value: expression.value });
        return register;
      }
      case 'column':
      case 'read':
        return this.leaf(expression, this);
      case 'call':
        return this.call(expression.fn, expression.args);
      case 'field':
      case 'index':
        assert(false, `${expression.kind} has no kernel yet: the compiler refuses it`);
    }
  }

  private call(fn: FunctionName, args: Expression[]): number {
    const [first, second] = args as [Expression, Expression];
    switch (fn) {
      case 'add':
        return this.arithmetic(Op.ADD_INT, Op.ADD_DOUBLE, first, second);
      case 'subtract':
        return this.arithmetic(Op.SUBTRACT_INT, Op.SUBTRACT_DOUBLE, first, second);
      case 'multiply':
        return this.arithmetic(Op.MULTIPLY_INT, Op.MULTIPLY_DOUBLE, first, second);
      case 'divide':
        return this.emit(Op.DIVIDE_DOUBLE, this.asDouble(first), this.asDouble(second));
      case 'modulo':
        return this.emit(Op.MODULO_INT, this.lower(first), this.lower(second));
      case 'negate':
        return this.emit(first.type.kind === 'double' ? Op.NEGATE_DOUBLE : Op.NEGATE_INT, this.lower(first));
      case 'equal':
        return this.compare([Op.EQUAL_INT, Op.EQUAL_DOUBLE, Op.EQUAL_STRING], first, second);
      case 'notEqual':
        return this.emit(Op.NOT, this.compare([Op.EQUAL_INT, Op.EQUAL_DOUBLE, Op.EQUAL_STRING], first, second));
      case 'less':
        return this.compare([Op.LESS_INT, Op.LESS_DOUBLE, Op.LESS_STRING], first, second);
      case 'lessOrEqual':
        return this.compare(LESS_OR_EQUAL, first, second);
      case 'greater':
        return this.compare([Op.LESS_INT, Op.LESS_DOUBLE, Op.LESS_STRING], second, first);
      case 'greaterOrEqual':
        return this.compare(LESS_OR_EQUAL, second, first);
      case 'and':
        return this.chain(Op.AND, args);
      case 'or':
        return this.chain(Op.OR, args);
      case 'not':
        return this.emit(Op.NOT, this.lower(first));
      case 'isNull':
        return this.emit(Op.IS_NULL, this.lower(first));
      case 'coalesce':
        return this.coalesce(args);
      case 'case':
        return this.choose(args);
      case 'toInt64':
        return first.type.kind === 'double' ? this.emit(Op.DOUBLE_TO_INT, this.lower(first)) : this.lower(first);
      case 'toDouble':
        return this.asDouble(first);
    }
  }

  private arithmetic(ints: Op, doubles: Op, a: Expression, b: Expression): number {
    if (a.type.kind === 'double' || b.type.kind === 'double')
      return this.emit(doubles, this.asDouble(a), this.asDouble(b));
    return this.emit(ints, this.lower(a), this.lower(b));
  }

  private compare([ints, doubles, strings]: [Op, Op, Op], a: Expression, b: Expression): number {
    if (a.type.kind === 'double' || b.type.kind === 'double')
      return this.emit(doubles, this.asDouble(a), this.asDouble(b));
    return this.emit(a.type.kind === 'string' ? strings : ints, this.lower(a), this.lower(b));
  }

  private chain(op: Op, args: Expression[]): number {
    return args.map(arg => this.lower(arg)).reduce((left, right) => this.emit(op, left, right));
  }

  private coalesce(args: Expression[]): number {
    const anyDouble = args.some(arg => arg.type.kind === 'double');
    const registers = args.map(arg => (anyDouble ? this.asDouble(arg) : this.lower(arg)));
    return registers.reduce((left, right) => this.emit(Op.COALESCE, left, right));
  }

  /** From the last condition to the first: each SELECT stands in front of what the later ones chose. */
  private choose(args: Expression[]): number {
    assert(args.length % 2 === 1, 'case has pairs and a default');
    const values = args.filter((_, i) => i % 2 === 1 || i === args.length - 1);
    const anyDouble = values.some(value => value.type.kind === 'double');
    const registerFor = (value: Expression) => (anyDouble ? this.asDouble(value) : this.lower(value));
    let chosen = registerFor(args.at(-1)!);
    for (let i = args.length - 3; i >= 0; i -= 2)
      chosen = this.emit(Op.SELECT, this.lower(args[i]!), registerFor(args[i + 1]!), chosen);
    return chosen;
  }

  private asDouble(expression: Expression): number {
    const register = this.lower(expression);
    return expression.type.kind === 'double' ? register : this.emit(Op.INT_TO_DOUBLE, register);
  }
}

const LESS_OR_EQUAL: [Op, Op, Op] = [Op.LESS_OR_EQUAL_INT, Op.LESS_OR_EQUAL_DOUBLE, Op.LESS_OR_EQUAL_STRING];

/** What an expression computes, without where it stands: equal text, equal value in the same frame. */
export function identityOf(expression: Expression): string {
  return JSON.stringify(expression, (name, value) => {
    if (name === 'at') return undefined;
    if (typeof value === 'bigint') return `${value}n`;
    return typeof value === 'number' && !Number.isInteger(value) ? `${value}d` : value;
  });
}

/** Eight bytes as a column holds a value: see assembly/expression.ts. */
export function putCell(kernel: Kernel, type: Type, value: Value): number {
  const cell = kernel.exports.allocate(8) >>> 0;
  let text: { start: number; length: number } | null = null;
  if (typeof value === 'string') {
    const bytes = new TextEncoder().encode(value);
    text = { start: kernel.put(bytes), length: bytes.length };
  }
  const view = new DataView(kernel.exports.memory.buffer, cell, 8);
  if (text) {
    view.setUint32(0, text.start, true);
    view.setUint32(4, text.length, true);
  } else if (value === null) view.setBigInt64(0, 0n, true);
  else if (typeof value === 'boolean') view.setBigInt64(0, value ? 1n : 0n, true);
  else if (type.kind === 'double') view.setFloat64(0, Number(value), true);
  else {
    assert(typeof value === 'bigint', `a literal of type ${type.kind} is no column value`);
    view.setBigInt64(0, value, true);
  }
  return cell;
}
