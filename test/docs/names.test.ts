import { describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { LOG_LEVELS } from '../../src/base/log.ts';
import { Metrics } from '../../src/base/metrics.ts';
import { WorkMetrics } from '../../src/base/work_metrics.ts';
import { EXIT } from '../../src/cli/exit.ts';
import { programOf } from '../../src/cli/program.ts';
import { SCHEMAS } from '../../src/cli/schema.ts';
import { LAST_N_MAX, VECTOR_MAX } from '../../src/compile/aggregates.ts';
import { EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX } from '../../src/compile/bind.ts';
import { FILES_MAX } from '../../src/compile/compile.ts';
import * as declared from '../../src/compile/declare.ts';
import * as sets from '../../src/compile/feature_set.ts';
import * as windows from '../../src/compile/set/windows.ts';
import { NAME_LENGTH_MAX } from '../../src/compile/name.ts';
import { AGGREGATES } from '../../src/compile/scowl/aggregates.ts';
import { CASES_MAX } from '../../src/compile/scowl/bind.ts';
import { CHAIN_MAX } from '../../src/compile/scowl/depend.ts';
import { BRACKET_DEPTH_MAX, RESERVED } from '../../src/compile/scowl/lexer.ts';
import { SCOWL_LENGTH_MAX, TOKENS_PER_STATEMENT_MAX, TREE_DEPTH_MAX } from '../../src/compile/scowl/parser.ts';
import { DEFINITIONS_PER_EVENT_MAX } from '../../src/compile/scowl/topology.ts';
import { SET_REQUIRED, SET_SHAPE } from '../../src/compile/shape.ts';
import { SQL_DEPTH_MAX, SQL_LENGTH_MAX } from '../../src/compile/sql/library.ts';
import { YAML_DEPTH_MAX, YAML_LENGTH_MAX } from '../../src/compile/yaml.ts';
import { app } from '../../src/http/app.ts';
import { LIMITS } from '../../src/http/limits.ts';
import type { Document } from '../../src/http/openapi.ts';
import { BADS, PROBLEMS } from '../../src/kernel/ndjson.ts';
import { STATUS } from '../../src/kernel/window.ts';
import { ERRORS_KEPT_MAX } from '../../src/meta/meta.ts';
import { NESTED_VALUES_MAX } from '../../src/plan/value.ts';
import { WINDOWS_PER_ENTITY_MAX } from '../../src/plan/window.ts';
import { KEYS_MAX } from '../../src/source/keys.ts';
import { pages, ROOT, readPage } from './page.ts';

/** What the code has, the pages have: names are read from the code, so that a new one without a word on it fails. */

const METRICS = new Metrics(() => ({
  ...{ logEnd: 0, folded: 0, rowsDirty: 0, foldBytes: 0 },
  ...{ recordsFolded: 0, rowsWritten: 0, stages: [], uploads: null },
  ...{ rowsEvicted: 0, rowsLoaded: 0, rowsExpired: 0, refused: [] },
  behind: { bounds: [], types: [] },
  backfill: null,
  waitsUntilMicros: null,
}));

function textOf(path: string): string {
  return readPage(path).text;
}

/** The lines of a section, from its heading to the next one of the same rank or higher. */
function section(path: string, heading: string): string {
  const lines = textOf(path).split('\n');
  const start = lines.indexOf(heading);
  expect(`${path}: ${lines[start]}`).toBe(`${path}: ${heading}`);
  const rank = heading.indexOf(' ');
  const end = lines.findIndex((line, i) => i > start && /^#+ /.test(line) && line.indexOf(' ') <= rank);
  return lines.slice(start, end < 0 ? undefined : end).join('\n');
}

/** Rows of tables, cell by cell, without what marks code. */
function rows(text: string): string[][] {
  const lines = text.split('\n').filter(line => line.startsWith('| '));
  return lines.map(line =>
    line
      .slice(2, -2)
      .split(' | ')
      .map(cell => cell.replaceAll('`', '').trim()),
  );
}

describe('the command line', () => {
  const commands = programOf().commands as Command[];

  test.each(commands.map(command => [command.name(), command] as const))('%s', (name, command) => {
    const text = section('docs/cli.md', `## ${name}`);
    const leaves = command.commands.length > 0 ? command.commands : [command];
    for (const leaf of leaves) {
      expect(text).toContain(leaf === command ? `tilefold ${name}` : `tilefold ${name} ${leaf.name()}`);
      for (const { long } of leaf.options) expect(text).toMatch(new RegExp(`${long}\\b`));
    }
    expect(section('README.md', '## Commands')).toContain(`tilefold ${name}`);
  });

  test('exit codes', () => {
    const codes = rows(section('docs/cli.md', '## Exit codes')).map(([code]) => code);
    expect(codes.slice(1)).toEqual(Object.values(EXIT).map(String));
  });

  test('levels of the log', () => {
    for (const level of LOG_LEVELS) expect(section('docs/operations.md', '## Logs')).toContain(`\`${level}\``);
  });
});

describe('HTTP', () => {
  test('every operation', async () => {
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const services = { parts: null, unready: () => null, origins: [], log, metrics: METRICS, broken() {} };
    const document = (await (await app(services).request('/openapi.json')).json()) as Document;
    const listed = rows(textOf('docs/http.md')).map(([place]) => place);
    for (const [path, methods] of Object.entries(document.paths))
      for (const method of Object.keys(methods)) expect(listed).toContain(`${method.toUpperCase()} ${path}`);
  });

  test('every limit, with its number', () => {
    const listed = rows(section('docs/http.md', '## Limits')).slice(1);
    expect(listed.map(([name, value]) => [name, Number(value)])).toEqual(
      Object.entries(LIMITS).map(([name, { value }]) => [name, value]),
    );
  });

  test('what is kept', () => {
    expect(section('docs/http.md', '## Errors')).toContain(
      `The latest ${ERRORS_KEPT_MAX.toLocaleString('en')} are kept`,
    );
    expect(section('docs/http.md', '### Idempotency keys')).toContain(KEYS_MAX.toLocaleString('en'));
  });
});

test('every metric', async () => {
  const names = [...(await METRICS.text()).matchAll(/^# TYPE (tilefold_\w+) /gm)].map(([, name]) => name!);
  const listed = rows(section('docs/operations.md', '## Metrics')).map(([name]) => name!);
  expect(listed.slice(1).sort()).toEqual(names.sort());
});

test('every metric of a process that works in a cluster', async () => {
  const metrics = new WorkMetrics(async () => ({ stages: [], rowsDirty: 0, foldBytes: 0 }));
  const names = [...(await metrics.text()).matchAll(/^# TYPE (tilefold_\w+) /gm)].map(([, name]) => name!);
  const listed = rows(section('docs/cluster.md', '## Metrics')).map(([name]) => name!);
  expect(listed.slice(1).sort()).toEqual(names.sort());
});

test('every key of the configuration, with its default', () => {
  const listed = rows(section('docs/operations.md', '## Configuration')).slice(1);
  expect(listed.map(([key, value]) => [key, value])).toEqual(defaultsOf(SCHEMAS.config() as Schema, ''));
});

interface Schema {
  properties?: Record<string, Schema>;
  default?: unknown;
}

function defaultsOf({ properties, default: value }: Schema, path: string): [string, string][] {
  if (!properties) return [[path, Array.isArray(value) ? JSON.stringify(value) : String(value ?? '-')]];
  return Object.entries(properties).flatMap(([name, each]) => defaultsOf(each, path === '' ? name : `${path}.${name}`));
}

describe('definitions', () => {
  test('every key of a feature set, and whether it has to be there', () => {
    const listed = rows(section('docs/definitions.md', '## Feature sets').split('\n### ')[0]!).slice(1);
    const required = listed.filter(([, , presence]) => presence === 'required').map(([key]) => key!);
    const keys = listed.flatMap(([key]) => key!.split(', '));
    expect(required.sort()).toEqual([...SET_REQUIRED].sort());
    expect(keys.sort()).toEqual(Object.keys(SET_SHAPE).sort());
  });

  test('every limit, with its number', () => {
    const listed = rows(section('docs/definitions.md', '## Limits')).slice(1);
    expect(listed.map(([what, most]) => [what, Number(most!.replaceAll(',', ''))])).toEqual([
      ['files of definitions', FILES_MAX],
      ['characters of a file', YAML_LENGTH_MAX],
      ['characters of one sql', SQL_LENGTH_MAX],
      ['brackets of a file within one another', YAML_DEPTH_MAX],
      ['brackets of one sql within one another', SQL_DEPTH_MAX],
      ['inputs of an event type', declared.INPUTS_PER_EVENT_MAX],
      ['types within one another', declared.TYPE_DEPTH_MAX],
      ['fields of a type, with all that it is made of', declared.TYPE_FIELDS_MAX],
      ['elements and fields of all lists and structs of one event', NESTED_VALUES_MAX],
      ['key columns of an entity', declared.KEY_COLUMNS_MAX],
      ['windows of a set', windows.WINDOWS_PER_SET_MAX],
      ['different windows of an entity, over all sets', WINDOWS_PER_ENTITY_MAX],
      ['tile lengths of a set', windows.TILE_LEVELS_MAX],
      ['tiles that one window takes to answer', windows.TILES_PER_WINDOW_MAX],
      ['features of a set', sets.FEATURES_PER_SET_MAX],
      ['values that a LAST_N, or another list, keeps', LAST_N_MAX],
      ['numbers of a VECTOR_AVG', VECTOR_MAX],
      ['calls and operators of an expression within one another', EXPRESSION_DEPTH_MAX],
      ['calls, operators and operands of an expression', EXPRESSION_NODES_MAX],
    ]);
    expect(textOf('docs/definitions.md')).toContain(`at most ${NAME_LENGTH_MAX} characters`);
  });
});

test('every limit of topologies, with its number, and every word', () => {
  const listed = rows(section('docs/scowl.md', '## Limits')).slice(1);
  expect(listed.map(([what, most]) => [what, Number(most!.replaceAll(',', ''))])).toEqual([
    ['characters of a file', SCOWL_LENGTH_MAX],
    ['words of a statement', TOKENS_PER_STATEMENT_MAX],
    ['brackets within one another', BRACKET_DEPTH_MAX],
    ['expressions within one another', TREE_DEPTH_MAX],
    ['definitions of an event', DEFINITIONS_PER_EVENT_MAX],
    ['features that stand on each other in a chain', CHAIN_MAX],
    ['conditions of a Case', CASES_MAX],
  ]);
  for (const word of RESERVED) expect(section('docs/scowl.md', '## Files and statements')).toContain(`\`${word}\``);
  for (const name of AGGREGATES.keys()) expect(section('docs/scowl.md', '## Aggregates')).toContain(name);
});

test('every code of what is wrong with an event', () => {
  const listed = rows(section('docs/meaning.md', '## Events that cannot count')).map(([code]) => code!);
  for (const { code } of BADS) if (code !== 'none') expect(listed).toContain(code);
  const records = section('docs/meaning.md', '## Records');
  // The last one is of a body, not of an event.
  for (const { code } of PROBLEMS) if (code !== 'none' && code !== 'too_many') expect(records).toContain(`\`${code}\``);
});

test('every status', () => {
  const listed = rows(section('docs/meaning.md', '## Statuses')).map(([status]) => status!);
  for (const status of STATUS) if (status !== null) expect(listed).toContain(status);
});

describe('links', () => {
  test.each([
    ...pages().map(({ path }) => path),
    'src/README.md',
    'docs/functions.md',
    'docs/aggregates.md',
    'docs/scowl_functions.md',
  ])('of %s', path => {
    for (const [, target] of textOf(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      const [file, anchor] = target!.split('#');
      const to = file === '' ? path : join(dirname(path), file!);
      expect([target, existsSync(join(ROOT, to))]).toEqual([target, true]);
      if (anchor !== undefined) expect([target, anchorsOf(to).includes(anchor)]).toEqual([target, true]);
    }
  });
});

test('the house has the rooms that its page says', () => {
  const text = textOf('src/README.md');
  const files = new Set([...new Bun.Glob('src/**/*.ts').scanSync(ROOT)].map(path => path.slice('src/'.length)));
  const isThere = (path: string) => [...files].some(file => `/${file}`.endsWith(`/${path}`));
  for (const [, path] of text.matchAll(/`((?:\w+\/)*\w+\.ts)`/g)) expect([path, isThere(path!)]).toEqual([path, true]);
  const folders = new Set([...files].filter(path => path.includes('/')).map(path => path.split('/')[0]!));
  for (const folder of folders) expect(text).toContain(`**${folder}/**`);
});

/** As GitHub makes them of headings. */
function anchorsOf(path: string): string[] {
  const headings = [...textOf(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!);
  return headings.map(heading =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
