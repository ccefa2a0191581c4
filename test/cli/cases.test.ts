import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCases } from '../../src/cli/cases.ts';
import { parseConfig } from '../../src/cli/config.ts';
import { isSame, parsePlain, runCase, writeExpected } from '../../src/cli/outcome.ts';

const DEFINITIONS = `
events:
  view: { post: string, ms: int64, lang: string? }
entities: { post: string }
---
feature_set: views
description: how a post is watched
owner: tests
entity: post
source: view
windows: [1h, lifetime]
sql: SELECT post, COUNT(*) AS n, AVG(ms) AS mean, LAST_N(lang, 2) AS langs, SUM(ms) AS ms FROM view GROUP BY post
`;

const EVENTS = [
  ['10:00:00', { post: 'a', ms: 1, lang: 'hi' }],
  ['10:30:00', { post: 'b', ms: 9007199254740993n }],
  ['11:00:30', { post: 'a', ms: 4, lang: 'en' }],
  ['11:00:20', { post: 'a', ms: 'none' }],
] as const;

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tilefold-cases-'));
});
afterAll(() => rm(root, { recursive: true }));

/** A case of its own in a folder of its own. */
async function folderOf(name: string, expected: string | null, file = 'expected.yaml'): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder);
  await writeFile(join(folder, 'views.yaml'), DEFINITIONS);
  const lines = EVENTS.map(([time, data]) => {
    const fields = Object.entries(data).map(
      ([key, value]) => `"${key}":${typeof value === 'string' ? `"${value}"` : value}`,
    );
    return `{"type":"view","time":"2026-03-01T${time}Z","data":{${fields.join(',')}}}\n`;
  });
  await writeFile(join(folder, 'events.ndjson'), lines.join(''));
  if (expected !== null) await writeFile(join(folder, file), expected);
  return folder;
}

const read = async (folder: string) => (await readCases(folder, parseConfig(join(root, 'tilefold.yaml'), '')))[0]!;
const outcomeOf = async (folder: string) => runCase(await read(folder));
const shown = async (folder: string) =>
  (await outcomeOf(folder)).differences.map(({ of, name, expected, got }) => `${of} | ${name}: ${expected} -> ${got}`);

const RIGHT = `
- event: 0
  features: { views:n_1h: 1, views:langs_1h: [hi], views:mean_1h: 1 }
- features: { views:ms_1h: 9007199254740993 }
- event: 3
  bad: wrong_type
- lookup: { post: a }
  at: 2026-03-01T10:59:59Z
  features: { views:n_1h: 1, views:n_lifetime: 1 }
- lookup: { post: a }
  features: { views:n_lifetime: 2, views:mean_lifetime: 2.5, views:langs_lifetime: [en, hi] }
- lookup: { post: nobody }
  statuses: { views:n_lifetime: NOT_FOUND, views:n_1h: NOT_FOUND }
`;

test('what is right passes', async () => {
  expect(await shown(await folderOf('right', RIGHT))).toEqual([]);
});

test('what is not is told with the event or the lookup, and both values', async () => {
  const wrong = RIGHT.replace('_993', '_992')
    .replace('9007199254740993', '9007199254740992')
    .replace('[hi]', '[en]')
    .replace('views:n_lifetime: 2,', 'views:n_lifetime: 3,')
    .replace('  bad: wrong_type\n', '  bad: missing\n')
    .replace('views:n_1h: NOT_FOUND', 'views:n_1h: null');
  expect(await shown(await folderOf('wrong', wrong))).toEqual([
    'event 0, view at 2026-03-01T10:00:00Z | views:langs_1h: ["en"] -> ["hi"]',
    'event 1, view at 2026-03-01T10:30:00Z | views:ms_1h: 9007199254740992 -> 9007199254740993',
    'event 3, view at 2026-03-01T11:00:20Z | bad: missing -> wrong_type: input ms is no int64',
    'post "a" at 2026-03-01T11:00:30Z | views:n_lifetime: 3 -> 2',
    'post "nobody" at 2026-03-01T11:00:30Z | views:n_1h: no status -> NOT_FOUND',
  ]);
});

test('an event that counts nowhere fails a case that does not say so', async () => {
  const silent = RIGHT.replace('- event: 3\n  bad: wrong_type\n', '');
  expect(await shown(await folderOf('silent', silent))).toEqual([
    'event 3, view at 2026-03-01T11:00:20Z | bad: a good event -> wrong_type: input ms is no int64',
  ]);
});

test.each(['expected.yaml', 'expected.ndjson'])(
  '%s is written anew where it was wrong, and passes then',
  async file => {
    const lines = '{"features":{"views:n_1h":7}}\n{"event":1,"features":{"views:ms_1h":1}}\n{"event":3,"bad":"x"}\n';
    // That the last event counts nowhere is said by nobody yet.
    const yaml = `# kept\n- features: { views:n_1h: 7 } # and this\n`;
    const folder = await folderOf(`update-${file}`, file.endsWith('.yaml') ? yaml : lines, file);
    await writeExpected(await read(folder), await outcomeOf(folder));
    expect(await shown(folder)).toEqual([]);
    const text = await readFile(join(folder, file), 'utf8');
    if (file.endsWith('.yaml')) expect(text).toContain('# and this');
    else expect(text).toContain('9007199254740993');
  },
);

test('a case that expects nothing yet fails, and is written with all that came out', async () => {
  const folder = await folderOf('empty', null);
  const differences = await shown(folder);
  expect(differences).toContain('event 2, view at 2026-03-01T11:00:30Z | views:n_lifetime: nothing yet -> 2');
  await writeExpected(await read(folder), await outcomeOf(folder));
  expect(await shown(folder)).toEqual([]);
});

test.each([
  ['- lookup: { pst: a }', 'there is no entity pst; did you mean "post"?'],
  ['- lookup: { post: a }\n  features: { views:m_1h: 1 }', 'there is no feature views:m_1h; did you mean'],
  ['- event: 0\n  features: { views:m_1h: 1 }', 'there is no feature views:m_1h; did you mean'],
  ['- event: 9', 'there is no event 9'],
  ['- event: 0\n  lookup: { post: a }', 'an item is of an event or a lookup, not both'],
  ['- lookup: { post: a }\n  at: noon', 'at: wanted an RFC 3339 time or epoch milliseconds'],
  ['- event: 0\n  at: 5', 'at: only a lookup has a moment'],
  ['- event: -1', 'event: '],
  ['- evnt: 0', 'unknown key "evnt"'],
  ['{}', 'wanted a list'],
])('%p is refused', async (expected, message) => {
  const folder = await folderOf(`refused-${Bun.hash(expected)}`, expected);
  expect(outcomeOf(folder)).rejects.toThrow(message);
});

test('a line that is no event is a fault with its place', async () => {
  const folder = await folderOf('torn', RIGHT);
  await writeFile(join(folder, 'events.ndjson'), '{"type":"view"');
  expect(outcomeOf(folder)).rejects.toThrow('not valid JSON');
  expect(readCases(join(root, 'torn', 'views.yaml'), parseConfig('', ''))).rejects.toThrow('cannot be read');
});

test('numbers are the same by size, and exactly where both are whole', () => {
  expect(isSame(2n, 2)).toBe(true);
  expect(isSame(9007199254740993n, 9007199254740992n)).toBe(false);
  expect(isSame(parsePlain('[1, {"a": null}]'), [1n, { a: null }])).toBe(true);
  expect(isSame([1n], [1n, 2n])).toBe(false);
  expect(isSame({ a: 1n }, { b: 1n })).toBe(false);
  expect(isSame(null, 0n)).toBe(false);
  expect(isSame('1', 1n)).toBe(false);
});

const CONFORMANCE = join(import.meta.dir, '../cases/scowl');

test('topologies do what the pages of their language say', async () => {
  const cases = await readCases(CONFORMANCE, parseConfig(join(root, 'tilefold.yaml'), ''));
  expect(cases.length).toBeGreaterThan(30);
  for (const one of cases) {
    const { differences, values } = await runCase(one);
    expect({ name: one.name, differences }).toEqual({ name: one.name, differences: [] });
    expect(values).toBeGreaterThan(0);
  }
});
