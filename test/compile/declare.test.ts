import { describe, expect, test } from 'bun:test';
import type { Field } from '../../src/plan/value.ts';
import { typeName } from '../../src/plan/value.ts';
import { faultsOf, planOf, unmark } from './marked.ts';

async function inputsOf(...texts: string[]): Promise<Field[]> {
  return (await planOf(...texts)).events[0]!.inputs;
}

describe('events, types and entities', () => {
  test('inputs have types, paths and presence', async () => {
    const inputs = await inputsOf(`events:
  order:
    id: string
    user: { type: string, path: $.data.user.name }
    paid: { type: bool, default: false }
    amount: { type: int64, default: -9223372036854775808 }
    rate: { type: double, default: 1 }
    at: { type: time, default: 2001-01-01T00:00:00Z }
    seen: { type: time, default: 5 }
    note: string?
    tags: [string?]
    more: { type: [{ type: int64, default: 1e2 }], optional: true }
`);
    const described = inputs.map(({ name, type, path, presence }) => [name, typeName(type), path.join('.'), presence]);
    expect(described).toEqual([
      ['id', 'string', 'id', { kind: 'required' }],
      ['user', 'string', 'user.name', { kind: 'required' }],
      ['paid', 'bool', 'paid', { kind: 'default', value: false }],
      ['amount', 'int64', 'amount', { kind: 'default', value: -(2n ** 63n) }],
      ['rate', 'double', 'rate', { kind: 'default', value: 1 }],
      ['at', 'time', 'at', { kind: 'default', value: 978307200000000n }],
      ['seen', 'time', 'seen', { kind: 'default', value: 5000n }],
      ['note', 'string', 'note', { kind: 'optional' }],
      ['tags', '[string?]', 'tags', { kind: 'required' }],
      ['more', '[int64]', 'more', { kind: 'optional' }],
    ]);
    const more = inputs.at(-1)!.type;
    expect(more.kind === 'list' && more.of.presence).toEqual({ kind: 'default', value: 100n });
  });

  test('user-defined types nest, in any order and any file', async () => {
    const events = 'events:\n  trip:\n    crew: { type: [member], path: $.data.crew, optional: true }\n';
    const types = 'types:\n  member: { name: string, home: place? }\n  place: { zip: string, floors: [int64] }\n';
    const [crew] = await inputsOf(events, types);
    const place = {
      kind: 'struct',
      name: 'place',
      fields: [
        { name: 'zip', type: { kind: 'string' }, presence: { kind: 'required' }, path: ['zip'] },
        {
          name: 'floors',
          type: { kind: 'list', of: { type: { kind: 'int64' }, presence: { kind: 'required' } } },
          presence: { kind: 'required' },
          path: ['floors'],
        },
      ],
    };
    const fields = [
      { name: 'name', type: { kind: 'string' }, presence: { kind: 'required' }, path: ['name'] },
      { name: 'home', type: place, presence: { kind: 'optional' }, path: ['home'] },
    ];
    const member = { kind: 'struct', name: 'member', fields };
    expect(crew as unknown).toEqual({
      name: 'crew',
      type: { kind: 'list', of: { type: member, presence: { kind: 'required' } } },
      presence: { kind: 'optional' },
      path: ['crew'],
    });
  });

  test("a field's path begins at its struct", async () => {
    const [place] = await inputsOf(
      'types:\n  place: { city: { type: string, path: $.address.city }, zip: string }\n',
      'events:\n  trip:\n    from: { type: place, path: $.data.legs.from }\n',
    );
    const fields = place!.type.kind === 'struct' ? place!.type.fields : [];
    expect([place!.path, ...fields.map(({ path }) => path)]).toEqual([['legs', 'from'], ['address', 'city'], ['zip']]);
  });

  test('events of any name, entities of several keys, places', async () => {
    const plan = await planOf(
      'events:\n  "page.view": { a: string }\nentities:\n  one: int64\n  two: [string, time]\n',
    );
    expect(plan.events[0]).toMatchObject({ name: 'page.view', onFault: 'reject', weight: null, columns: [] });
    expect(plan.events[0]!.at).toEqual({ file: '0.yaml', line: 2, column: 3, length: 11 });
    expect(plan.entities).toEqual([
      { name: 'one', keys: [{ kind: 'int64' }], at: { file: '0.yaml', line: 4, column: 3, length: 3 } },
      {
        name: 'two',
        keys: [{ kind: 'string' }, { kind: 'time' }],
        at: { file: '0.yaml', line: 5, column: 3, length: 3 },
      },
    ]);
  });
});

const WANTED = 'a type: bool, int64, double, string, time, [a type], a name from types:, or { type: ... }';

const REFUSED: [text: string, ...messages: string[]][] = [
  ['events: { e: { a: «strin» } }', 'unknown type "strin"; did you mean "string"?'],
  [
    'events: { e: { a: «thing» } }',
    'unknown type "thing"; types are bool, int64, double, string, time, [T] and those of types:',
  ],
  ['events: { e: { a: «5» } }', `a: got 5, wanted ${WANTED}`],
  ['events: { e: { a: { type: «5» } } }', `type: got 5, wanted ${WANTED}`],
  ['events: { e: { «a»: { optional: true } } }', 'type is missing'],
  ['events: { e: { a: { type: int64, «optionel»: true } } }', 'unknown key "optionel"; did you mean "optional"?'],
  ['events: { e: { a: { type: int64, optional: «yes» } } }', 'optional: got "yes", wanted true or false'],
  ['events: { e: { a: { type: int64, default: «"5"» } } }', 'default: got "5", wanted int64'],
  [
    'events: { e: { a: { type: int64, default: «9223372036854775808» } } }',
    'default: got 9223372036854776000, wanted int64',
  ],
  ['events: { e: { a: { type: time, default: «soon» } } }', 'default: got "soon", wanted time'],
  [
    'events: { e: { a: { type: int64?, default: «5» } } }',
    'default: what has a default is never missing; leave out either optional or default',
  ],
  [
    'events: { e: { a: { type: [int64], default: «5» } } }',
    'default: a list cannot have one; declare it optional instead',
  ],
  ['events: { e: { a: «[int64, string]» } }', 'a: a list type has one type in it: [string]'],
  [
    'events: { e: { a: { type: int64, path: «$.a» } } }',
    'path: got $.a, wanted one that begins with $.data. and names a member, like $.data.a.b',
  ],
  [
    'events: { e: { a: { type: int64, path: «$.data.» } } }',
    'path: got $.data., wanted one that begins with $.data. and names a member, like $.data.a.b',
  ],
  [
    'events: { e: { a: { type: int64, path: «"$.data.a[0]"» } } }',
    'path: $.data.a[0] has more than names in it; only steps like $.data.a.b are read',
  ],
  [
    'events: { e: { a: [{ type: int64, «path»: $.data.b }] } }',
    'path is for inputs and fields; an element is read where it stands',
  ],
  [
    'types: { t: { a: { type: int64, path: «a.b» } } }',
    'path: got a.b, wanted one that begins with $. and names a member, like $.a.b',
  ],
  [
    'types: { t: { a: { type: int64, path: «"$.a[0]"» } } }',
    'path: $.a[0] has more than names in it; only steps like $.a.b are read',
  ],
  ['events: { e: «{}» }', 'e: has no inputs'],
  ['events: { e: «5» }', 'e: wanted a mapping of its inputs to their types'],
  ['events: «[e]»', 'events: wanted a mapping of names'],
  ['types: { «int64»: { a: string } }', 'int64 is a built-in type; call yours something else'],
  ['types: { «a b»: { a: string } }', '"a b": a name is letters, digits and _, and begins with a letter'],
  ['entities: { e: «double» }', 'e: a key column is a bool, int64, string or time, not double'],
  [
    'entities: { e: [string, «strin»] }',
    'e: a key column is a bool, int64, string or time, not strin; did you mean "string"?',
  ],
  ['entities: { e: «[]» }', 'e: got 0 key columns, wanted 1 to 8'],
  ['entities: { e: «5» }', "e: got 5, wanted the type of an entity's key, or a list of them: string, [string, int64]"],
];

describe('what is refused, by name and place', () => {
  for (const [marked, ...messages] of REFUSED.filter(([, first]) => first !== 'unused'))
    test(marked, async () => {
      const { text, expected } = unmark('0.yaml', marked, messages);
      expect(await faultsOf(text)).toEqual(expected);
    });

  test('a type cannot hold itself', async () => {
    const { text, expected } = unmark(
      '0.yaml',
      'types:\n  a: { b: b }\n  b: { c: [c?] }\n  c: { a: { type: «a» } }\n',
      ['a type cannot hold itself: a -> b -> c -> a'],
    );
    expect(await faultsOf(text)).toEqual(expected);
  });

  test('a name is declared once in all files', async () => {
    const one = 'events: { e: { a: string } }\nentities: { k: string }\n';
    expect(await faultsOf(one, 'entities: { e: string, k: string }\n---\nevents: { e: { b: string } }\n')).toEqual([
      '1.yaml:1:24+1: "k" is declared twice in entities: first at 0.yaml:2:13',
      '1.yaml:3:11+1: "e" is declared twice in events: first at 0.yaml:1:11',
    ]);
  });

  test('types grow no larger than their limits', async () => {
    const deep = Array.from({ length: 18 }, (_, i) => `  t${i}: { a: ${i ? `t${i - 1}` : 'string'} }\n`);
    expect((await faultsOf(`types:\n${deep.join('')}`))[0]).toBe(
      '0.yaml:18:3+3: t16 nests 17 types deep, and at most 16 are read',
    );
    const wide = Array.from(
      { length: 12 },
      (_, i) => `  t${i}: { a: ${i ? `t${i - 1}` : 'string'}, b: ${i ? `t${i - 1}` : 'string'} }\n`,
    );
    expect(await faultsOf(`types:\n${wide.join('')}`)).toEqual([
      '0.yaml:11:3+2: t9 has 2046 fields in all, and at most 1024 are read',
    ]);
  });
});

describe('about', () => {
  test('is told of event types and entities, from any file', async () => {
    const declared = 'events: { e: { a: string }, f: { a: string } }\nentities: { k: string, l: string }\n';
    const about =
      'about:\n  events: { e: an event, f: { owner: me } }\n---\nabout:\n  entities: { k: { description: a key, owner: me } }\n';
    const { events, entities } = await planOf(declared, about);
    const texts = ({ name, description, owner }: { name: string; description?: string; owner?: string }) =>
      [name, description, owner] as const;
    expect(events.map(texts)).toEqual([
      ['e', 'an event', undefined],
      ['f', undefined, 'me'],
    ]);
    expect(entities.map(texts)).toEqual([
      ['k', 'a key', 'me'],
      ['l', undefined, undefined],
    ]);
  });

  const REFUSED_ABOUT: [marked: string, message: string][] = [
    ['about: { events: { «sail»: one } }', 'about: events has no "sail"; declare it there'],
    ['about: { entities: { «sale»: one } }', 'about: entities has no "sale"; declare it there'],
    ['about: { «event»: { sale: one } }', 'unknown key "event"; did you mean "events"?'],
    ['about: { events: { sale: «4» } }', 'sale: got 4, wanted a description, or a mapping with description and owner'],
    ['about: { events: { sale: { «ower»: me } } }', 'unknown key "ower"; did you mean "owner"?'],
    ['about: «sale»', 'about: got "sale", wanted a mapping'],
    [
      'about: { events: { sale: one } }\n---\nabout: { events: { «sale»: two } }',
      'about: sale is there twice in events',
    ],
  ];
  test.each(REFUSED_ABOUT)('%s', async (marked, message) => {
    const { text, expected } = unmark('0.yaml', `events: { sale: { a: string } }\n---\n${marked}\n`, [message]);
    expect(await faultsOf(text)).toEqual(expected);
  });
});
