import { assert } from '../base/assert.ts';
import type { Expression, FunctionName } from '../plan/expression.ts';
import { TIME_PARTS } from '../plan/expression.ts';
import { compileTimeFormat } from '../plan/time_format.ts';
import type { Type, Value } from '../plan/value.ts';
import { INT64 } from '../plan/value.ts';
import { offsetsOf } from '../plan/zone.ts';
import type { Kernel } from './instance.ts';
import { programOf, replacementOf } from './regex.ts';

/** The kernel's instructions, as assembly/op.ts numbers them. */
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
  ABS_INT,
  SIGN_INT,
  ROUND_INT,
  QUOTIENT_INT,
  BIT_AND,
  BIT_OR,
  BIT_XOR,
  BIT_NOT,
  SHIFT_LEFT,
  SHIFT_RIGHT,
  ABS_DOUBLE,
  SIGN_DOUBLE,
  ROUND_DOUBLE,
  ROUND_TO_DOUBLE,
  FLOOR_DOUBLE,
  CEIL_DOUBLE,
  TRUNC_DOUBLE,
  SQRT_DOUBLE,
  GREATEST_INT,
  LEAST_INT,
  GREATEST_DOUBLE,
  LEAST_DOUBLE,
  GREATEST_STRING,
  LEAST_STRING,
  LOWER,
  UPPER,
  LENGTH,
  BYTE_LENGTH,
  CONCAT,
  SUBSTRING,
  LEFT,
  RIGHT,
  TRIM,
  TRIM_START,
  TRIM_END,
  REPLACE,
  STARTS_WITH,
  ENDS_WITH,
  CONTAINS,
  POSITION,
  REVERSE,
  PAD_START,
  PAD_END,
  REPEAT,
  SPLIT_PART,
  LIKE,
  INT_TO_TEXT,
  BOOL_TO_TEXT,
  TIME_TO_TEXT,
  TEXT_TO_INT,
  TEXT_TO_BOOL,
  TEXT_TO_TIME,
  DATE_PART,
  DATE_TRUNC,
  DATE_DIFF,
  ADD_MICROS,
  ADD_MONTHS,
  MICROS_TO_TIME,
  FIELD,
  ELEMENT,
  LIST_LENGTH,
  LIST_COUNT,
  LIST_CONTAINS_INT,
  LIST_CONTAINS_DOUBLE,
  LIST_CONTAINS_STRING,
  LIST_POSITION_INT,
  LIST_POSITION_DOUBLE,
  LIST_POSITION_STRING,
  LIST_MIN_INT,
  LIST_MIN_DOUBLE,
  LIST_MIN_STRING,
  LIST_MAX_INT,
  LIST_MAX_DOUBLE,
  LIST_MAX_STRING,
  LIST_SUM_INT,
  LIST_SUM_DOUBLE,
  LIST_MEAN_INT,
  LIST_MEAN_DOUBLE,
  REGEX_CONTAINS,
  REGEX_EXTRACT,
  REGEX_REPLACE,
  REGEX_REPLACE_ALL,
  BUCKET_INT,
  BUCKET_DOUBLE,
  SKETCH_BUCKET,
  TAKE,
  SERIES,
  MAP_VALUE,
  SIMILARITY,
  IP_BLOCK,
  DOUBLE_TO_TEXT,
  TEXT_TO_DOUBLE,
  IN_ZONE,
  FORMAT_TIME,
  PARSE_TIME,
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
  private readonly blocks: { register: number; bytes: Uint8Array }[] = [];
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
    this.#fill(kernel, frame);
    return this.instructions.length === 0 ? null : loadProgram(kernel, this.instructions);
  }

  /**
   * The same as several programs, of which each computes from what is in registers after those before it, and from what
   * stands in `given` by then. The last one is there, and with it all before it.
   *
   * @param given registers that the caller fills, with the program behind that of which they are there
   */
  loadLayers(kernel: Kernel, frame: number, given: Map<number, number>): (number | null)[] {
    this.#fill(kernel, frame);
    const layers = new Map(given);
    const layerOf = ({ a, b, c }: Instruction) => Math.max(...[a, b, c].map(register => layers.get(register) ?? 0));
    const programs: Instruction[][] = [];
    for (const instruction of this.instructions) {
      const layer = layerOf(instruction);
      layers.set(instruction.target, layer);
      while (programs.length <= layer) programs.push([]);
      programs[layer]!.push(instruction);
    }
    // The first is run though it does nothing: with it a new batch begins.
    return programs.map((of, layer) => (of.length === 0 && layer > 0 ? null : loadProgram(kernel, of)));
  }

  #fill(kernel: Kernel, frame: number): void {
    const { exports } = kernel;
    const fill = (register: number, cell: number, isNull: boolean) => {
      exports.fillRegister(frame, register, cell, isNull ? 1 : 0);
      exports.release(cell, 8);
    };
    for (const { register, type, value } of this.constants)
      fill(register, putCell(kernel, type, value), value === null);
    for (const { register, bytes } of this.blocks)
      fill(register, putWord(kernel, cellAt(kernel.put(bytes), bytes.length)), false);
  }

  private compute(expression: Expression): number {
    switch (expression.kind) {
      case 'literal': {
        const register = this.registerCount++;
        this.constants.push({ register, type: expression.type, value: expression.value });
        return register;
      }
      case 'column':
      case 'now':
      case 'read':
      case 'fault':
        return this.leaf(expression, this);
      case 'call':
        return this.call(expression.fn, expression.args, expression.type);
      case 'field':
        return this.emit(Op.FIELD, this.lower(expression.of), this.integer(fieldIndex(expression.of, expression.name)));
      case 'index': {
        const { of, by } = expression;
        if (of.type.kind === 'list') return this.emit(Op.ELEMENT, this.lower(of), this.lower(by));
        assert(of.type.kind === 'map' && of.type.key.kind === 'string', `a ${of.type.kind} has no elements by text`);
        return this.emit(Op.MAP_VALUE, this.lower(of), this.lower(by));
      }
    }
  }

  private call(fn: FunctionName, args: Expression[], type: Type): number {
    const [first, second] = args as [Expression, Expression];
    assert(fn !== 'list', 'a series is the whole of a feature: its elements have statuses, which expressions have not');
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
        return this.coalesce(args, type);
      case 'case':
        return this.choose(args, type);
      case 'toInt64':
        return this.toInt64(first);
      case 'toDouble':
        return first.type.kind === 'string' ? this.emit(Op.TEXT_TO_DOUBLE, this.lower(first)) : this.asDouble(first);
      case 'absolute':
        return this.emit(first.type.kind === 'double' ? Op.ABS_DOUBLE : Op.ABS_INT, this.lower(first));
      case 'sign':
        return this.emit(first.type.kind === 'double' ? Op.SIGN_DOUBLE : Op.SIGN_INT, this.lower(first));
      case 'roundTo':
        return this.roundTo(first, second);
      case 'greatest':
        return this.extreme([Op.GREATEST_INT, Op.GREATEST_DOUBLE, Op.GREATEST_STRING], args, type);
      case 'least':
        return this.extreme([Op.LEAST_INT, Op.LEAST_DOUBLE, Op.LEAST_STRING], args, type);
      case 'concat':
        return this.chain(Op.CONCAT, args);
      case 'toText': {
        const ops = { bool: Op.BOOL_TO_TEXT, time: Op.TIME_TO_TEXT, double: Op.DOUBLE_TO_TEXT };
        return this.emit(ops[first.type.kind as 'bool'] ?? Op.INT_TO_TEXT, this.lower(first));
      }
      case 'formatTime':
        return this.emit(Op.FORMAT_TIME, this.lower(first), this.block(compileTimeFormat(textOf(second), 'spell')));
      case 'parseTime':
        return this.emit(Op.PARSE_TIME, this.lower(first), this.block(compileTimeFormat(textOf(second), 'read')));
      case 'inZone':
        return this.emit(Op.IN_ZONE, this.lower(first), this.block(zoneBytes(textOf(second))));
      case 'datePart':
      case 'dateTrunc':
      case 'dateDiff':
        return this.emit(PLAIN[fn], this.timePart(first), ...args.slice(1).map(arg => this.lower(arg)));
      case 'listLength':
        return this.emit(Op.LIST_LENGTH, this.lower(first));
      case 'listCount':
        return this.emit(Op.LIST_COUNT, this.lower(first));
      case 'listContains':
      case 'listPosition': {
        const sought = elementOf(first).kind === 'double' ? this.asDouble(second) : this.lower(second);
        return this.emit(listOp(fn, first), this.lower(first), sought);
      }
      case 'listMin':
      case 'listMax':
      case 'listSum':
      case 'listMean':
        return this.emit(listOp(fn, first), this.lower(first));
      case 'bucketIndex': {
        const isDouble = elementOf(second).kind === 'double';
        const register = isDouble ? this.asDouble(first) : this.lower(first);
        return this.emit(isDouble ? Op.BUCKET_DOUBLE : Op.BUCKET_INT, register, this.lower(second));
      }
      case 'sketchBucket':
        return this.emit(Op.SKETCH_BUCKET, this.asDouble(first), this.lower(second));
      case 'regexContains':
      case 'regexMatches': {
        const program = programOf(textOf(second), fn === 'regexMatches');
        return this.emit(Op.REGEX_CONTAINS, this.lower(first), this.block(program));
      }
      case 'regexExtract': {
        const program = programOf(textOf(second));
        return this.emit(Op.REGEX_EXTRACT, this.lower(first), this.block(program), this.lower(args[2]!));
      }
      case 'regexReplace':
      case 'regexReplaceAll': {
        const op = fn === 'regexReplace' ? Op.REGEX_REPLACE : Op.REGEX_REPLACE_ALL;
        const [program, parts] = [programOf(textOf(second)), replacementOf(textOf(args[2]!))];
        return this.emit(op, this.lower(first), this.block(program), this.block(parts));
      }
      default:
        return this.emit(PLAIN[fn], ...(args.map(arg => this.lower(arg)) as [number]));
    }
  }

  private toInt64(of: Expression): number {
    const register = this.lower(of);
    if (of.type.kind === 'double') return this.emit(Op.DOUBLE_TO_INT, register);
    return of.type.kind === 'string' ? this.emit(Op.TEXT_TO_INT, register) : register;
  }

  private roundTo(of: Expression, digits: Expression): number {
    if (of.type.kind === 'double') return this.emit(Op.ROUND_TO_DOUBLE, this.lower(of), this.lower(digits));
    assert(digits.kind === 'literal' && typeof digits.value === 'bigint', 'roundTo has a literal');
    return digits.value >= 0n
      ? this.lower(of)
      : this.emit(Op.ROUND_INT, this.lower(of), this.integer(10n ** -digits.value));
  }

  private extreme([ints, doubles, strings]: [Op, Op, Op], args: Expression[], type: Type): number {
    const op = type.kind === 'double' ? doubles : type.kind === 'string' ? strings : ints;
    const registers = args.map(arg => (type.kind === 'double' ? this.asDouble(arg) : this.lower(arg)));
    return registers.reduce((left, right) => this.emit(op, left, right));
  }

  /** A register with the kernel's number of a part of times. */
  private timePart(part: Expression): number {
    const index = part.kind === 'literal' ? TIME_PARTS.indexOf(part.value as (typeof TIME_PARTS)[number]) : -1;
    assert(index >= 0, 'the part of a time is a literal');
    return this.integer(BigInt(index));
  }

  /** A register that points at bytes. */
  private block(bytes: Uint8Array): number {
    const register = this.registerCount++;
    this.blocks.push({ register, bytes });
    return register;
  }

  private integer(value: bigint): number {
    return this.lower({ kind: 'literal', value, type: INT64, at: null });
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

  private coalesce(args: Expression[], type: Type): number {
    const registers = args.map(arg => (type.kind === 'double' ? this.asDouble(arg) : this.lower(arg)));
    return registers.reduce((left, right) => this.emit(Op.COALESCE, left, right));
  }

  /** From the last condition to the first: each SELECT stands in front of what the later ones chose. */
  private choose(args: Expression[], type: Type): number {
    assert(args.length % 2 === 1, 'case has pairs and a default');
    const registerFor = (value: Expression) => (type.kind === 'double' ? this.asDouble(value) : this.lower(value));
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

function loadProgram({ exports }: Kernel, instructions: Instruction[]): number {
  const program = exports.makeProgram(instructions.length);
  for (const [i, { op, target, a, b, c }] of instructions.entries())
    exports.setInstruction(program, i, op, target, a, b, c);
  return program;
}

/** As assembly/calendar.ts looks a moment up. */
function zoneBytes(zone: string): Uint8Array {
  const words = offsetsOf(zone).flatMap(({ fromMicros, aheadMicros }) => [fromMicros, aheadMicros]);
  return new Uint8Array(BigInt64Array.from(words).buffer);
}

function textOf(literal: Expression): string {
  assert(literal.kind === 'literal' && typeof literal.value === 'string', 'a pattern, a format or a zone is a literal');
  return literal.value;
}

/** The place of a field in a struct's block. */
function fieldIndex({ type }: Expression, name: string): bigint {
  const index = type.kind === 'struct' ? type.fields.findIndex(field => field.name === name) : -1;
  assert(index >= 0, `a ${type.kind} has no field ${name}`);
  return BigInt(index);
}

function elementOf({ type }: Expression): Type {
  assert(type.kind === 'list', `a ${type.kind} has no elements`);
  return type.of.type;
}

/** Instructions of lists, by what their elements are; bools and times are integers. */
const LIST_OPS = {
  listContains: { int64: Op.LIST_CONTAINS_INT, double: Op.LIST_CONTAINS_DOUBLE, string: Op.LIST_CONTAINS_STRING },
  listPosition: { int64: Op.LIST_POSITION_INT, double: Op.LIST_POSITION_DOUBLE, string: Op.LIST_POSITION_STRING },
  listMin: { int64: Op.LIST_MIN_INT, double: Op.LIST_MIN_DOUBLE, string: Op.LIST_MIN_STRING },
  listMax: { int64: Op.LIST_MAX_INT, double: Op.LIST_MAX_DOUBLE, string: Op.LIST_MAX_STRING },
  listSum: { int64: Op.LIST_SUM_INT, double: Op.LIST_SUM_DOUBLE, string: null },
  listMean: { int64: Op.LIST_MEAN_INT, double: Op.LIST_MEAN_DOUBLE, string: null },
};

function listOp(fn: keyof typeof LIST_OPS, list: Expression): Op {
  const { kind } = elementOf(list);
  const op = LIST_OPS[fn][kind === 'double' || kind === 'string' ? kind : 'int64'];
  assert(op !== null, `${fn} takes no list of ${kind}`);
  return op;
}

/** Functions that are one instruction over their arguments as they are. */
const PLAIN = {
  quotient: Op.QUOTIENT_INT,
  bitAnd: Op.BIT_AND,
  bitOr: Op.BIT_OR,
  bitXor: Op.BIT_XOR,
  bitNot: Op.BIT_NOT,
  shiftLeft: Op.SHIFT_LEFT,
  shiftRight: Op.SHIFT_RIGHT,
  round: Op.ROUND_DOUBLE,
  floor: Op.FLOOR_DOUBLE,
  ceil: Op.CEIL_DOUBLE,
  truncate: Op.TRUNC_DOUBLE,
  squareRoot: Op.SQRT_DOUBLE,
  lower: Op.LOWER,
  upper: Op.UPPER,
  length: Op.LENGTH,
  byteLength: Op.BYTE_LENGTH,
  substring: Op.SUBSTRING,
  left: Op.LEFT,
  right: Op.RIGHT,
  trim: Op.TRIM,
  trimStart: Op.TRIM_START,
  trimEnd: Op.TRIM_END,
  replace: Op.REPLACE,
  startsWith: Op.STARTS_WITH,
  endsWith: Op.ENDS_WITH,
  contains: Op.CONTAINS,
  position: Op.POSITION,
  reverse: Op.REVERSE,
  padStart: Op.PAD_START,
  padEnd: Op.PAD_END,
  repeat: Op.REPEAT,
  splitPart: Op.SPLIT_PART,
  like: Op.LIKE,
  toBool: Op.TEXT_TO_BOOL,
  toTime: Op.TEXT_TO_TIME,
  datePart: Op.DATE_PART,
  dateTrunc: Op.DATE_TRUNC,
  dateDiff: Op.DATE_DIFF,
  addMicros: Op.ADD_MICROS,
  addMonths: Op.ADD_MONTHS,
  timeOfMicros: Op.MICROS_TO_TIME,
  similarity: Op.SIMILARITY,
  ipBlock: Op.IP_BLOCK,
} satisfies Partial<Record<FunctionName, Op>>;

const LESS_OR_EQUAL: [Op, Op, Op] = [Op.LESS_OR_EQUAL_INT, Op.LESS_OR_EQUAL_DOUBLE, Op.LESS_OR_EQUAL_STRING];

/** What an expression computes, without where it stands: equal text, equal value in the same frame. */
export function identityOf(expression: Expression): string {
  return JSON.stringify(expression, (name, value) => {
    if (name === 'at') return undefined;
    if (typeof value === 'bigint') return `${value}n`;
    if (Object.is(value, -0)) return '-0d';
    return typeof value === 'number' && !Number.isInteger(value) ? `${value}d` : value;
  });
}

/** Eight bytes as a column holds a value: see assembly/expression.ts. What it points at is the plan's, and stays. */
export function putCell(kernel: Kernel, type: Type, value: Value): number {
  return putWord(kernel, cellOf(kernel, type, value));
}

function putWord(kernel: Kernel, word: bigint): number {
  const cell = kernel.exports.allocate(8) >>> 0;
  new DataView(kernel.exports.memory.buffer).setBigUint64(cell, word, true);
  return cell;
}

function cellOf(kernel: Kernel, type: Type, value: Value): bigint {
  if (value === null) return 0n;
  if (typeof value === 'string') {
    const bytes = new TextEncoder().encode(value);
    return cellAt(kernel.put(bytes), bytes.length);
  }
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'object') return putBlock(kernel, placesOf(type, value));
  if (type.kind === 'double') return new BigUint64Array(Float64Array.of(Number(value)).buffer)[0]!;
  assert(typeof value === 'bigint', `a literal of type ${type.kind} is no column value`);
  return BigInt.asUintN(64, value);
}

function cellAt(address: number, length: number): bigint {
  return BigInt(address >>> 0) | (BigInt(length) << 32n);
}

interface Place {
  type: Type;
  value: Value;
}

/** The elements of a list, the fields of a struct in their order, or the keys of a map and what it has for them. */
function placesOf(type: Type, value: Value[] | { [name: string]: Value }): Place[] {
  if (type.kind === 'list' && Array.isArray(value)) return value.map(of => ({ type: type.of.type, value: of }));
  if (type.kind === 'map' && !Array.isArray(value)) return entriesOf(type, value);
  assert(type.kind === 'struct' && !Array.isArray(value), `a literal of type ${type.kind} is no column value`);
  return type.fields.map(field => ({ type: field.type, value: value[field.name] ?? null }));
}

/** Keys ascend by their bytes. */
function entriesOf(type: Type & { kind: 'map' }, value: { [name: string]: Value }): Place[] {
  const keys = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const values = keys.map(key => ({ type: type.of.type, value: value[key]! }));
  return [...keys.map(key => ({ type: type.key, value: key })), ...values];
}

/** As assembly/nested.ts lays it out. */
function putBlock(kernel: Kernel, places: Place[]): bigint {
  const count = places.length;
  const words = places.map(({ type, value }) => cellOf(kernel, type, value));
  const bytes = new Uint8Array(count * 8 + Math.ceil(count / 8) * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, { value }] of places.entries()) {
    view.setBigUint64(i * 8, words[i]!, true);
    bytes[count * 8 + i] = value === null ? 1 : 0;
  }
  return cellAt(kernel.put(bytes), count);
}
