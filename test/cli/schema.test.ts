import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import { parse, parseAllDocuments } from 'yaml';
import { parseConfig } from '../../src/cli/config.ts';
import { SCHEMAS, schemaText } from '../../src/cli/schema.ts';

const ROOT = join(import.meta.dir, '../..');

function validator(what: keyof typeof SCHEMAS) {
  const validate = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(SCHEMAS[what]());
  return (value: unknown) => (validate(value) ? null : JSON.stringify(validate.errors));
}

describe('the schemas', () => {
  test.each(Object.keys(SCHEMAS) as (keyof typeof SCHEMAS)[])(
    'docs/schema/%s.json is current; npm run generate makes it so',
    what => {
      expect(readFileSync(join(ROOT, `docs/schema/${what}.json`), 'utf8')).toBe(`${schemaText(what)}\n`);
    },
  );

  test('tilefold schema prints them', () => {
    const ran = Bun.spawnSync([process.execPath, join(ROOT, 'src/main.ts'), 'schema', 'config']);
    expect(ran.stdout.toString()).toBe(`${schemaText('config')}\n`);
  });

  test('every key says what it is', () => {
    const silent: string[] = [];
    const visit = (schema: Record<string, unknown>, path: string) => {
      for (const [name, property] of Object.entries(
        (schema.properties ?? {}) as Record<string, Record<string, unknown>>,
      )) {
        if (typeof property.description !== 'string') silent.push(path + name);
        visit(property, `${path}${name}.`);
      }
    };
    visit(SCHEMAS.config(), 'config: ');
    visit(SCHEMAS.definitions(), 'definitions: ');
    expect(silent).toEqual([]);
  });
});

/** Of the examples, those that an editor would open with a schema: what others run jobs by is theirs. */
const EXAMPLES = (readdirSync(join(ROOT, 'examples'), { recursive: true }) as string[])
  .filter(name => name.endsWith('.yaml') && !name.startsWith('jobs/'))
  .map(name => join('examples', name));

describe('examples', () => {
  test.each(EXAMPLES)('%s names its schema, and keeps to it', name => {
    const text = readFileSync(join(ROOT, name), 'utf8');
    const named = /^# yaml-language-server: \$schema=(\S+)\n/.exec(text)?.[1];
    const what = name.endsWith('tilefold.yaml') ? 'config' : 'definitions';
    expect(join(dirname(name), named ?? '')).toBe(`docs/schema/${what}.json`);
    const judge = validator(what);
    for (const document of parseAllDocuments(text)) expect(judge(document.toJS())).toBeNull();
  });
});

describe('definitions', () => {
  const judge = validator('definitions');
  const SET = 'feature_set: a\nentity: b\nsource: c\nwindows: [1h, 5d@1m, lifetime]\nsql: SELECT\n';
  test.each([
    SET,
    `${SET}key: [x, y]\ntiles: [1m]\ntile_offset: 5h30m\nderive: { d: x / y }\n`,
    'events:\n  e: { a: string, b: int64?, c: [string], d: { type: int64, default: 0, path: $.data.x.y } }\n',
    'types:\nentities: { a: string, b: [string, int64] }\n',
  ])('%p keeps to it', text => expect(judge(parse(text))).toBeNull());

  test.each([
    [SET.replace('sql: SELECT\n', ''), 'sql'],
    ['derive: { d: x }\n', 'feature_set'],
    [`${SET}window: 1h\n`, 'window'],
    [`${SET}windows_: 1h\n`, 'windows_'],
    ['events:\n  e: { a: { typ: string } }\n', 'type'],
    ['entities: { "a b": string }\n', 'a b'],
  ])('%p does not', (text, said) => expect(judge(parse(text))).toContain(said));
});

describe('tilefold.yaml', () => {
  const judge = validator('config');
  test.each([
    '{}',
    'log:\nserve: {}\n',
    'log: { clock: event, segment: { bytes: 16KiB } }\nlateness: 0s\n',
    'fold: { memory: 1048576 }',
  ])('%p keeps to it', text => expect(judge(parse(text))).toBeNull());
  test.each([
    ['latenes: 1h', 'latenes'],
    ['log: { clock: evnt }', 'enum'],
    ['serve: { port: high }', 'port'],
    ['lateness: 60', 'lateness'],
  ])('%p does not', (text, said) => expect(judge(parse(text))).toContain(said));

  test('written out, its defaults are the defaults', () => {
    interface Section {
      properties?: Record<string, Section>;
      required?: string[];
      default?: unknown;
    }
    // What a section has to say has no default, and so the section has none.
    const written = ({ properties, required, default: value }: Section): unknown =>
      properties && !required
        ? Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, written(each)]))
        : value;
    const text = JSON.stringify(written(SCHEMAS.config() as Section));
    expect(parseConfig('/x/tilefold.yaml', text)).toEqual(parseConfig('/x/tilefold.yaml', ''));
  });
});
