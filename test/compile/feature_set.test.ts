import { describe, expect, test } from 'bun:test';
import { featureHash, planHash } from '../../src/plan/canonical.ts';
import { isTiled, keptLevels, readsOf } from '../../src/plan/window.ts';
import { expectSetFaults, FLIGHT, planOf, selectOf, setOf, show, showFeatures } from './marked.ts';

const COUNTED = 'SELECT origin, COUNT(*) AS n FROM flight GROUP BY origin';

function withWindows(windows: string, more = ''): string {
  return setOf(COUNTED, more).replace('[2h]', windows);
}

async function featuresOf(text: string): Promise<string[]> {
  return showFeatures(await planOf(FLIGHT, text));
}

describe('windows and tiles', () => {
  test('the resolution is the coarsest tile not above a 24th, or as written', async () => {
    expect(await featuresOf(withWindows('[2h, 1d, 5d@1m, 120d, lifetime]'))).toEqual([
      's:n_2h = [s:n 7200000/60000]: int64',
      's:n_1d = [s:n 86400000/1800000]: int64',
      's:n_5d = [s:n 432000000/60000]: int64',
      's:n_120d = [s:n 10368000000/86400000]: int64',
      's:n_lifetime = [s:n lifetime]: int64',
    ]);
  });
  test('windows that are over, and series of them, the latest first', async () => {
    const windows = [
      '1d offset 7d',
      '3x90m@1m offset 10m',
      'tumbling 1h',
      'tumbling 45m',
      'hopping 1d  every 6h',
      '2 x tumbling 1d',
    ];
    expect(await featuresOf(withWindows(JSON.stringify(windows)))).toEqual([
      's:n_1d_offset_7d = [s:n 1d@30m offset 7d]: int64',
      's:n_3x90m_offset_10m = list([s:n 1h30m@1m offset 10m], [s:n 1h30m@1m offset 1h40m], [s:n 1h30m@1m offset 3h10m]): list',
      's:n_1h_tumbling = [s:n tumbling 1h]: int64',
      's:n_45m_tumbling = [s:n tumbling 45m]: int64',
      's:n_1d_every_6h = [s:n hopping 1d every 6h]: int64',
      's:n_2x1d_tumbling = list([s:n tumbling 1d], [s:n tumbling 1d offset 1d]): list',
    ]);
    const plan = await planOf(FLIGHT, withWindows('[tumbling 1h, tumbling 45m, hopping 2d every 1d, 2 x 1d]'));
    const reads = readsOf('s:n', plan).map(({ window }) => window);
    expect(reads.map(window => (isTiled(window) ? window.resolutionMs / 60_000 : null))).toEqual([30, 1, 1440, 30, 30]);
    expect(plan.features.at(-1)).toMatchObject({ name: 's:n_2x1d', description: 'COUNT(*) over 2 x 1d' });
  });
  test('an exact window is made of milliseconds, and has a name of its own', async () => {
    const text = withWindows('[10m, exact 10m]', 'tiles: [1ms, 1s, 1m, 30m, 1d]\n');
    expect(await featuresOf(text)).toEqual([
      's:n_10m = [s:n 600000/1000]: int64',
      's:n_10m_exact = [s:n exact 10m]: int64',
    ]);
    const plan = await planOf(FLIGHT, text);
    expect(keptLevels(plan.aggregates[0]!, plan).map(({ levelMs }) => levelMs)).toEqual([
      ...[1, 1000, 60_000, 1_800_000, 86_400_000],
    ]);
  });
  test('tiles are kept as long as any window reaches back', async () => {
    const kept = async (windows: string) => {
      const plan = await planOf(FLIGHT, withWindows(windows));
      return keptLevels(plan.aggregates[0]!, plan).map(
        ({ levelMs, ttlMs }) => `${levelMs / 60_000}m ${ttlMs / 3_600_000}h`,
      );
    };
    // The reach, one tile, and an hour of lateness.
    expect(await kept('[1d]')).toEqual(['30m 25.5h', '1440m 49h']);
    expect(await kept('[1d offset 7d]')).toEqual(['30m 193.5h', '1440m 217h']);
    expect(await kept('[7 x 1d]')).toEqual(['30m 169.5h', '1440m 193h']);
    expect(await kept('[hopping 1d every 6h]')).toEqual(['30m 31.5h', '1440m 55h']);
    expect(await kept('[tumbling 1d, 2h]')).toEqual(['1m 3.0166666666666666h', '30m 3.5h', '1440m 73h']);
  });
  test('tiles and their offset are kept with the aggregate', async () => {
    const plan = await planOf(FLIGHT, withWindows('[90m]', 'tiles: [10s, 1m, 1h]\ntile_offset: 30m\n'));
    expect(plan.aggregates[0]!.tiles).toEqual({ levelsMs: [10_000, 60_000, 3_600_000], offsetMs: 1_800_000 });
    expect(showFeatures(plan)).toEqual(['s:n_90m = [s:n 5400000/60000]: int64']);
    const usual = await planOf(FLIGHT, withWindows('[1d]'));
    expect(usual.aggregates[0]!.tiles).toEqual({ levelsMs: [60_000, 1_800_000, 86_400_000], offsetMs: 0 });
  });
});

describe('keys', () => {
  const byRoute = 'SELECT destination, origin, COUNT(*) AS n FROM flight GROUP BY';
  const route = (groupBy: string, key: string) =>
    setOf(`${byRoute} ${groupBy}`, key).replace('entity: origin', 'entity: route');
  for (const [groupBy, key, keys] of [
    ['origin, destination', '', ['origin', 'destination']],
    ['2, 1', '', ['origin', 'destination']],
    ['destination, origin', '', ['destination', 'origin']],
    ['destination, origin', 'key: [origin, destination]\n', ['origin', 'destination']],
  ] as const)
    test(`GROUP BY ${groupBy} ${key}`, async () => {
      const plan = await planOf(FLIGHT, route(groupBy, key));
      expect(plan.aggregates[0]!.keys.map(show)).toEqual([...keys]);
      expect(plan.sets[0]!.keys.map(show)).toEqual([...keys]);
    });
  test('a column may file an entity under another name', async () => {
    const sql = 'SELECT COUNT(*) AS n FROM flight GROUP BY destination';
    const plan = await planOf(FLIGHT, setOf(sql, 'key: destination\n'));
    expect(plan.aggregates[0]).toMatchObject({ entity: 'origin', keys: [{ kind: 'column', name: 'destination' }] });
  });
});

describe('a feature set in the plan', () => {
  test('has its texts, and places for all that it makes', async () => {
    const plan = await planOf(
      FLIGHT,
      setOf(COUNTED, 'description: how many\nowner: me\nderive: { twice: n_2h * 2 }\n'),
    );
    expect(plan.latenessMs).toBe(3_600_000);
    expect(plan.sets).toMatchObject([
      {
        name: 's',
        description: 'how many',
        owner: 'me',
        entity: 'origin',
        event: 'flight',
        sql: `${COUNTED}\n`,
        at: { file: '1.yaml', line: 1, column: 14, length: 1 },
      },
    ]);
    expect(plan.features).toMatchObject([
      {
        name: 's:n_2h',
        set: 's',
        entity: 'origin',
        description: 'COUNT(*) over 2h',
        at: { line: 9, column: 30, length: 1 },
      },
      { name: 's:twice', set: 's', entity: 'origin', description: 'n_2h * 2', at: { line: 7, column: 11, length: 5 } },
    ]);
    expect(plan.aggregates).toMatchObject([{ name: 's:n', event: 'flight', at: { line: 9, column: 18, length: 8 } }]);
    const { expression } = plan.features[0]!;
    expect(expression.kind === 'read' && expression.read).toMatchObject({ keys: null, after: null, exclusive: false });
  });
});

describe('derived features', () => {
  test('take elements of lists, their lengths, and whole lists', async () => {
    const derive = 'derive:\n  a: l_2h[2]\n  b: LEN(l_2h) > 1\n  c: COALESCE(l_2h, NULL)\n';
    const features = await featuresOf(setOf(selectOf('LAST_N(delay, 3) AS l'), derive));
    expect(features.slice(1).map(text => text.split(': ').at(-1))).toEqual(['int64', 'bool', 'list']);
  });
  test('refer to features of their set, derived ones too, in any order', async () => {
    const derive = 'derive:\n  c: b + COALESCE(a, 0.5)\n  a: n_2h / 2\n  b: "CASE WHEN n_2h > 1 THEN\\n a END"\n';
    const features = await featuresOf(setOf(COUNTED, derive));
    expect(features.slice(1).sort()).toEqual([
      's:a = divide(s:n_2h, 2): double',
      's:b = case(greater(s:n_2h, 1), s:a, null:double): double',
      's:c = add(s:b, coalesce(s:a, 0.5d)): double',
    ]);
  });
  for (const [derive, ...messages] of [
    ['a: «n_2hh» / 2', 'feature set s has no feature "n_2hh"; did you mean "n_2h"?'],
    ['a: b + 1\n  b: n_2h + c\n  c: -«a»', 'a feature cannot be derived from itself: a -> b -> c -> a'],
    ['a: «a» + n_2h', 'a feature cannot be derived from itself: a -> a'],
    ['«n_2h»: n_2h + 1', 'n_2h is a feature of the windows already; call this one something else'],
    ['a: «COUNT»(*) + 1', 'derive: reads features of this set; put COUNT(*) into sql under a name'],
    ["a: n_2h «=» 'x'", '= compares values of one type, got int64 and string'],
    ['a: n_2h / 2 «AS» b', '"AS" is not understood here; wanted the end of the expression'],
    ['a: n_2h«,» 2', '"," is not understood here; wanted the end of the expression'],
    ['a: n_2h «FROM» flight', 'FROM comes after SELECT'],
    ['a: (n_2h «+»', 'SQL: Unexpected token: Plus'],
    ['a: «5»', 'a: got 5, wanted an expression over features of this set'],
    ['«a b»: n_2h', 'a name is letters, digits and _, and begins with a letter'],
    ["a: 'n_2h + «''x''» + «nn»'", '+ wants int64 or double, got string', 'feature set s has no feature "nn"'],
    ['a: "n_2h\\t+«\\u00e9» + «nn»"', 'feature set s has no feature "é"', 'feature set s has no feature "nn"'],
    ['a: >\n    n_2h\n    + 1\n\n    + «nn»', 'feature set s has no feature "nn"'],
    ['a: n_2h\n     + «nn»', 'feature set s has no feature "nn"'],
  ] as [string, ...string[]][])
    test(derive, async () => {
      await expectSetFaults(setOf(COUNTED, `derive:\n  ${derive}\n`), messages);
    });
});

const WINDOW_WANTED =
  'wanted a window: 2h, 5d@1m, 1d offset 7d, 7 x 1d, tumbling 1h, hopping 1d every 1h, exact 10m or lifetime';

const REFUSED: [marked: string, ...messages: string[]][] = [
  [withWindows('[2h, «120m»]'), 'windows: 120m is as long as 2h; one of them is enough'],
  [withWindows('[«2x»]'), `windows: got "2x", ${WINDOW_WANTED}`],
  [
    withWindows('[«0s», «1d@», «1d@1m@1m», «5»]'),
    ...['"0s"', '"1d@"', '"1d@1m@1m"', '5'].map(got => `windows: got ${got}, ${WINDOW_WANTED}`),
  ],
  ...[
    ...[
      'tumbling',
      'hopping 1d',
      '1d every 1h',
      'tumbling 1d every 1h',
      'hopping 1d every 0s',
      '1d offset',
      '1d offset 0s',
    ],
    ...[
      'offset 1d',
      '0 x 1d',
      'x 1d',
      '7 x',
      '7 x lifetime',
      'tumbling lifetime',
      'lifetime offset 1d',
      'tumbling 1h@1m',
    ],
    ...[
      '7 x 7 x 1d',
      '1d offset 1d offset 1d',
      'sliding 1d',
      'exact',
      'exact 1h@1m',
      'exact 1h offset 1d',
      '2 x exact 1h',
      'exact 1h every 1m',
      'exact lifetime',
      '7 x 1d every 1h',
      '1d  offset  7d x',
      '1.5d',
      '-1d',
    ],
  ].map((text): [string, string] => [withWindows(`[«${text}»]`), `windows: got "${text}", ${WINDOW_WANTED}`]),
  [
    withWindows('[1d offset 7d, «24h  offset 168h»]'),
    'windows: 24h offset 168h is as long as 1d offset 7d; one of them is enough',
  ],
  [
    withWindows('[tumbling 1d, «hopping 24h every 1d»]'),
    'windows: hopping 24h every 1d is as long as tumbling 1d; one of them is enough',
  ],
  [
    withWindows('[«hopping 1h every 1d»]'),
    'windows: hopping 1h every 1d leaves out what lies between one and the next; wanted a length of at least 1d, got 1h',
  ],
  [
    withWindows('[«tumbling 90s»]'),
    'windows: tumbling 90s begins or ends within a tile of 1m; add a finer one to tiles',
  ],
  [
    withWindows('[«hopping 1h every 90s»]'),
    'windows: hopping 1h every 90s begins or ends within a tile of 1m; add a finer one to tiles',
  ],
  [
    withWindows('[«exact 10m»]'),
    'windows: exact 10m is made of tiles of 1ms, which are none of 1m, 30m, 1d; write tiles: [1ms, 1s, 1m, 30m, 1d]',
  ],
  [
    withWindows('[exact 10m, «exact 600s»]', 'tiles: [1ms, 1s, 1m, 30m, 1d]\n'),
    'windows: exact 600s is as long as exact 10m; one of them is enough',
  ],
  [withWindows('[«1d@5m offset 7d»]'), 'windows: 5m is none of the tiles: 1m, 30m, 1d'],
  [withWindows('[«30s offset 7d»]'), 'windows: 30s offset 7d is shorter than a tile of 1m; add a finer one to tiles'],
  [withWindows('[«65 x 1d»]'), 'windows: 65 x 1d are 65 windows, and at most 64 are read together'],
  [
    withWindows('[«tumbling 365d»]', 'tiles: [1m]\n'),
    'windows: tumbling 365d takes 525601 tiles to answer, and at most 4096 are read; add a coarser one to tiles',
  ],
  [
    setOf(selectOf('LAST_N(delay, 3) AS «l»')).replace('[2h]', '[2h, 7 x 1d]'),
    'l is [int64], and over 7 x 1d it would be a list of such; keep it in a set without a series',
  ],
  [
    setOf(selectOf('COUNT(*) AS n_1d_offset, COUNT(*) AS «n»')).replace('[2h]', '[7d, 1d offset 7d]'),
    's:n_1d_offset_7d would be COUNT(*) over 7d and COUNT(*) over 1d offset 7d; give one of them another name',
  ],
  [withWindows('«[]»'), 'windows: got none, wanted at least one window'],
  [withWindows('[«2h@5m»]'), 'windows: 5m is none of the tiles: 1m, 30m, 1d'],
  [withWindows('[«30s»]'), 'windows: 30s is shorter than a tile of 1m; add a finer one to tiles'],
  [
    withWindows('[«365d»]', 'tiles: [1m, 30m]\n'),
    'windows: 365d takes 17521 tiles to answer, and at most 4096 are read; add a coarser one to tiles',
  ],
  [
    withWindows('[2h]', 'tiles: [1m, «90s», 3m]\n'),
    'tiles: each has to be a whole number of the one before it, and 1m30s is none of 1m',
  ],
  [withWindows('[2h]', 'tiles: [1m, «10»]\n'), 'tiles: got 10, wanted a duration like 30m, 1d or 1h30m'],
  [withWindows('[2h]', 'tile_offset: «1d»\n'), 'tile_offset: 1d is not shorter than the coarsest tile, 1d'],
  [setOf(COUNTED).replace('origin', '«orgin»'), 'unknown entity "orgin"; did you mean "origin"?'],
  [setOf(COUNTED).replace('source: flight', 'source: «view»'), 'unknown event type "view"; declare it under events:'],
  [
    setOf(COUNTED).replace('source: flight', '«sourc»: flight').replace('feature_set', '«feature_set»'),
    'source is missing from the feature set',
    'unknown key "sourc"; did you mean "source"?',
  ],
  [
    setOf(COUNTED).replace('feature_set: s', 'feature_set: «a-b»'),
    'feature_set: a name is letters, digits and _, and begins with a letter',
  ],
  [setOf(COUNTED, 'key: «orgin»\n'), 'key: GROUP BY has no column "orgin"; did you mean "origin"?'],
  [setOf(COUNTED, 'key: [origin, «origin»]\n'), 'key: origin is named twice'],
  [
    setOf('SELECT COUNT(*) AS n FROM flight GROUP BY origin, destination', 'key: «origin»\n'),
    "key: GROUP BY also has destination; every column of GROUP BY is a part of the entity's key",
  ],
  [setOf(COUNTED, 'description: «5»\n'), 'description: got 5, wanted a text'],
  [setOf(COUNTED, 'derive: «[a]»\n'), 'derive: got a list, wanted a mapping'],
];

describe('what is refused, by name and place', () => {
  for (const [marked, ...messages] of REFUSED) test(messages.join(), () => expectSetFaults(marked, messages));
  test('one fault does not hide another', async () => {
    const sql = 'SELECT origin, SUM(«ok») AS a, COUNT(*) AS b FROM flight WHERE «delay» GROUP BY origin';
    const text = setOf(sql, 'owner: «1»\ntiles: [1m, «1»]\nderive: { x: a_2h + 1, y: b_2h «+» }\n');
    await expectSetFaults(text, [
      'owner: got 1, wanted a text',
      'tiles: got 1, wanted a duration like 30m, 1d or 1h30m',
      'SQL: Unexpected token: Plus',
      'SUM wants int64 or double, got bool; write CASE WHEN ok THEN 1 ELSE 0 END',
      'WHERE wants a condition (bool), got int64; write delay <> 0',
    ]);
  });
  test('what a faulty item would be called is not missed elsewhere', async () => {
    const sql = 'SELECT origin, SUM(«ok») AS a, COUNT(*) AS b FROM flight GROUP BY origin';
    await expectSetFaults(setOf(sql, 'derive: { x: a_2h / b_2h }\n'), [
      'SUM wants int64 or double, got bool; write CASE WHEN ok THEN 1 ELSE 0 END',
    ]);
  });
});

describe('texts for people', () => {
  const said =
    'description: how many\nversion: 3\ndescribe: { n: flights, twice: two for each }\nunits: { twice: halves }\nderive: { twice: n_2h * 2 }\n';

  test('are of items over all their windows, and of derived features', async () => {
    const plan = await planOf(FLIGHT, withWindows('[2h, lifetime]', said));
    expect(plan.sets[0]!.version).toBe(3);
    expect(plan.features.map(({ name, about, units }) => [name, about, units])).toEqual([
      ['s:n_2h', 'flights', undefined],
      ['s:n_lifetime', 'flights', undefined],
      ['s:twice', 'two for each', 'halves'],
    ]);
  });

  test('leave no trace in what is computed', async () => {
    const [bare, told] = [
      await planOf(FLIGHT, setOf(COUNTED)),
      await planOf(FLIGHT, setOf(COUNTED, 'units: { n: 1s }\n')),
    ];
    expect(planHash(told)).toBe(planHash(bare));
    expect(featureHash(told.features[0]!, told)).toBe(featureHash(bare.features[0]!, bare));
  });

  test('are of what there is', async () => {
    await expectSetFaults(
      setOf(COUNTED, 'units: { «m»: flights }\ndescribe: { n: all, «n_2h»: those of two hours }\n'),
      ['units: feature set s has no item "m"; it has n', 'describe: feature set s has no item "n_2h"; it has n'],
    );
    await expectSetFaults(setOf(COUNTED, 'units: { n: «4» }\nversion: «0»\n'), [
      'n: got 4, wanted what an item or a derived feature is counted in, such as minutes',
      'version: wanted a whole number from 1',
    ]);
  });
});
