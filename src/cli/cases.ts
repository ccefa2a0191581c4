import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { z } from 'zod';
import { Fault, Faults, type Position } from '../base/fault.ts';
import { MICROS_PER_MS, parseMicros } from '../base/time.ts';
import { compileFolder, compileSources, readSources, type SourceFile } from '../compile/compile.ts';
import { check, readYaml, type YamlDocument } from '../compile/yaml.ts';
import { AT, KEY } from '../http/features.ts';
import type { KeyInput } from '../kernel/key.ts';
import { STATUS } from '../kernel/window.ts';
import type { Plan } from '../plan/plan.ts';
import type { Config } from './config.ts';

/** A user's own test: events, what is expected after them, and maybe definitions of its own. */
export interface Case {
  name: string;
  events: string;
  /** Where expectations stand, or will. */
  expected: string;
  items: Item[];
  plan: Plan;
}

/** JSON with whole numbers as bigint. */
export type Plain = null | boolean | bigint | number | string | Plain[] | { [name: string]: Plain };

/** What is expected of one event, or of one key at a moment. */
export interface Item {
  of: { kind: 'event'; position: number } | { kind: 'lookup'; entity: string; key: KeyInput; atMicros: bigint | null };
  features: Record<string, Plain>;
  statuses: Record<string, string | null>;
  /** What is wrong with features of an event: all of it, and nothing else; null where nobody says. */
  errors: Record<string, string> | null;
  /** The event counts nowhere, for this reason; true for any. */
  bad: string | true | null;
  at: Position;
}

export const EVENTS_FILE = 'events.ndjson';

/** In the second one every line is an item: of the event in its place, where it names no other. */
const EXPECTED_FILES = ['expected.yaml', 'expected.ndjson'];

const STATUSES = STATUS.filter(status => status !== null);

const VALUES = z.record(z.string(), z.unknown()).describe('a mapping of features to their values');

const ITEM = z
  .strictObject({
    event: z.bigint().min(0n).describe(`the number of an event in ${EVENTS_FILE}, from 0 on`).optional(),
    lookup: z.record(z.string(), KEY).describe('a mapping of an entity to a key').optional(),
    at: AT.or(z.bigint()).describe('an RFC 3339 time or epoch milliseconds'),
    features: VALUES.optional(),
    statuses: z.record(z.string(), z.enum(STATUSES).nullable()).optional(),
    errors: z.record(z.string(), z.string()).optional(),
    bad: z
      .union([z.string(), z.literal(true)])
      .describe('a code, or true')
      .optional(),
  })
  .superRefine(({ event, lookup, at, errors, bad }, context) => {
    const refuse = (message: string, path: string) => context.addIssue({ code: 'custom', message, path: [path] });
    if (lookup === undefined) {
      if (at !== undefined && at !== null) refuse('only a lookup has a moment', 'at');
      return;
    }
    if (Object.keys(lookup).length !== 1) refuse('one entity is looked up by an item', 'lookup');
    if (event !== undefined) refuse('an item is of an event or a lookup, not both', 'event');
    if (errors !== undefined) refuse('only an event has errors', 'errors');
    if (bad !== undefined) refuse('only an event can be bad', 'bad');
  });

/**
 * The cases of a folder: those in it that hold an `events.ndjson`, or itself.
 *
 * @param config where definitions of cases without their own are
 * @throws Faults what is wrong with expectations or definitions; Fault where there is no case
 */
export async function readCases(dir: string, config: Config): Promise<Case[]> {
  const folders = await caseFolders(dir);
  if (folders.length === 0)
    throw new Fault('not_found', `there is no test in ${dir}: a test is a folder with an ${EVENTS_FILE}`);
  let shared: Promise<Plan> | null = null;
  const sharedPlan = () => (shared ??= compileFolder(config.definitions, config));
  const cases: Case[] = [];
  for (const folder of folders) cases.push(await readCase(dir, folder, config, sharedPlan));
  return cases;
}

async function caseFolders(dir: string): Promise<string[]> {
  const names = await readdir(dir, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    throw new Fault('config', `tests: the folder ${dir} cannot be read (${error.code})`);
  });
  return names
    .filter(name => basename(name) === EVENTS_FILE)
    .map(name => join(dir, name, '..'))
    .sort();
}

async function readCase(dir: string, folder: string, config: Config, sharedPlan: () => Promise<Plan>): Promise<Case> {
  const own = (await ownSources(folder)).filter(({ file }) => !EXPECTED_FILES.includes(basename(file)));
  const plan = own.length > 0 ? await compiled(own, config) : await sharedPlan();
  const found = EXPECTED_FILES.map(name => join(folder, name)).find(path => existsSync(path));
  const expected = found ?? join(folder, EXPECTED_FILES[0]!);
  const items = found === undefined ? [] : parseItems(expected, await readFile(expected, 'utf8'));
  return { name: relative(dir, folder) || basename(folder), events: join(folder, EVENTS_FILE), expected, items, plan };
}

/** Definitions that lie beside the events. */
async function ownSources(folder: string): Promise<SourceFile[]> {
  const names = await readdir(folder);
  return names.some(name => isDefinition(name)) ? readSources(folder) : [];
}

function isDefinition(name: string): boolean {
  return /\.(ya?ml|scowl)$/.test(name) && !EXPECTED_FILES.includes(name);
}

async function compiled(files: SourceFile[], config: Config): Promise<Plan> {
  const { plan, faults } = await compileSources(files, config);
  if (faults.length > 0) throw new Faults(faults);
  return plan;
}

/** @throws Faults */
export function parseItems(file: string, text: string): Item[] {
  const faults: Fault[] = [];
  const documents = file.endsWith('.ndjson') ? lineDocuments(file, text, faults) : yamlDocuments(file, text, faults);
  const items: Item[] = [];
  let next = 0;
  for (const { document, path } of documents) {
    const item = itemOf(document, path, next, faults);
    if (item?.of.kind === 'event') next = item.of.position + 1;
    if (item) items.push(item);
  }
  if (faults.length > 0) throw new Faults(faults);
  return items;
}

interface PlacedItem {
  document: YamlDocument;
  path: number[];
}

function yamlDocuments(file: string, text: string, faults: Fault[]): PlacedItem[] {
  const [document] = readYaml(file, text, 'config', faults);
  const list = document && check(z.array(z.unknown()), document, [], faults);
  return (list ?? []).map((_, i) => ({ document: document!, path: [i] }));
}

/** JSON is YAML; lines before it keep its place. Null is an event that counts nowhere. */
function lineDocuments(file: string, text: string, faults: Fault[]): PlacedItem[] {
  const lines = text
    .split('\n')
    .entries()
    .filter(([, line]) => line.trim() !== '');
  const read = ([i, line]: [number, string]) =>
    readYaml(file, '\n'.repeat(i) + (line.trim() === 'null' ? '{"bad": true}' : line), 'config', faults);
  return [...lines].flatMap(line => read(line).map(document => ({ document, path: [] })));
}

function itemOf(document: YamlDocument, path: number[], next: number, faults: Fault[]): Item | null {
  const item = check(ITEM, document, path, faults);
  if (!item) return null;
  const { event, lookup, at, features = {}, statuses = {}, errors = null, bad = null } = item;
  const place = document.at(path);
  const rest = { features: features as Record<string, Plain>, statuses, errors, bad, at: place };
  if (lookup === undefined) return { of: { kind: 'event', position: Number(event ?? next) }, ...rest };
  const [[entity, key]] = Object.entries(lookup) as [[string, KeyInput]];
  const atMicros = at === undefined || at === null ? null : momentOf(at);
  if (atMicros === undefined) {
    faults.push(new Fault('config', 'at: wanted an RFC 3339 time or epoch milliseconds', document.at([...path, 'at'])));
    return null;
  }
  return { of: { kind: 'lookup', entity, key, atMicros }, ...rest };
}

function momentOf(at: string | number | bigint): bigint | undefined {
  if (typeof at === 'string') return parseMicros(at) ?? undefined;
  return Number.isInteger(Number(at)) ? BigInt(at) * MICROS_PER_MS : undefined;
}
