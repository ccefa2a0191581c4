import type { Command } from 'commander';
import { assert } from '../base/assert.ts';
import { Fault, faultLine } from '../base/fault.ts';
import { compileSources } from '../compile/compile.ts';
import { type Column, type Inferences, type Inferred, inferFiles, type LeftOut, type Struct } from './infer.ts';
import { eventsText } from './init.ts';

interface Options {
  scowl?: true;
  json?: true;
}

/** `tilefold infer`: declarations of the event types in files of events, to be gone on from. */
export function addInfer(program: Command) {
  program
    .command('infer')
    .description('print declarations of the event types in files: inputs, types, what may be missing')
    .argument('<files...>', 'NDJSON, gzip or not; their first 50,000 events are looked at')
    .option('--scowl', 'as a topology; as YAML by default')
    .option('--json', 'as one JSON object, with how often each was seen')
    .action(async (files: string[], options: Options) => {
      const inferred = await inferFiles(files);
      if (inferred.types.length === 0)
        throw new Fault(
          'request',
          `${files.join(', ')}: no events; wanted JSON objects with a type and a time, one a line`,
        );
      await tellInferred(inferred, options);
    });
}

/** Prints declarations, of files and of timelines alike. */
export async function tellInferred(inferred: Inferences, { scowl, json }: Options) {
  if (json) return console.log(JSON.stringify(inferredJson(inferred)));
  const text = scowl ? await topologyText(inferred) : eventsText(inferred.types, inferred.leftOut, null);
  console.log(text.trimEnd());
}

function inferredJson({ types, leftOut }: Inferences) {
  return {
    types: types.map(({ type, count, columns, structs }) => ({
      ...{ type, count },
      inputs: columns.map(({ name, path, type: spec, seen }) => ({ name, path, type: spec, seen })),
      structs,
    })),
    left_out: leftOut,
  };
}

/** What can be called so in a topology. */
const WRITABLE = /^[A-Za-z]\w*$/;
const FIELD = /^[A-Za-z_]\w*$/;

export async function topologyText({ types, leftOut }: Inferences): Promise<string> {
  const [{ RESERVED }, { formatScowl }] = await Promise.all([
    import('../compile/scowl/lexer.ts'),
    import('../compile/scowl/format.ts'),
  ]);
  const reserved = new Set<string>(RESERVED);
  const text = types.map(type => eventText(type, leftOut, reserved)).join('\n');
  const { faults } = await compileSources([{ file: 'inferred.scowl', text }], { latenessMs: 0 });
  assert(faults.length === 0, `infer writes what can be read: ${faults.map(faultLine).join('\n')}`);
  return formatScowl('inferred.scowl', text, [])!;
}

function eventText({ type, count, columns, structs }: Inferred, leftOut: LeftOut[], reserved: Set<string>): string {
  if (!WRITABLE.test(type)) return `-- "${comment(type)}" is no name that a topology has: declare it in YAML\n`;
  if (columns.length === 0) return `-- ${type} has no inputs\n`;
  const taken = new Set(columns.map(({ name }) => name));
  const written = writtenStructs(structs);
  const left = leftOut.filter(each => each.type === type);
  const isHeld = (spec: string) => isWritten(spec, structs, written);
  const inputs = columns
    .filter(column => isHeld(column.type))
    .map(column => inputText(column, count, nameOf(column.name, reserved, taken)));
  const rest = [
    ...left,
    ...columns.flatMap(({ type, path }) => (isHeld(type) ? [] : [{ path, why: 'objects with nothing to declare' }])),
  ].map(({ path, why }) => `-- ${comment(path.join('.'))}: left out, ${why}\n`);
  if (inputs.length === 0) return `-- ${type} has no inputs\n${rest.join('')}`;
  const made = [...written].map(([struct, fields]) => `\n${structText(struct, fields)}`);
  return [`event ${type}  -- ${count} of the samples\n`, ...inputs, ...rest, ...made].join('');
}

/** Those with a field that a topology can name, and these fields; inner ones come first. */
function writtenStructs(structs: Struct[]): Map<Struct, Struct['fields']> {
  const written = new Map<Struct, Struct['fields']>();
  for (const struct of structs) {
    const fields = struct.fields.filter(({ name, type }) => FIELD.test(name) && isWritten(type, structs, written));
    if (fields.length > 0) written.set(struct, fields);
  }
  return written;
}

/** Is nothing in a type that has no fields? */
function isWritten(spec: string, structs: Struct[], written: Map<Struct, unknown>): boolean {
  const names = new Set(spec.match(/\w+/g));
  return structs.every(struct => !names.has(struct.name) || written.has(struct));
}

/** A word of the language is no name: `last` becomes `last_value`. */
function nameOf(name: string, reserved: Set<string>, taken: Set<string>): string {
  if (!reserved.has(name)) return name;
  let other = `${name}_value`;
  while (taken.has(other)) other += '_';
  return other;
}

function inputText({ path, type, seen }: Column, count: number, name: string): string {
  const optional = seen < count ? '?' : '';
  const behind = seen < count ? `  -- seen in ${seen} of ${count}` : '';
  return `${name} := ${pathText(path)} as ${typeText(type)}${optional}${behind}\n`;
}

function pathText(path: string[]): string {
  return `$${path.map(step => (FIELD.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`)).join('')}`;
}

/** `[{ type: [int64], optional: true }]` -> `[[int]?]` */
function typeText(spec: string): string {
  return spec
    .replace(/\{ type: (.*), optional: true \}/g, '$1?')
    .replace(/\bint64\b/g, 'int')
    .replace(/\bdouble\b/g, 'float');
}

function structText({ name, fields }: Struct, written: Struct['fields']): string {
  const others = fields
    .filter(field => !written.includes(field))
    .map(field => `  -- ${comment(field.name)}: left out\n`);
  const lines = written.map(field => `  ${field.name}: ${typeText(field.type)}${field.isOptional ? '?' : ''}`);
  return `type ${name} {\n${others.join('')}${lines.join(',\n')}\n}\n`;
}

/** A comment ends with its line. */
function comment(text: string): string {
  return text.replace(/\s/g, ' ');
}
