/**
 * Values and errors of random expressions: what the plan makes of them, in the oracle and in the kernels, is what a few lines make
 * that follow the rules of docs/scowl.md one by one, from the left, and stop where nothing more is needed.
 */
import { expect, test } from 'bun:test';
import { faultLine } from '../../src/base/fault.ts';
import { compileSources } from '../../src/compile/compile.ts';
import type { Value } from '../../src/plan/value.ts';
import { byOracle, byReplay } from '../cases/answers.ts';
import { Random } from '../sim/random.ts';

const SEEDS = Array.from({ length: process.env.TILEFOLD_LONG ? 3000 : 60 }, (_, i) => i + 1);

type Kind = 'int' | 'float' | 'bool';

interface Answer {
  value: Value;
  error: string | null;
}

/** An expression as it is written, and what it is for an event. */
interface Term {
  text: string;
  of(inputs: Inputs): Answer;
}

/** Of the names in an IfError, too: their answers as features. */
type Inputs = Record<string, Answer>;

const NONE: Answer = { value: null, error: null };
const LIMIT = 2n ** 63n;

/** All arguments, and the first error among them; then the operation, where none is null. */
function eager(args: Term[], inputs: Inputs, make: (...values: never[]) => Value, fails: string | null): Answer {
  const answers = args.map(arg => arg.of(inputs));
  const error = answers.find(answer => answer.error !== null)?.error ?? null;
  if (answers.some(({ value }) => value === null)) return { value: null, error };
  const value = make(...(answers.map(answer => answer.value) as never[]));
  return { value, error: error ?? (value === null ? fails : null) };
}

function within(value: bigint): Value {
  return value >= -LIMIT && value < LIMIT ? value : null;
}

class Terms {
  constructor(
    private readonly random: Random,
    private readonly names: Record<Kind, string[]>,
  ) {}

  of(kind: Kind, depth: number): Term {
    if (depth === 0 || this.random.chance(0.2)) return this.leaf(kind);
    const inner = (other: Kind) => this.of(other, depth - 1);
    const choices: (() => Term)[] = [() => this.choice(kind, depth - 1), ...this.plain(kind, inner)];
    return this.random.pick(choices)();
  }

  private leaf(kind: Kind): Term {
    if (this.random.chance(0.75)) {
      const name = this.random.pick(this.names[kind]);
      return { text: name, of: inputs => ({ value: inputs[name]!.value, error: null }) };
    }
    const [text, value] = this.random.pick<[string, Value]>(
      {
        int: [
          ['0', 0n],
          ['3', 3n],
          ['9223372036854775807', LIMIT - 1n],
        ] as [string, Value][],
        float: [
          ['0.0', 0],
          ['2.5', 2.5],
        ] as [string, Value][],
        bool: [
          ['true', true],
          ['false', false],
        ] as [string, Value][],
      }[kind],
    );
    return { text, of: () => ({ value, error: null }) };
  }

  private plain(kind: Kind, inner: (kind: Kind) => Term): (() => Term)[] {
    if (kind === 'int')
      return [
        () => binary('+', inner('int'), inner('int'), (a: bigint, b: bigint) => within(a + b), 'int overflow'),
        () => binary('*', inner('int'), inner('int'), (a: bigint, b: bigint) => within(a * b), 'int overflow'),
        () =>
          binary(
            '%',
            inner('int'),
            inner('int'),
            (a: bigint, b: bigint) => (b === 0n ? null : a % b),
            'division by zero',
          ),
        () => {
          const [text, value] = this.random.pick<[string, Value]>([
            ["'7'", 7n],
            ["'x'", null],
            ['text', null],
          ]);
          if (text !== 'text')
            return { text: `Int(${text})`, of: () => ({ value, error: value === null ? 'expected int' : null }) };
          const of = inner('float');
          return call(
            'Int',
            [of],
            (x: number) => (x >= -(2 ** 63) && x < 2 ** 63 ? BigInt(Math.trunc(x)) : null),
            'expected int',
          );
        },
      ];
    if (kind === 'float')
      return [
        () =>
          binary(
            '/',
            inner('int'),
            inner('float'),
            (a: bigint, b: number) => (b === 0 ? null : Number(a) / b),
            'division by zero',
          ),
        () => binary('-', inner('float'), inner('float'), (a: number, b: number) => a - b, null),
      ];
    return [
      () => binary('<', inner('float'), inner('float'), (a: number, b: number) => a < b, null),
      () => binary('=', inner('int'), inner('int'), (a: bigint, b: bigint) => a === b, null),
      () => joined('and', inner('bool'), inner('bool')),
      () => joined('or', inner('bool'), inner('bool')),
      () => call('Not', [inner('bool')], (a: boolean) => !a, null),
      () => {
        const of = inner('int');
        return {
          text: `((${of.text}) is null)`,
          of: inputs => ({ ...of.of(inputs), value: of.of(inputs).value === null }),
        };
      },
      () => {
        const of = inner('bool');
        const make = ({ value, error }: Answer): Answer =>
          value === true ? { value, error } : { value: null, error: error ?? 'no' };
        return { text: `Assert(${of.text}, 'no')`, of: inputs => make(of.of(inputs)) };
      },
    ];
  }

  /** What does not look at all of its arguments. */
  private choice(kind: Kind, depth: number): Term {
    const [a, b, c] = [this.of(kind, depth), this.of(kind, depth), this.of(kind, depth)] as const;
    const [p, q] = [this.of('bool', depth), this.of('bool', depth)];
    return this.random.pick<() => Term>([
      () => cases(`If(${p.text}, ${a.text}, ${b.text})`, [[p, a]], b),
      () =>
        cases(
          `Case(when ${p.text} then ${a.text} when ${q.text} then ${b.text} default ${c.text})`,
          [
            [p, a],
            [q, b],
          ],
          c,
        ),
      () => firstPresent(`Coalesce(${a.text}, ${b.text}, ${c.text})`, [a, b, c]),
      () => firstPresent(`IfNull(${a.text}, ${b.text})`, [a, b]),
      () => ifError(a, b, this.names[kind].includes(a.text)),
    ])();
  }
}

function binary(symbol: string, a: Term, b: Term, make: (...values: never[]) => Value, fails: string | null): Term {
  return { text: `(${a.text} ${symbol} ${b.text})`, of: inputs => eager([a, b], inputs, make, fails) };
}

function call(name: string, args: Term[], make: (...values: never[]) => Value, fails: string | null): Term {
  return { text: `${name}(${args.map(arg => arg.text).join(', ')})`, of: inputs => eager(args, inputs, make, fails) };
}

function joined(word: 'and' | 'or', a: Term, b: Term): Term {
  const decisive = word === 'or';
  const of = (inputs: Inputs): Answer => {
    const left = a.of(inputs);
    if (left.value === decisive) return left;
    const right = b.of(inputs);
    const value = right.value === decisive ? decisive : left.value === null || right.value === null ? null : !decisive;
    return { value, error: left.error ?? right.error };
  };
  return { text: `(${a.text} ${word} ${b.text})`, of };
}

function cases(text: string, pairs: [Term, Term][], otherwise: Term): Term {
  const of = (inputs: Inputs): Answer => {
    let error: string | null = null;
    for (const [when, then] of pairs) {
      const condition = when.of(inputs);
      error ??= condition.error;
      if (condition.value !== true) continue;
      const chosen = then.of(inputs);
      return { value: chosen.value, error: error ?? chosen.error };
    }
    const last = otherwise.of(inputs);
    return { value: last.value, error: error ?? last.error };
  };
  return { text, of };
}

function firstPresent(text: string, terms: Term[]): Term {
  const of = (inputs: Inputs): Answer => {
    let error: string | null = null;
    for (const term of terms) {
      const answer = term.of(inputs);
      error ??= answer.error;
      if (answer.value !== null) return { value: answer.value, error };
    }
    return { value: null, error };
  };
  return { text, of };
}

/** @param isName it is a feature, with the error it has; no other name in an expression has one here */
function ifError(a: Term, b: Term, isName: boolean): Term {
  const of = (inputs: Inputs): Answer => {
    const tried = isName ? inputs[a.text]! : a.of(inputs);
    return tried.error === null ? { value: tried.value, error: null } : b.of(inputs);
  };
  return { text: `IfError(${a.text}, ${b.text})`, of };
}

const TOPOLOGY = `event e
i := $.i as int?
j := $.j as int?
x := $.x as float?
y := $.y as float?
p := $.p as bool?
q := $.q as bool?
`;

const INPUTS: Record<string, Value[]> = {
  i: [null, 0n, 2n, -LIMIT],
  j: [null, 0n, 5n, LIMIT - 1n],
  x: [null, 0, 1.5, 1e300],
  y: [null, 0, -2],
  p: [null, true, false],
  q: [null, true, false],
};

test.each(SEEDS)('seed %d', async seed => {
  const random = new Random(seed);
  const terms = new Terms(random, { int: ['i', 'j'], float: ['x', 'y'], bool: ['p', 'q'] });
  const features = Array.from({ length: 4 }, (_, n) => ({
    name: `f${n}`,
    term: terms.of(random.pick<Kind>(['int', 'float', 'bool']), 4),
  }));
  const text = TOPOLOGY + features.map(({ name, term }) => `${name} := ${term.text}\n`).join('');
  const { plan, faults } = await compileSources([{ file: 'a.scowl', text }], { latenessMs: 0 });
  expect([faults.map(faultLine), text]).toEqual([[], text]);
  const rows = Array.from({ length: 8 }, () =>
    Object.fromEntries(Object.keys(INPUTS).map(name => [name, random.pick(INPUTS[name]!)])),
  );
  const lines = rows.map(row => {
    const members = Object.entries(row).map(([name, value]) => `"${name}":${value}`);
    return `{"type":"e","time":"2001-01-01T00:00:00Z","data":{${members}}}`;
  });
  const [oracle, replay] = [byOracle(plan, lines.join('\n')), await byReplay(plan, lines.join('\n'))];
  for (const [i, row] of rows.entries()) {
    const inputs = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, { ...NONE, value }]));
    for (const { name, term } of features) {
      const wanted = term.of(inputs);
      for (const answers of [oracle, replay]) {
        const { features: values, errors } = answers[i]!;
        expect([term.text, row, values[name], errors[name] ?? null]).toEqual([
          ...[term.text, row, wanted.value, wanted.error],
        ]);
      }
    }
  }
});
