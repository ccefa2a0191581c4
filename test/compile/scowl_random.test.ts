/** Random topologies: written in any layout they are formatted to one, and mean the same; broken anywhere they have faults at their places. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from '../../src/base/fault.ts';
import { compileSources } from '../../src/compile/compile.ts';
import { formatScowl } from '../../src/compile/scowl/format.ts';
import { readScowl } from '../../src/compile/scowl/parser.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { planJson } from '../../src/plan/json.ts';
import { conformanceCases, caseText } from '../cases/conformance.ts';
import { Random } from '../sim/random.ts';

const isLong = Boolean(process.env.TILEFOLD_LONG);
const SEEDS = Array.from({ length: isLong ? 2000 : 40 }, (_, i) => i + 1);

async function compiled(text: string): Promise<{ plan: Plan; faults: Fault[] }> {
  return compileSources([{ file: 'a.scowl', text }], { latenessMs: 0 });
}

type Kind = 'int' | 'float' | 'bool' | 'string' | 'time';
const KINDS: Kind[] = ['int', 'float', 'bool', 'string', 'time'];

/** A topology of two events, in tokens: what stands between them is not said yet, but for the ends of statements. */
class Program {
  readonly statements: string[][] = [];
  private readonly known: { name: string; kind: Kind }[] = [];

  constructor(private readonly random: Random) {
    this.event('first');
    const first = [...this.known];
    this.known.length = 0;
    this.event('second', first);
  }

  private event(name: string, others: { name: string; kind: Kind }[] = []): void {
    this.statements.push(['event', name]);
    for (const kind of KINDS) {
      const input = `${kind}_in`;
      const presence = this.random.pick([[], ['?'], kind === 'int' ? ['?', '-', '3'] : ['?']]);
      this.statements.push([input, ':=', `$.${input}`, 'as', kind, ...presence]);
      this.known.push({ name: input, kind });
    }
    for (let i = 0; i < 6; i++) {
      const kind = this.random.pick(KINDS);
      const feature = `x${i}`;
      const isAggregate = this.random.chance(0.4);
      const tokens = isAggregate && kind === 'int' ? this.aggregate(others) : this.of(kind, 3);
      this.statements.push([feature, ':=', ...tokens]);
      this.known.push({ name: feature, kind });
    }
  }

  private aggregate(others: { name: string; kind: Kind }[]): string[] {
    const isOther = others.length > 0 && this.random.chance(0.5);
    const clauses = [
      ...(this.random.chance(0.7) ? ['by', 'string_in', ...(this.random.chance(0.3) ? ['as', 'string_in'] : [])] : []),
      ...(this.random.chance(0.5) ? ['where', ...(isOther ? ['bool_in'] : this.of('bool', 1))] : []),
      ...(this.random.chance(0.6) ? ['last', ...this.random.pick([['hour'], ['2.5', 'hours'], ['3', 'days']])] : []),
      ...(this.random.chance(0.3) ? ['exclusive'] : []),
    ];
    return ['Count', ...(isOther ? ['<', 'first', '>'] : []), '(', ...clauses, ')'];
  }

  private of(kind: Kind, depth: number): string[] {
    const named = this.known.filter(each => each.kind === kind);
    if (depth === 0 || this.random.chance(0.3)) {
      if (this.random.chance(0.7)) return [this.random.pick(named).name];
      const literals = { int: '7', float: '2.5', bool: 'true', string: '"a -- b"', time: 'EventTime ( )' };
      return literals[kind].split(' ').length === 3 && kind === 'time' ? ['EventTime', '(', ')'] : [literals[kind]];
    }
    const of = (inner: Kind) => this.of(inner, depth - 1);
    const grouped = (inner: Kind) => ['(', ...of(inner), ')'];
    const call = (name: string, ...args: string[][]) => [
      name,
      '(',
      ...args.flatMap((arg, i) => (i === 0 ? arg : [',', ...arg])),
      ')',
    ];
    switch (kind) {
      case 'int':
        return this.random.pick([
          () => [...grouped('int'), this.random.pick(['+', '-', '*', '%']), ...grouped('int')],
          () => ['-', ...grouped('int')],
          () => ['-', '-', ...grouped('int')],
          () => call('If', of('bool'), of('int'), of('int')),
          () => [...grouped('string'), '.', 'Length', '(', ')'],
        ])();
      case 'float':
        return this.random.pick([
          () => [...grouped('float'), this.random.pick(['+', '-', '*', '/']), ...grouped('int')],
          () => call('IfError', of('float'), of('int').concat('+', '0.5')),
          () => ['-', ...grouped('float')],
        ])();
      case 'bool':
        return this.random.pick([
          () => [...grouped('int'), this.random.pick(['<', '<=', '=', '==', '!=', '>', '>=']), ...grouped('float')],
          () => [...grouped('bool'), this.random.pick(['and', 'or']), 'not', ...grouped('bool')],
          () => [...grouped('string'), ...this.random.pick([['in'], ['not', 'in']]), '[', '"x"', ',', "'y'", ']'],
          () => [...grouped('time'), 'is', ...(this.random.chance(0.5) ? ['not'] : []), 'null'],
        ])();
      case 'string':
        return this.random.pick([
          () => [...grouped('string'), '+', ...grouped('string')],
          () => call('Case', ['when', ...of('bool'), 'then', ...of('string'), 'default', ...of('string')]),
          () => call('Lower', of('string')),
        ])();
      case 'time':
        return [...grouped('time'), this.random.pick(['+', '-']), '2', 'hours'];
    }
  }
}

/** Tokens with anything between them that means nothing: spaces, comments at ends of lines, empty lines. */
function laidOut(statements: string[][], random: Random): string {
  const gap = (isOpen: boolean) => {
    if (isOpen && random.chance(0.1)) return random.pick(['\n', ' -- why\n', '\n\n  -- more --\n\t']);
    return random.pick(['', ' ', '  ', '\t']);
  };
  const lines = statements.map(tokens => {
    let text = '';
    let depth = 0;
    for (const [i, token] of tokens.entries()) {
      const before = tokens[i - 1] ?? '';
      const isWords = /[\w"'$]$/.test(before) && /^[\w"'$]/.test(token);
      const isDashes = before === '-' && token === '-';
      const space = i === 0 ? '' : gap(depth > 0);
      text += (isWords || isDashes) && space === '' ? ` ${token}` : space + token;
      if (/^[([{]$/.test(token)) depth++;
      if (/^[)\]}]$/.test(token)) depth--;
    }
    return text + random.pick(['\n', ' \n', '   -- behind it\n', '\n\n\n', '\r\n']);
  });
  return lines.join(random.pick(['', '\n', '-- between\n']));
}

function meaning(plan: Plan): unknown {
  return JSON.parse(planJson(plan), (name, value: unknown) => (name === 'at' || name === 'description' ? null : value));
}

describe('random topologies', () => {
  test.each(SEEDS.slice(0, isLong ? undefined : 25))(
    'seed %d: formatted they mean the same, and are formatted',
    async seed => {
      const random = new Random(seed);
      const text = laidOut(new Program(random).statements, random);
      const faults: Fault[] = [];
      const formatted = formatScowl('a.scowl', text, faults);
      expect([faults.map(({ message }) => message), text]).toEqual([[], text]);
      expect(formatScowl('a.scowl', formatted!, faults)).toBe(formatted);
      const [before, after] = [await compiled(text), await compiled(formatted!)];
      expect(before.faults.map(({ message }) => message)).toEqual([]);
      expect(meaning(after.plan)).toEqual(meaning(before.plan));
      expect(formatted!.match(/--/g)?.length).toBe(text.match(/--/g)?.length);
    },
  );

  test('every case of the suite', () => {
    for (const folder of conformanceCases()) {
      const text = caseText(folder, 'topology.scowl');
      const faults: Fault[] = [];
      const formatted = formatScowl('a.scowl', text, faults)!;
      expect(formatScowl('a.scowl', formatted, faults)).toBe(formatted);
      const plain = (of: string) =>
        JSON.stringify(readScowl('a.scowl', of, faults).statements, (name, value: unknown) =>
          name === 'start' || name === 'end' ? undefined : typeof value === 'bigint' ? `${value}n` : value,
        );
      expect(plain(formatted)).toBe(plain(text));
    }
  });
});

test('examples are formatted', () => {
  const root = join(import.meta.dir, '../..');
  const paths = [...new Bun.Glob('examples/**/*.scowl').scanSync(root)];
  expect(paths.length).toBeGreaterThan(0);
  for (const path of paths) {
    const text = readFileSync(join(root, path), 'utf8');
    expect([path, formatScowl(path, text, [])]).toEqual([path, text]);
  }
});

/** Every topology of the suite in one text, to be broken. */
const WHOLE = conformanceCases()
  .map(folder => readFileSync(join(import.meta.dir, '../cases/scowl', folder, 'topology.scowl'), 'utf8'))
  .join('\n');

describe('broken topologies', () => {
  test.each(SEEDS.slice(0, isLong ? undefined : 15))('seed %d: their faults are in the text', async seed => {
    const random = new Random(seed);
    const from = random.below(WHOLE.length);
    let text = WHOLE.slice(from, from + 2000);
    for (let i = random.below(12); i >= 0; i--) {
      const [at, length] = [random.below(text.length), random.below(8)];
      const other = WHOLE.slice(random.below(WHOLE.length)).slice(0, random.below(12));
      const put = random.pick([
        other,
        '(',
        ')',
        '[',
        '{',
        '"',
        "'",
        '\\',
        '\n',
        ':=',
        '$',
        '\u0000',
        '😀',
        ' last ',
        '-',
        'event ',
      ]);
      text = text.slice(0, at) + put + text.slice(at + length);
    }
    const { faults } = await compiled(text);
    const lines = text.split('\n');
    for (const { at, message } of faults) {
      const line = lines[at!.line - 1];
      expect([message, line === undefined]).toEqual([message, false]);
      expect(at!.column + at!.length - 1).toBeLessThanOrEqual(line!.length + 1);
    }
    formatScowl('a.scowl', text, []);
  });
});
