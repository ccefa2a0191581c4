/** The door: what may enter the log, from bodies of either format, judged by JSON.parse. */
import { expect, test } from 'bun:test';
import { admit, type Admitted } from '../../src/kernel/door.ts';
import { PROBLEMS } from '../../src/kernel/ndjson.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { Random } from '../sim/random.ts';
import { bytesOf } from './columns.ts';
import { damage } from './json_text.ts';

const BATCH_ROWS = 4096;
const kernel = await loadKernel();

const good = (i: number) => ({ type: 'e', time: i, data: { s: 'é\n', n: [i, { x: null }] } });

function admitted(body: Uint8Array | string, format: 'json' | 'ndjson'): Admitted {
  const outcome = admit(kernel, typeof body === 'string' ? bytesOf(body) : body, format);
  if ('problem' in outcome) throw new Error(PROBLEMS[outcome.problem]!.reason);
  return outcome;
}

function problem(body: string): string {
  const outcome = admit(kernel, bytesOf(body), 'json');
  return 'problem' in outcome ? PROBLEMS[outcome.problem]!.code : `${outcome.count} accepted`;
}

/** The log's lines, which end in a newline each. */
function records(lines: Uint8Array): unknown[] {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(lines);
  expect(text === '' || text.endsWith('\n')).toBe(true);
  // Breaks of a body's own lines have become spaces.
  expect(text).not.toContain('\r');
  return text
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as unknown);
}

test('one object, compact and over lines, with white space around it', () => {
  for (const body of [
    JSON.stringify(good(1)),
    JSON.stringify(good(1), null, 2),
    ` \r\n\t${JSON.stringify(good(1), null, '\r\n')}\n `,
  ]) {
    const { lines, count, rejected } = admitted(body, 'json');
    expect([records(lines), count, rejected]).toEqual([[good(1)], 1, []]);
  }
});

test('an array, compact and over lines', () => {
  const list = Array.from({ length: 20 }, (_, i) => good(i));
  for (const body of [
    JSON.stringify(list),
    JSON.stringify(list, null, '\t'),
    `\n[\r\n${list.map(one => JSON.stringify(one)).join('\n,\n')}\n]\n`,
  ]) {
    const { lines, count, rejected } = admitted(body, 'json');
    expect([records(lines), count, rejected]).toEqual([list, 20, []]);
  }
  expect(admitted(' [ ] ', 'json')).toEqual({ lines: new Uint8Array(0), count: 0, rejected: [] });
});

test('rejected elements are named by their place in the array, from 1', () => {
  const list = [good(0), 1, good(2), {}, { type: 'e' }, [good(5)], { type: 'e', time: 'x' }, good(7), null, 'null'];
  const { lines, count, rejected } = admitted(JSON.stringify(list, null, 1), 'json');
  expect([records(lines), count]).toEqual([[good(0), good(2), good(7)], 3]);
  expect(rejected.map(({ line, code }) => [line, code])).toEqual([
    [2, 'not_object'],
    [4, 'no_type'],
    [5, 'no_time'],
    [6, 'not_object'],
    [7, 'bad_time'],
    [10, 'not_object'],
  ]);
  expect(JSON.parse(rejected[1]!.sample)).toEqual({});
});

test('one record of a json body may be rejected alone', () => {
  expect(admitted('7', 'json').rejected.map(({ line, code }) => [line, code])).toEqual([[1, 'not_object']]);
  expect(admitted('{"type":"e"}', 'json').rejected.map(({ line, code }) => [line, code])).toEqual([[1, 'no_time']]);
});

test('an element may be 1 MiB, and no byte more', () => {
  const element = (size: number) => {
    const head = '{"type":"e","time":0,"x":"';
    return `${head}${'x'.repeat(size - head.length - 2)}"}`;
  };
  const { count, rejected } = admitted(`[${element(1 << 20)},${element((1 << 20) + 1)}]`, 'json');
  expect([count, rejected.map(({ line, code }) => [line, code])]).toEqual([1, [[2, 'too_long']]]);
});

test('a line may be blank, but for no longer than 1 MiB', () => {
  const { count, rejected } = admitted(`${' '.repeat(1 << 20)}\n${' '.repeat((1 << 20) + 1)}\n`, 'ndjson');
  expect([count, rejected.map(({ line, code }) => [line, code])]).toEqual([0, [[2, 'too_long']]]);
});

test('of a broken json body nothing is accepted', () => {
  const one = JSON.stringify(good(1));
  const broken = [
    ...[
      '',
      ' ',
      one.slice(0, -1),
      `${one}${one}`,
      `${one}\n${one}`,
      `${one},`,
      `[${one}`,
      `[${one},]`,
      `[,${one}]`,
      `[${one}]]`,
    ],
    ...[
      `[${one} ${one}]`,
      `[${one},{"type":"e","time":0,"x":f`,
      'f',
      '[f',
      '[',
      ']',
      `${one}]`,
      `[${one}]\0`,
      '\ufeff[]',
    ],
  ];
  for (const body of broken) expect([body, problem(body)]).toEqual([body, 'not_json']);
  expect(problem(`[${one},${'['.repeat(65)}${']'.repeat(65)}]`)).toBe('too_deep');
  const cut = new Uint8Array([...bytesOf(`[${one},{"type":"`), 0xc3, ...bytesOf('"}]')]);
  const outcome = admit(kernel, cut, 'json');
  expect('problem' in outcome && PROBLEMS[outcome.problem]!.code).toBe('bad_utf8');
});

test('json: every cut and damage of a body is taken or refused whole, as JSON.parse would', () => {
  const rng = new Random(9);
  const body = bytesOf(JSON.stringify([good(1), good(2), 3, good(4)], null, 1));
  const variants = [
    ...Array.from(body, (_, at) => body.slice(0, at)),
    ...Array.from({ length: 4000 }, () => damage(body, rng)),
  ];
  let taken = 0;
  for (const bytes of variants) {
    const outcome = admit(kernel, bytes, 'json');
    let parsed: unknown;
    try {
      parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    } catch {
      if (!('problem' in outcome) || outcome.problem === 0)
        throw new Error(`taken, or no reason: ${new TextDecoder().decode(bytes)}`);
      continue;
    }
    taken++;
    if ('problem' in outcome) throw new Error(`refused: ${new TextDecoder().decode(bytes)}`);
    const rejected = new Set(outcome.rejected.map(({ line }) => line - 1));
    const elements: unknown[] = Array.isArray(parsed) ? parsed : [parsed];
    expect(records(outcome.lines)).toEqual(elements.filter((_, i) => !rejected.has(i)));
    expect(outcome.count + rejected.size).toBe(elements.length);
  }
  expect(taken).toBeGreaterThan(100);
});

test('ndjson: each line by itself, as it stands, without its line end', () => {
  const one = JSON.stringify(good(1));
  const { lines, count, rejected } = admitted(`${one}\r\n\n  ${one} \n{\n[${one}]\r\n7\n${one}`, 'ndjson');
  expect(new TextDecoder().decode(lines)).toBe(`${one}\n  ${one} \n${one}\n`);
  expect([count, rejected.map(({ line, code }) => [line, code])]).toEqual([
    3,
    [
      [4, 'not_json'],
      [5, 'not_object'],
      [6, 'not_object'],
    ],
  ]);
  expect(admitted('', 'ndjson')).toEqual({ lines: new Uint8Array(0), count: 0, rejected: [] });
  expect(admitted('\n\n\r\n', 'ndjson')).toEqual({ lines: new Uint8Array(0), count: 0, rejected: [] });
});

test('ndjson: more rejected lines than a batch lists, with lines counted through', () => {
  const lines = Array.from({ length: BATCH_ROWS * 2 + 11 }, (_, i) =>
    i % 1000 === 999 ? JSON.stringify(good(i)) : `${i}`,
  );
  const outcome = admitted(lines.join('\n'), 'ndjson');
  expect(records(outcome.lines)).toEqual([999, 1999, 2999, 3999, 4999, 5999, 6999, 7999].map(good));
  expect(outcome.rejected.map(({ line }) => line)).toEqual(lines.flatMap((_, i) => (i % 1000 === 999 ? [] : [i + 1])));
});

test('json: an array with more rejected elements than can be listed is refused whole, one less is not', () => {
  const list = (count: number) => `[${Array.from({ length: count }, (_, i) => i).join()},${JSON.stringify(good(1))}]`;
  expect(admitted(list(BATCH_ROWS), 'json').rejected.length).toBe(BATCH_ROWS);
  expect(problem(list(BATCH_ROWS + 1))).toBe('too_many');
});
