/** The kernel and its glue number instructions, and reasons to refuse, alike. */
import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { Op } from '../../src/kernel/expression.ts';
import { Assertion, State } from '../../src/plan/regex.ts';
import { WRONGS } from '../../src/kernel/fault.ts';
import { BADS, PROBLEMS } from '../../src/kernel/ndjson.ts';
import { STATUS } from '../../src/kernel/window.ts';

/** Members of an enum in assembly/, in order. */
async function membersOf(file: string, name: string): Promise<string[]> {
  const text = await readFile(new URL(`../../assembly/${file}`, import.meta.url), 'utf8');
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(text)![1]!;
  return body
    .replaceAll(/\/\*\*[\s\S]*?\*\/|\/\/.*/g, '')
    .split(',')
    .map(member => member.trim())
    .filter(Boolean);
}

test('instructions', async () => {
  const ours = Object.keys(Op).filter(name => Number.isNaN(Number(name)));
  expect(ours).toEqual(await membersOf('op.ts', 'Op'));
});

test('what a regular expression is made of', async () => {
  const names = (of: object) => Object.keys(of).filter(name => Number.isNaN(Number(name)));
  expect(names(State)).toEqual(await membersOf('regex.ts', 'State'));
  expect(names(Assertion)).toEqual(await membersOf('regex.ts', 'Assertion'));
});

test('what is to be said of a value', async () => {
  const ours: string[] = STATUS.map(status => status ?? 'NONE');
  expect(ours).toEqual(await membersOf('register.ts', 'Status'));
});

test('why a line is no record, why an event is bad, and what is wrong with an input', async () => {
  const codes = (list: readonly { code: string }[]) => list.map(({ code }) => code.toUpperCase());
  expect(codes(PROBLEMS)).toEqual(await membersOf('json.ts', 'Problem'));
  expect(codes(BADS)).toEqual(await membersOf('event_type.ts', 'Bad'));
  expect(codes(WRONGS)).toEqual(await membersOf('fault.ts', 'Wrong'));
});
