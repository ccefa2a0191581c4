/** Expressions, lowered and run by the kernel, against the oracle's evaluation of them. */
import { describe, expect, test } from 'bun:test';
import { Lowering } from '../../src/kernel/expression.ts';
import { type Kernel, loadKernel } from '../../src/kernel/instance.ts';
import type { Expression, FunctionName } from '../../src/plan/expression.ts';
import { BOOL, DOUBLE, INT64, STRING, TIME, type Type, type Value } from '../../src/plan/value.ts';
import { call, column, literal } from '../oracle/fixtures/spell.ts';
import { evaluate } from '../oracle/terms.ts';
import { Random } from '../sim/random.ts';
import { cellAt } from './columns.ts';
import { integer } from './rows.ts';

type Row = { [column: string]: Value };

const COLUMNS: [string, Type][] = [
  ['i', INT64],
  ['j', INT64],
  ['x', DOUBLE],
  ['y', DOUBLE],
  ['s', STRING],
  ['u', STRING],
  ['b', BOOL],
  ['c', BOOL],
  ['t', TIME],
];

const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;
const INTS = [0n, 1n, -1n, 2n, -2n, 7n, LEAST, LEAST + 1n, MOST, MOST - 1n, 2n ** 31n, -(2n ** 32n), 2n ** 53n + 1n];
const DOUBLES = [0, -0, 0.5, 1.5, 2.5, -0.5, -1.5, 1e308, -1e308, 5e-324, 2 ** 53, 2 ** 63, -(2 ** 63), 2 ** 63 - 1024];
const ODD_DOUBLES = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  2 ** 51 + 0.5,
  0.49999999999999994,
];
/** Surrogate pairs sort below U+E000 by UTF-16, and above it by UTF-8. */
const STRINGS = [
  '',
  'a',
  'b',
  'ab',
  'a\0',
  'é',
  'z',
  '\ue000',
  '\uffff',
  '\u{10000}',
  '\u{1f600}',
  'a\u{10ffff}',
  'a\uffff',
];

/** Runs expressions over rows in one frame, from cut to cut: values by expression, then by row. */
function run(kernel: Kernel, expressions: Expression[], rows: Row[], cuts: number[] = []): Value[][] {
  const { exports } = kernel;
  const leaf = (expression: Expression) =>
    COLUMNS.findIndex(([name]) => expression.kind === 'column' && expression.name === name);
  const lowering = new Lowering(COLUMNS.length, leaf);
  const registers = expressions.map(expression => lowering.lower(expression));
  const frame = exports.answerFrame(exports.addAnswer(1, lowering.registerCount, 0, 0)) >>> 0;
  const program = lowering.load(kernel, frame);
  for (const [register, [name, type]] of COLUMNS.entries())
    for (const [i, row] of rows.entries()) setCell(kernel, frame, register, i, type, row[name]!);
  if (program !== null)
    for (const [i, from] of [0, ...cuts].entries()) exports.runProgram(program, frame, from, cuts[i] ?? rows.length);
  return expressions.map((expression, i) =>
    rows.map((_, at) => cellAt(kernel, frame, registers[i]!, expression.type, at)),
  );
}

function setCell(kernel: Kernel, frame: number, register: number, row: number, type: Type, value: Value): void {
  const { exports } = kernel;
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : null;
  const start = bytes && kernel.put(bytes);
  const view = new DataView(exports.memory.buffer, (exports.frameValues(frame, register) >>> 0) + row * 8, 8);
  // What lies under a null must not show.
  if (value === null) view.setBigUint64(0, type.kind === 'string' ? 0n : 0x7ff8_dead_beef_0001n, true);
  else if (bytes) {
    view.setUint32(0, start!, true);
    view.setUint32(4, bytes.length, true);
  } else if (type.kind === 'double') view.setFloat64(0, value as number, true);
  else view.setBigInt64(0, BigInt(value as bigint | boolean), true);
  kernel.bytes(exports.frameNulls(frame, register) + row, 1)[0] = value === null ? 1 : 0;
}

function compare(kernel: Kernel, expressions: Expression[], rows: Row[]): void {
  const found = run(kernel, expressions, rows);
  for (const [i, expression] of expressions.entries())
    for (const [at, row] of rows.entries()) {
      const wanted = evaluate(expression, { column: name => row[name]!, read: () => null });
      const got = found[i]![at]!;
      if (!Object.is(got, wanted))
        throw new Error(`${spell(expression)} of ${say(row)}: ${say(got)}, not ${say(wanted)}`);
    }
}

function spell(expression: Expression): string {
  if (expression.kind === 'literal') return say(expression.value);
  if (expression.kind === 'column') return expression.name;
  if (expression.kind === 'call') return `${expression.fn}(${expression.args.map(spell).join(', ')})`;
  throw new Error(expression.kind);
}

function say(value: unknown): string {
  return JSON.stringify(value, (_, of) => {
    if (typeof of === 'bigint') return `${of}n`;
    return typeof of === 'number' && (!Number.isFinite(of) || Object.is(of, -0))
      ? Object.is(of, -0)
        ? '-0'
        : `${of}`
      : of;
  });
}

function randomValue(type: Type, rng: Random): Value {
  if (rng.chance(0.2)) return null;
  switch (type.kind) {
    case 'bool':
      return rng.chance(0.5);
    case 'double':
      return rng.chance(0.7)
        ? rng.pick(DOUBLES)
        : rng.chance(0.5)
          ? rng.pick(ODD_DOUBLES)
          : (rng.next() - 0.5) * 2 ** rng.below(70);
    case 'string':
      return rng.pick(STRINGS);
    default:
      return rng.chance(0.6) ? rng.pick(INTS) : integer(rng);
  }
}

/** Typed as a front end would type it. */
class Maker {
  constructor(private readonly rng: Random) {}

  of(type: Type, depth: number): Expression {
    const { rng } = this;
    if (depth === 0 || rng.chance(0.15)) return this.#leaf(type);
    if (rng.chance(0.1)) return call('coalesce', type, ...this.#list(type, depth, 2 + rng.below(2)));
    if (rng.chance(0.15)) return this.#case(type, depth);
    switch (type.kind) {
      case 'int64':
        return this.#int(depth);
      case 'double':
        return this.#double(depth);
      case 'bool':
        return this.#bool(depth);
      default:
        return this.#leaf(type);
    }
  }

  #leaf(type: Type): Expression {
    const { rng } = this;
    if (rng.chance(0.3)) return { ...literal(randomValue(type, rng)), type };
    return column(rng.pick(COLUMNS.filter(([, of]) => of.kind === type.kind))[0], type);
  }

  #list(type: Type, depth: number, count: number): Expression[] {
    return Array.from({ length: count }, () => this.of(this.#near(type), depth - 1));
  }

  /** An int64 may stand where a double does. */
  #near(type: Type): Type {
    return type.kind === 'double' && this.rng.chance(0.3) ? INT64 : type;
  }

  #case(type: Type, depth: number): Expression {
    const pairs = Array.from({ length: 1 + this.rng.below(3) }, () => [
      this.of(BOOL, depth - 1),
      this.of(this.#near(type), depth - 1),
    ]).flat();
    return call('case', type, ...pairs, this.of(this.#near(type), depth - 1));
  }

  #int(depth: number): Expression {
    const fn = this.rng.pick(['add', 'subtract', 'multiply', 'modulo', 'negate', 'toInt64'] as const);
    if (fn === 'negate') return call(fn, INT64, this.of(INT64, depth - 1));
    if (fn === 'toInt64') return call(fn, INT64, this.of(this.rng.pick([BOOL, DOUBLE, INT64, TIME]), depth - 1));
    return call(fn, INT64, ...[0, 1].map(() => this.of(INT64, depth - 1)));
  }

  #double(depth: number): Expression {
    const fn = this.rng.pick(['add', 'subtract', 'multiply', 'divide', 'negate', 'toDouble'] as const);
    if (fn === 'toDouble') return call(fn, DOUBLE, this.of(this.rng.pick([BOOL, INT64]), depth - 1));
    if (fn === 'negate') return call(fn, DOUBLE, this.of(DOUBLE, depth - 1));
    if (fn === 'divide')
      return call(fn, DOUBLE, ...[0, 1].map(() => this.of(this.rng.pick([INT64, DOUBLE]), depth - 1)));
    const mixed = this.rng.pick([
      [DOUBLE, DOUBLE],
      [INT64, DOUBLE],
      [DOUBLE, INT64],
    ]);
    return call(fn, DOUBLE, ...mixed.map(type => this.of(type, depth - 1)));
  }

  #bool(depth: number): Expression {
    const { rng } = this;
    const logic = rng.pick(['and', 'or', 'not', 'isNull', null, null] as const);
    if (logic === 'isNull') return call(logic, BOOL, this.of(rng.pick(COLUMNS)[1], depth - 1));
    if (logic === 'not') return call(logic, BOOL, this.of(BOOL, depth - 1));
    if (logic) return call(logic, BOOL, ...Array.from({ length: 2 + rng.below(2) }, () => this.of(BOOL, depth - 1)));
    const type = rng.pick([INT64, DOUBLE, STRING, BOOL, TIME]);
    return call(rng.pick(COMPARISONS), BOOL, ...[0, 1].map(() => this.of(this.#near(type), depth - 1)));
  }
}

const COMPARISONS = ['equal', 'notEqual', 'less', 'lessOrEqual', 'greater', 'greaterOrEqual'] as const;

test.each([1, 2, 3, 4, 5, 6])('random expressions are what the oracle makes of them, seed %p', async seed => {
  const rng = new Random(seed);
  const maker = new Maker(rng);
  const expressions = Array.from({ length: 120 }, () =>
    maker.of(rng.pick([INT64, DOUBLE, BOOL, STRING, TIME]), 1 + rng.below(5)),
  );
  const rows = Array.from({ length: 100 }, () =>
    Object.fromEntries(COLUMNS.map(([name, type]) => [name, randomValue(type, rng)])),
  );
  compare(await loadKernel(), expressions, rows);
});

test('rows are computed alike, many at once or cut anywhere', async () => {
  const rng = new Random(7);
  const kernel = await loadKernel();
  const maker = new Maker(rng);
  const expressions = Array.from({ length: 60 }, () => maker.of(rng.pick([INT64, DOUBLE, BOOL]), 1 + rng.below(3)));
  const rows = Array.from({ length: 200 }, () =>
    Object.fromEntries(COLUMNS.map(([name, type]) => [name, randomValue(type, rng)])),
  );
  const whole = run(kernel, expressions, rows);
  const ones = Array.from({ length: rows.length - 1 }, (_, i) => i + 1);
  for (const cuts of [ones, [15, 16, 17, 49, 65, 66, 130], [1, 199], [16, 32, 48]])
    expect(run(kernel, expressions, rows, cuts)).toEqual(whole);
});

/** One value for each pair of arguments. */
async function table(fn: FunctionName, of: Type, type: Type, pairs: [Value, Value][]): Promise<Value[]> {
  const [a, b] = COLUMNS.filter(([, t]) => t.kind === of.kind).map(([name]) => name) as [string, string];
  const nothing = Object.fromEntries(COLUMNS.map(([name]) => [name, null]));
  const rows = pairs.map(([x, y]) => ({ ...nothing, [a]: x, [b ?? a]: y }));
  const args =
    fn === 'not' || fn === 'negate' || fn === 'toInt64' || fn === 'isNull'
      ? [column(a, of)]
      : [column(a, of), column(b, of)];
  return run(await loadKernel(), [call(fn, type, ...args)], rows)[0]!;
}

describe('written out', () => {
  const three = [true, false, null];
  const pairs = three.flatMap(a => three.map(b => [a, b] as [Value, Value]));

  test('three-valued logic', async () => {
    expect(await table('and', BOOL, BOOL, pairs)).toEqual([true, false, null, false, false, false, null, false, null]);
    expect(await table('or', BOOL, BOOL, pairs)).toEqual([true, true, true, true, false, null, true, null, null]);
    expect(
      await table(
        'not',
        BOOL,
        BOOL,
        three.map(a => [a, null]),
      ),
    ).toEqual([false, true, null]);
    expect(
      await table(
        'isNull',
        BOOL,
        BOOL,
        three.map(a => [a, null]),
      ),
    ).toEqual([false, false, true]);
    expect(await table('equal', BOOL, BOOL, pairs)).toEqual([true, false, null, false, true, null, null, null, null]);
  });

  test('int64 beyond its limits is null', async () => {
    const limits: [Value, Value][] = [
      [MOST, 1n],
      [LEAST, -1n],
      [LEAST, 1n],
      [MOST, -1n],
      [MOST, MOST],
      [LEAST, LEAST],
    ];
    expect(await table('add', INT64, INT64, limits)).toEqual([null, null, LEAST + 1n, MOST - 1n, null, null]);
    expect(await table('subtract', INT64, INT64, limits)).toEqual([MOST - 1n, LEAST + 1n, null, null, 0n, 0n]);
    expect(await table('multiply', INT64, INT64, limits)).toEqual([MOST, null, LEAST, -MOST, null, null]);
    const factors: [Value, Value][] = [
      [2n ** 32n, 2n ** 31n],
      [2n ** 32n, -(2n ** 31n)],
      [3037000500n, 3037000500n],
      [-1n, LEAST],
      [0n, LEAST],
    ];
    expect(await table('multiply', INT64, INT64, factors)).toEqual([null, LEAST, null, null, 0n]);
    expect(
      await table('negate', INT64, INT64, [
        [LEAST, null],
        [MOST, null],
        [0n, null],
      ]),
    ).toEqual([null, -MOST, 0n]);
    const dividends: [Value, Value][] = [
      [7n, 3n],
      [-7n, 3n],
      [7n, -3n],
      [-7n, -3n],
      [7n, 0n],
      [LEAST, -1n],
      [null, 0n],
    ];
    expect(await table('modulo', INT64, INT64, dividends)).toEqual([1n, -1n, 1n, -1n, null, 0n, null]);
  });

  test('division is double, and null by zero', async () => {
    const ints: [Value, Value][] = [
      [7n, 2n],
      [1n, 3n],
      [0n, 0n],
      [1n, 0n],
      [MOST, MOST],
      [0n, -5n],
    ];
    expect(await table('divide', INT64, DOUBLE, ints)).toEqual([3.5, 1 / 3, null, null, 1, -0]);
    const doubles: [Value, Value][] = [
      [1, 0],
      [1, -0],
      [0, 0],
      [1e308, 1e-308],
      [-0, 5],
      [Number.NaN, 1],
    ];
    expect(await table('divide', DOUBLE, DOUBLE, doubles)).toEqual([
      null,
      null,
      null,
      Number.POSITIVE_INFINITY,
      -0,
      Number.NaN,
    ]);
  });

  test('to int64: ties to even, null out of range', async () => {
    const cases: [number, bigint | null][] = [
      [0.5, 0n],
      [1.5, 2n],
      [2.5, 2n],
      [-0.5, 0n],
      [-1.5, -2n],
      [-2.5, -2n],
      [0.49999999999999994, 0n],
      [2 ** 51 + 0.5, 2n ** 51n],
      [2 ** 51 + 1.5, 2n ** 51n + 2n],
      [2 ** 63, null],
      [-(2 ** 63), LEAST],
      [2 ** 63 - 1024, 2n ** 63n - 1024n],
      [-(2 ** 63) - 2048, null],
      [Number.NaN, null],
      [Number.POSITIVE_INFINITY, null],
    ];
    expect(
      await table(
        'toInt64',
        DOUBLE,
        INT64,
        cases.map(([from]) => [from, null]),
      ),
    ).toEqual(cases.map(([, to]) => to));
  });

  test('strings are in the order of their UTF-8 bytes, not of their UTF-16 units', async () => {
    const all = STRINGS.flatMap(a => STRINGS.map(b => [a, b] as [string, string]));
    const order = all.map(([a, b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await table('less', STRING, BOOL, all)).toEqual(order.map(one => one < 0));
    expect(await table('lessOrEqual', STRING, BOOL, all)).toEqual(order.map(one => one <= 0));
    expect(await table('greater', STRING, BOOL, all)).toEqual(order.map(one => one > 0));
    expect(await table('greaterOrEqual', STRING, BOOL, all)).toEqual(order.map(one => one >= 0));
    expect(await table('equal', STRING, BOOL, all)).toEqual(order.map(one => one === 0));
    expect(await table('less', STRING, BOOL, [['\uffff', '\u{10000}']])).toEqual([true]);
    expect('\uffff' < '\u{10000}').toBe(false);
  });

  test('CASE takes the first condition that is true, and COALESCE the first value', async () => {
    const kernel = await loadKernel();
    const [b, c, i, j, x] = [
      column('b', BOOL),
      column('c', BOOL),
      column('i', INT64),
      column('j', INT64),
      column('x', DOUBLE),
    ];
    const expressions = [
      call('case', INT64, b, i, c, j, literal(-1n)),
      call('case', DOUBLE, b, i, c, x, { ...literal(null), type: INT64 }),
      call('coalesce', INT64, i, j, literal(9n)),
      call('coalesce', DOUBLE, i, x),
      call('case', STRING, b, column('s', STRING), literal('größe')),
      column('s', STRING),
    ];
    const rows = three.flatMap(p =>
      three.flatMap(q => [5n, null].map(n => ({ b: p, c: q, i: n, j: 7n, x: 0.5, s: 'a', u: null, y: null, t: null }))),
    );
    const [chosen, mixed, first, firstMixed] = run(kernel, expressions, rows);
    expect(chosen!.slice(0, 2)).toEqual([5n, null]);
    expect(mixed![0]).toBe(5);
    expect(first!.slice(0, 2)).toEqual([5n, 7n]);
    expect(firstMixed!.slice(0, 2)).toEqual([5, 0.5]);
    compare(kernel, expressions, rows);
  });

  test('literals that differ stay apart: 0 and -0, 1 and 1.0, numbers and their text', async () => {
    const kernel = await loadKernel();
    const expressions = [
      literal(0),
      literal(-0),
      literal(1n),
      { ...literal(1n), type: DOUBLE },
      literal('1n'),
      literal('1'),
      literal(''),
      { ...literal(null), type: STRING },
    ];
    const rows = [Object.fromEntries(COLUMNS.map(([name]) => [name, null]))];
    expect(run(kernel, expressions, rows).map(([only]) => only)).toEqual([0, -0, 1n, 1, '1n', '1', '', null]);
  });

  test('a program runs over the rows that it is told, and over no others', async () => {
    const kernel = await loadKernel();
    const { exports } = kernel;
    const lowering = new Lowering(1, () => 0);
    const register = lowering.lower(call('add', INT64, column('i', INT64), literal(1n)));
    const frame = exports.answerFrame(exports.addAnswer(1, lowering.registerCount, 0, 0)) >>> 0;
    const program = lowering.load(kernel, frame)!;
    const rows = exports.ANSWER_ROWS.value;
    kernel.longs(exports.frameValues(frame, register), rows).fill(-5n);
    exports.runProgram(program, frame, 10, 20);
    const after = [...kernel.longs(exports.frameValues(frame, register), rows)];
    expect(after).toEqual(Array.from({ length: rows }, (_, i) => (i >= 10 && i < 20 ? 1n : -5n)));
    expect(() => exports.runProgram(program, frame, 0, rows + 1)).toThrow('kernel');
  });
});
