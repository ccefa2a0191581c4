/** Topologies: what is wrong with them is said at its place, and what is right with them is in the plan. */
import { describe, expect, test } from 'bun:test';
import { EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX } from '../../src/compile/bind.ts';
import { compileSources, type SourceFile } from '../../src/compile/compile.ts';
import { formatFaults } from '../../src/compile/listing.ts';
import { BRACKET_DEPTH_MAX, RESERVED } from '../../src/compile/scowl/lexer.ts';
import { TOKENS_PER_STATEMENT_MAX, TREE_DEPTH_MAX } from '../../src/compile/scowl/parser.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { typeText } from '../../src/compile/scowl/slot.ts';
import { windowText } from '../../src/plan/window.ts';
import { byReplay } from '../cases/answers.ts';
import { lineOf, show, unmark } from './marked.ts';

async function compiled(...files: SourceFile[]) {
  return compileSources(files, { latenessMs: 3_600_000 });
}

async function planOf(text: string, more: SourceFile[] = []): Promise<Plan> {
  const { plan, faults } = await compiled({ file: 'a.scowl', text }, ...more);
  expect(faults.map(lineOf)).toEqual([]);
  return plan;
}

/** Are these the faults of a topology, in this order, at these places, and no others? */
async function expectFaults(marked: string, messages: string[], more: SourceFile[] = []): Promise<void> {
  const { text, expected } = unmark('a.scowl', marked, messages);
  const { faults } = await compiled({ file: 'a.scowl', text }, ...more);
  expect(faults.map(lineOf)).toEqual(expected);
}

const EVENT = `event e
a := $.a as int
s := $.s as string
b := $.b as bool
t := $.t as time
f := $.f as float
home := $.home as {zip: string, place: {town: string}}?
l := $.l as [int]
v := $.v as [float]
m := $.m as map{string: int}
`;

/** One definition behind those of an event of every type. */
async function expectFault(marked: string, message: string): Promise<void> {
  await expectFaults(`${EVENT}x := ${marked}\n`, [message]);
}

describe('texts that are no topology', () => {
  const cases: [string, string][] = [
    ['«event»', 'wanted a name behind event'],
    ['«event» 3', 'wanted a name behind event'],
    ['event e\na := $.a as int\nx := a +«»', 'wanted an expression, got the end of the statement'],
    ['event e\na := $.a as int\nx := (a«»\ny := a', 'wanted ), got the end of the statement'],
    ['event e\na := $.a as int\nx := a «a»', 'wanted the end of the statement, got a'],
    ['event e\na := $.a as int\nx := a «&&» a', '&& means nothing here: write and'],
    ['event e\na := $.a as int\nx := «"abc»', 'a text has no end: its quote is not closed'],
    ['event e\na := $.a as int\nx := a «;»', '; means nothing here: a statement ends with its line'],
    [
      'event e\na := $.a as int\n«last» := 1',
      'wanted a definition (name := ...), or event, type or entity with a name, got last, which is a word of the language',
    ],
    ['event e\na := $.a «int»', 'a path wants its type, like as string; got int'],
    [
      'event e\na := $.a as «5»',
      'wanted a type: bool, int, float, string, time, [T], {name: T}, map{string: T} or a type of yours, got 5',
    ],
    ['event e\na := $.a as int\nx := a «?» 0', '? stands behind the type of an input: $.name as int ? 0'],
    [
      'event e\na := $.a as int\nx := a «last» 1 hour',
      'last stands inside the brackets of an aggregate: Count(x by y where z last 1 hour)',
    ],
    [
      'event e\na := $.a as int\nx := Count(a last hour «by» a)',
      'by stands too late: clauses are written in the order by, where, after, last, limit, exclusive, each once',
    ],
  ];
  test.each(cases)('%p', async (marked, message) => {
    const place = marked.endsWith('«»') || marked.includes('«»\n');
    // At the end of a statement its last character is marked.
    const text = place ? marked.replace(/(.)«»/, '«$1»') : marked;
    await expectFaults(text, [message]);
  });

  test('all of them at once, each where it is', async () => {
    await expectFaults(
      `«x» := 1\nevent e\naa := $.a as int\nb := $.b as «itn»\nc := «ab» + aa\nf := «Foo»(aa)\ng := «aa» and true\n`,
      [
        'x belongs to no event: write event and its name above it',
        'unknown type "itn"; did you mean "int"?',
        'event e has no feature "ab"; did you mean "aa"?',
        'unknown function "Foo"',
        'and wants a condition (bool), got int; compare it with 0',
      ],
    );
  });
});

describe('types of expressions', () => {
  const cases: [string, string][] = [
    ['«s» + 1', '+ wants int or float, got string: write Concat'],
    ['a + «b»', '+ wants int or float, got bool: write If(x, 1, 0)'],
    ['f % a', '% wants int, got float'],
    ['a «=» s', '= compares values of one type, got int and string'],
    ['«l» = 3', '= compares scalars, got [int]'],
    ["t > «'noon'»", "'noon' is no time; wanted one like '2001-01-31' or '2001-01-31T08:30:00Z'"],
    [
      't «*» 2',
      'time * int is nothing: a time takes + and - of a duration (nanoseconds, like 1 hour), and - of a time',
    ],
    ['«-s»', '- wants int or float, got string'],
    ['not «a»', 'not wants a condition (bool), got int; compare it with 0'],
    ['home.«zap»', '{zip: string, place: {town: string}} has no field "zap"; did you mean "zip"?'],
    ['home.place.«x»', '{town: string} has no field "x"; it has town'],
    ['s.«zip»', 'string has no fields'],
    ['s.«Lower»', 'string has no fields: a function is called, Lower(...)'],
    ['m.«red»', "map{string: int} has no fields: the values of a map are taken by its keys, ['red']"],
    ['«a[0]»', 'int has no elements: [ ] takes those of a list or of a map'],
    ['l[«s»]', '[ ] of a list wants int, got string'],
    ['m[«1»]', '[ ] of a map wants string, got int'],
    ['a in «s»', 'in wants a list, got string; write Contains(text, part)'],
    ['[1, «s»]', '[ ] wants values of one type, got int and string'],
    ['[1, «a»]', 'a list is made of literals only; behind in it may have others'],
    ['If(«a», 1, 2)', 'If wants a condition (bool), got int; compare it with 0'],
    ["If(b, 1, «'x'»)", 'If wants values of one type, got int and string'],
    ['Case(when b then 1 default «s»)', 'Case wants values of one type, got int and string'],
    ['«If»(when b then 1)', 'when belongs to Case(when condition then value ... default value), got If'],
    ['Lower(«a»)', 'Lower wants string as its text, got int'],
    ['«Lower»(s, s)', 'Lower wants 1 argument (text), got 2'],
    ['«EventTime»(1)', 'EventTime wants no arguments, got 1'],
    ['«Round»()', 'Round wants 1 to 2 arguments (x, digits), got 0'],
    ['Round(f, «a»)', 'Round wants its digits as a literal'],
    ['«Lower»(s by a)', 'by belongs to aggregates, and Lower is none'],
    ['«Flor»(f)', 'unknown function "Flor"; did you mean "Floor"?'],
    ['Float(«t»)', 'Float wants float or int or bool or string as its x, got time'],
    [
      "FormatTime(t, «'%Q'»)",
      'FormatTime: unknown directive %Q; those that are known are %A %a %B %b %h %Y %y %m %d %j %H %I %p %M %S %g %f %z %w %u %U %W %V %G %F %T %R %x %X %c %%',
    ],
    ["AsTimezone(t, «'Mars'»)", '"Mars" is no time zone; wanted a name like Europe/Berlin'],
    ['1 + «$.q»', 'a path stands alone behind :=, with its type: name := $.member as string'],
    ['«9223372036854775808»', '9223372036854775808 is beyond int; with a point (9223372036854775808.0) it is a float'],
    ['«300000 days»', 'a duration is at most 292 years: it counts nanoseconds in an int'],
  ];
  test.each(cases)('%s', async (marked, message) => {
    await expectFault(marked.includes('«') ? marked : `«${marked.split(' ')[0]}»${marked.slice(1)}`, message);
  });
});

describe('aggregates', () => {
  const cases: [string, string][] = [
    ['«DecayedAverage(f by s after t last 30 days)»', 'after clause is not supported by DecayedAverage'],
    ['Count(a «after t»)', 'after wants last: say how far back it may reach, like last 30 days'],
    ['Count(a after «s» last 1 hour)', 'after wants a time, got string'],
    ['«DecayedSum(f)»', 'DecayedSum wants last: the time in which what it counts halves, like last 1 day'],
    ['«Sum()»', 'Sum is of one value, got 0'],
    ['«Count(a, s)»', 'Count is of one value or none, got 2'],
    ['Sum(«s»)', 'Sum wants int, float or bool, got string'],
    ['Max(«l»)', 'Max wants bool, int, float, string or time, got [int]'],
    ['Count(a where «s»)', 'where wants a condition (bool), got string'],
    ['Count(a by «f»)', 'a key is bool, int, string or time, got float: take Int of it'],
    ['Count(a by «home»)', 'a key is bool, int, string or time, got {zip: string, place: {town: string}}'],
    ['Count(a last 3 «huors»)', 'unknown unit "huors"; did you mean "hours"?'],
    [
      'Count(a last 3 «months»)',
      'unknown unit "months"; units are nanosecond, microsecond, millisecond, second, minute, hour, day, week',
    ],
    ['Count(a «last 0.5 milliseconds»)', 'last wants a whole number of milliseconds, at least one'],
    ['Count(a «limit 3»)', 'limit clause is not supported by Count'],
    ['Sequence(a «limit 9999»)', 'limit of Sequence is a whole number from 1 to 1000, got 9999'],
    ['«VectorAverage(v)»', 'VectorAverage wants limit: how long the lists are'],
    ['Count<«loggin»>(a)', 'unknown event "loggin"; did you mean "login"?'],
    ['Count<login>(«a»)', 'event login has no feature "a"; define it: a := $.a as string'],
    ['Count<login>(by «s»)', 'event login has no feature "s"; define it: s := $.s as string'],
    ['Count<login>(by «a as email»)', 'the key is int in e and string in login'],
    ['Count<login, «login»>()', 'event login is there twice'],
    ['«Latest<login, e>(EventTime())»', 'Latest of several events is not supported: write one for each'],
  ];
  test.each(cases)('%s', async (marked, message) => {
    await expectFaults(`event login\nemail := $.email as string\n${EVENT}x := ${marked}\n`, [message]);
  });

  test('the fault of the manual stands over the whole aggregate', async () => {
    const text = 'event e\nf := $.f as float\nt := $.t as time\nx := DecayedAverage(f by f after t last 30 days)\n';
    const { faults } = await compiled({ file: 'a.scowl', text });
    expect(formatFaults(faults.slice(0, 1), () => text)).toBe(
      [
        'a.scowl:4:6: after clause is not supported by DecayedAverage',
        '    x := DecayedAverage(f by f after t last 30 days)',
        '         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^',
      ].join('\n'),
    );
  });
});

describe('declarations', () => {
  test('names', async () => {
    await expectFaults(`event e\na := $.a as int\n«a» := 1\n«_x» := a\nevent e\n«a» := $.z as string\np := «foo»\n`, [
      'e.a is defined twice: first at a.scowl:2:1',
      '"_x": a name is letters, digits and _, and begins with a letter',
      'e.a is defined twice: first at a.scowl:2:1',
      'event e has no feature "foo"; define it: foo := $.foo as string',
    ]);
    for (const word of RESERVED) {
      const { faults } = await compiled({ file: 'a.scowl', text: `event e\na := $.a as int\n${word} := 1\n` });
      expect(faults.map(lineOf)).toEqual([expect.stringContaining(`got ${word}, which is a word of the language`)]);
    }
  });

  test('types', async () => {
    await expectFaults(
      `event e
a := $.a as int ? «"x"»
b := $.b as string ? «5»
c := $.c as [int] ? «0»
d := $.d as int ? «null»
f := $.f as {x: int, «x»: string}
g := $.g as map{«int»: string}
h := $.h as «double»
i := «$» as int
j := $.j as u
k := $.k as v
type «int» { x: string }
type u { x: «u» }
type v { x: «w» }
type z { x: int }
type «z» { y: int }
`,
      [
        'the default is no int',
        'the default is no string',
        'a list has no default: write ? alone, and it is null where it is missing',
        '? alone says null',
        'field x is there twice',
        'the keys of a map are string, for they are names of members in JSON; got int',
        'unknown type "double"; did you mean "float"?',
        "$ names no member: wanted a path like $.name or $['a name']",
        'int is a built-in type; call yours something else',
        'a type cannot hold itself: u -> u',
        'unknown type "w"; types are bool, int, float, string, time, and those of type statements',
        'type "z" is there twice: first at a.scowl:15:6',
      ],
    );
  });

  test('cycles show their way, with places, and are told once', async () => {
    await expectFaults(
      `event e
k := $.k as string
«a» := b + 1
b := c
c := Count<login>(by k where x > 0)
event login
k := $.k as string
x := Count<e>(a by k)
«y» := y + 1
z := y + 1
`,
      [
        'a feature cannot be made of itself: e.a (a.scowl:3:1) -> e.b (a.scowl:4:1) -> e.c (a.scowl:5:1) -> login.x (a.scowl:8:1) -> e.a',
        'a feature cannot be made of itself: login.y (a.scowl:9:1) -> login.y',
      ],
    );
  });

  test('what stands on a fault is not blamed', async () => {
    await expectFaults(
      'event e\na := $.a as int\nx := «Foo»(a)\ny := x + 1\nz := Count(y by x)\nq := 1 «+»\nr := q\n',
      ['unknown function "Foo"', 'wanted an expression, got the end of the statement'],
    );
  });

  test('an event without inputs', async () => {
    await expectFaults('event «e»\nx := 1\n', ['event e has no inputs: give it one, like id := $.id as string']);
  });
});

describe('limits', () => {
  const a = 'event e\na := $.a as int\n';
  const texts: [string, string, string | null][] = [
    ['brackets', `${a}x := ${'('.repeat(50_000)}a`, `nests too deep: at most ${BRACKET_DEPTH_MAX}`],
    [
      'as many brackets as there may be',
      `${a}x := ${'('.repeat(BRACKET_DEPTH_MAX)}a${')'.repeat(BRACKET_DEPTH_MAX)}`,
      null,
    ],
    ['lists in types', `${a}x := $.x as ${'['.repeat(60)}int${']'.repeat(60)}`, 'the type nests 60 deep'],
    ['signs', `${a}x := ${'- '.repeat(10_000)}a`, `nests too deep: at most ${TREE_DEPTH_MAX}`],
    ['nots', `${a}x := ${'not '.repeat(10_000)}true`, `nests too deep: at most ${TREE_DEPTH_MAX}`],
    ['sums', `${a}x := a${' + a'.repeat(10_000)}`, `nests too deep: at most ${TREE_DEPTH_MAX}`],
    ['as long a sum as there may be', `${a}x := 0.5${' + a'.repeat(EXPRESSION_DEPTH_MAX - 1)}`, null],
    ['one that may overflow anywhere', `${a}x := a${' + a'.repeat(40)}`, null],
    ['a longer one that may', `${a}x := a${' + a'.repeat(50)}`, 'x can fail in too many ways'],
    [
      'a longer one',
      `${a}x := a${' + a'.repeat(EXPRESSION_DEPTH_MAX)}`,
      `and at most ${EXPRESSION_DEPTH_MAX} are computed`,
    ],
    [
      'many ways to fail',
      `${a}x := ${'IfNull(Int("1") % a, '.repeat(25)}Int("1")${' + 1 % a)'.repeat(25)}`,
      'x can fail in too many ways',
    ],
    ['methods', `${a}x := "a"${'.Lower()'.repeat(5_000)}`, `nests too deep: at most ${TREE_DEPTH_MAX}`],
    [
      'a statement of any length',
      `${a}x := "a"${'.Lower()'.repeat(100_000)}`,
      `a statement of 400003 words, and at most ${TOKENS_PER_STATEMENT_MAX} are read`,
    ],
    [
      'a chain',
      `${a}${Array.from({ length: 4000 }, (_, i) => `x${i} := ${i ? `x${i - 1}` : 'a'} + 1\n`).join('')}`,
      'stands on 256 features',
    ],
    [
      'a lattice',
      `${a}${Array.from({ length: 200 }, (_, i) => `x${i} := ${i ? `x${i - 1}` : 'a'} + ${i ? `x${i - 1}` : 'a'}\n`).join('')}n := Count(by x199)\n`,
      null,
    ],
    [
      'a lattice of errors',
      `${a}x0 := 1 / a\n${Array.from({ length: 200 }, (_, i) => `x${i + 1} := IfError(x${i}, 0) / IfError(x${i}, 1)\n`).join('')}`,
      null,
    ],
    [
      'a long list',
      `${a}x := a in [${Array.from({ length: 20_000 }, (_, i) => i).join()}]`,
      `and at most ${EXPRESSION_NODES_MAX} are computed`,
    ],
    [
      'types upon types',
      `${a}x := $.x as t30\ntype t0 { x: int }\n${Array.from({ length: 30 }, (_, i) => `type t${i + 1} { x: t${i}, y: t${i} }\n`).join('')}`,
      'fields in all',
    ],
    [
      'a chain of types',
      `${a}x := $.x as t0\n${Array.from({ length: 5000 }, (_, i) => `type t${i} { x: t${i + 1} }\n`).join('')}type t5000 { x: int }`,
      'types nest too deep',
    ],
    [
      'many definitions',
      `${a}${Array.from({ length: 5000 }, (_, i) => `x${i} := a\n`).join('')}`,
      'more than 4096 definitions',
    ],
    ['many inputs', `${a}${Array.from({ length: 300 }, (_, i) => `x${i} := $.x as int\n`).join('')}`, '301 inputs'],
    ['a long text', ' '.repeat(2 << 20), 'characters, and at most'],
    ['a power of ten', `${a}x := 1e999999999 hours`, 'at most 292 years'],
    ['a window of ages', `${a}x := Count(last 5000 days)`, 'last reaches too far'],
  ];
  test.each(texts)('%s', async (_, text, message) => {
    const { plan, faults } = await compiled({ file: 'a.scowl', text });
    if (message !== null) return expect(faults.map(lineOf).join('\n')).toContain(message);
    expect(faults.map(lineOf)).toEqual([]);
    // What is accepted is computed; the oracle would compute a lattice for good.
    const event = '{"type":"e","time":"2001-01-01T00:00:00Z","data":{"a":2}}\n';
    expect((await byReplay(plan, event))[0]!.features.a).toBe(2n);
  });
});

describe('the plan', () => {
  test('events, inputs, columns and features, in the order written', async () => {
    const { events } = await planOf(`event login      -- who comes
ok := not bad
email := $.user.email as string   -- whom
bad := $.bad as bool ? false
twice := ok and
  bad   -- never
`);
    expect(events).toHaveLength(1);
    const { name, onFault, weight, inputs, columns, features } = events[0]!;
    expect([name, onFault, weight]).toEqual(['login', 'convert', null]);
    expect(inputs.map(({ name, path, presence }) => [name, path, presence.kind])).toEqual([
      ['email', ['user', 'email'], 'required'],
      ['bad', ['bad'], 'default'],
    ]);
    expect(columns.map(({ name, expression }) => [name, show(expression)])).toEqual([
      ['ok', 'not(bad)'],
      ['twice', 'and(ok, bad)'],
    ]);
    expect(features?.map(({ column, description, about }) => [column, description, about])).toEqual([
      ['ok', 'not bad', undefined],
      ['email', '$.user.email as string', 'whom'],
      ['bad', '$.bad as bool ? false', undefined],
      ['twice', 'ok and bad', 'never'],
    ]);
    expect(features?.map(({ error }) => error && show(error))).toEqual([null, 'fault(email)', 'fault(bad)', null]);
  });

  test('aggregates are stored once for each meaning, and reads say when and by what', async () => {
    const plan = await planOf(`event e
k := $.k as string
kk := k
x := $.x as int
a := Sum(x by k last 1 hour)
b := Sum(x by kk last 2 hours exclusive)
c := Sum(x by k after EventTime() - 60 seconds last 1 hour) + Sum(x by k)
d := Average(x by k)
f := DecayedSum(x by k last 10 minutes)
`);
    expect(
      plan.aggregates.map(({ name, entity, keys, fn, tiles }) => [
        name,
        entity,
        keys.map(show).join(),
        fn.name,
        tiles.levelsMs.length,
      ]),
    ).toEqual([
      ['e.a', null, 'k', 'sum', 5],
      ['e.d', null, 'k', 'avg', 5],
      ['e.f', null, 'k', 'decayedSum', 4],
    ]);
    const reads = plan.events[0]!.columns.flatMap(({ name, expression }) =>
      (expression.kind === 'call' ? expression.args : [expression]).flatMap(part => {
        if (part.kind !== 'read') return [];
        const { aggregate, window, keys, after, exclusive } = part.read;
        return [[name, aggregate, windowText(window), keys!.map(show).join(), after && show(after), exclusive]];
      }),
    );
    expect(reads).toEqual([
      ['a', 'e.a', 'exact 1h', 'k', null, false],
      ['b', 'e.a', 'exact 2h', 'kk', null, true],
      ['c', 'e.a', 'exact 1h', 'k', 'addMicros(_time, quotient(60000000000, -1000))', false],
      ['c', 'e.a', 'lifetime', 'k', null, false],
      ['d', 'e.d', 'lifetime', 'k', null, false],
      ['f', 'e.f', 'exact 10h40m', 'k', null, false],
    ]);
  });

  test('types are known of every feature', async () => {
    const { events } = await planOf(`${EVENT}
x1 := a + 1
x2 := a + 1.5
x3 := a / 2
x4 := home.place
x5 := l[0] in [1, 2]
x6 := Count(a)
x7 := Sequence(s)
x8 := t - t
x9 := If(b, 1, 0.5)
x10 := Average(a)
x11 := m['x']
`);
    const types = Object.fromEntries(
      events[0]!.columns.map(({ name, expression }) => [name, typeText(expression.type)]),
    );
    expect(types).toEqual({
      ...{
        x1: 'int',
        x2: 'float',
        x3: 'float',
        x4: '{town: string}',
        x5: 'bool',
        x6: 'int',
        x7: '[string]',
        x8: 'int',
      },
      ...{ x9: 'float', x10: 'float', x11: 'int' },
    });
  });

  test('what is in another order, in other files, or with other comments is the same', async () => {
    const one = await planOf('event e\nk := $.k as string\nn := Count(by k) -- so many\nevent f\nk := $.k as int\n');
    const two = (
      await compiled(
        { file: 'b.scowl', text: 'event f\nk := $.k as int\n' },
        { file: 'a.scowl', text: '-- x\nevent e\nn := Count(\n  by k)\nevent e\nk := $["k"] as string' },
      )
    ).plan;
    const { aggregateHash } = await import('../../src/plan/canonical.ts');
    expect(aggregateHash(two.aggregates[0]!, two)).toBe(aggregateHash(one.aggregates[0]!, one));
  });
});

describe('with YAML', () => {
  const YAML = `events:
  flight: { origin: string, delay: { type: int64, optional: true } }
types:
  place: { town: string }
entities:
  origin: string
`;
  const yaml = (text: string, file = 'b.yaml') => ({ file, text });

  test('a feature set over an event of a topology sees its inputs and its stateless columns', async () => {
    const plan = await planOf(
      'event login\nemail := $.email as string\nbad := not ok\nok := $.ok as bool\ndomain := Lower(email)\n',
      [
        yaml(`entities: { domain: string }
---
feature_set: s
entity: domain
source: login
windows: [1h]
sql: |
  SELECT domain, COUNT(*) FILTER (WHERE bad) AS n FROM login GROUP BY domain
`),
      ],
    );
    expect(plan.aggregates.map(({ name, keys, fn }) => [name, keys.map(show), fn.args.map(show)])).toEqual([
      ['s:n', ['lower(email)'], ['case(not(ok), 1, null:int64)']],
    ]);
  });

  test('but none that stands on an aggregate', async () => {
    const text = 'event login\nemail := $.email as string\nn := Count(by email)\n';
    const set = `entities: { email: string }
---
feature_set: s
entity: email
source: login
windows: [1h]
sql: |
  SELECT email, MAX(«n») AS m FROM login GROUP BY email
`;
    const { text: plain, expected } = unmark('b.yaml', set, [
      'n is made of an aggregate, and a feature set looks at one event at a time: keep it in the topology',
    ]);
    const { faults } = await compiled({ file: 'a.scowl', text }, yaml(plain));
    expect(faults.map(lineOf)).toEqual(expected);
  });

  test('a topology reads and extends an event that YAML declares, and uses its types', async () => {
    const plan = await planOf(
      'event flight\nlate := delay > 15\nevent search\nto := $.to as place\nn := Count<flight>(by to.town as origin where late)\n',
      [yaml(YAML)],
    );
    const flight = plan.events.find(({ name }) => name === 'flight')!;
    expect([flight.onFault, flight.columns.map(({ name }) => name)]).toEqual(['reject', ['late']]);
    expect(flight.features?.map(({ column, error }) => [column, error])).toEqual([
      ['origin', null],
      ['delay', null],
      ['late', null],
    ]);
  });

  test('and is told what it cannot', async () => {
    await expectFaults(
      'event flight\n«delay» := 1\n«gate» := $.gate as string\ntype «place» { x: int }\n',
      [
        'flight.delay is defined twice: YAML declares an input of this name',
        'flight is declared in YAML: declare gate there',
        'type "place" is there twice: YAML declares one under types:',
      ],
      [yaml(YAML)],
    );
  });

  test('keys that are entities are looked up', async () => {
    const plan = await planOf(`event login
email := $.email as string
n := Count(by email)   -- how often
share := Count(by email last 1 hour) / Count(by email)
before := Count(by email exclusive)
twice := n * 2
event payment
who := $.who as string
to := $.to as string
logins := Count<login>(by who as email last 1 day)
pairs := Count(by who, to)
entity email: string
entity pair: [string, string] by who, to
`);
    expect(plan.entities.map(({ name, keys }) => [name, keys.length])).toEqual([
      ['email', 1],
      ['pair', 2],
    ]);
    expect(plan.sets.map(({ name, entity, event, keys }) => [name, entity, event, keys.map(show).join()])).toEqual([
      ['login_by_email', 'email', 'login', 'email'],
      ['payment_of_login_by_email', 'email', 'login', 'email'],
      ['payment_by_pair', 'pair', 'payment', 'who,to'],
    ]);
    expect(plan.features.map(({ name, expression, about }) => [name, show(expression), about])).toEqual([
      ['login_by_email:n', '[login.n lifetime]', 'how often'],
      ['login_by_email:share', 'divide([login.n exact 1h], [login.n lifetime])', undefined],
      ['payment_of_login_by_email:logins', '[login.n exact 1d]', undefined],
      ['payment_by_pair:pairs', '[payment.pairs lifetime]', undefined],
    ]);
    expect(plan.aggregates.map(({ name, entity }) => [name, entity])).toEqual([
      ['login.n', 'email'],
      ['payment.pairs', 'pair'],
    ]);
  });

  test('an event cannot be left out by a read that hangs on one that counts it already', async () => {
    const text = (where: string) => `event e
k := $.k as string
n := Count(by k)
other := If(n > 1, 'many', k)
before := Count<e>(by other as k${where} exclusive)
`;
    const message =
      'aggregate e.n of e is read both with and without the event, and the read without it (exclusive) hangs on the one with ' +
      'it: the event is counted once, either before or after a read; give the exclusive one an aggregate of its own, by a ' +
      'condition that is always true, such as `where KEY is not null`';
    const { faults } = await compiled({ file: 'a.scowl', text: text('') });
    expect(faults.map(lineOf)).toEqual([`a.scowl:3:6+11: ${message}`]);
    // What it says to write.
    await planOf(text(' where k is not null'));
  });

  test('faults of entities', async () => {
    await expectFaults(
      `event e
k := $.k as string
n := Count(by k)
entity «k»: int
entity «x»
entity «origin»: string
entity y: «float»
«entity z: string by k»
`,
      [
        'the key of entity k is int, and that of e.n is string',
        'unknown entity "x"; write its type, like entity x: string',
        'entity "origin" is there twice: first at b.yaml:6:3',
        'a key is bool, int, string or time, not float',
        'k and z are both looked up by k',
      ],
      [yaml(YAML)],
    );
  });
});
