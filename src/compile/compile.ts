import { readdir, readFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { Fault, Faults } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import { walk } from '../plan/expression.ts';
import { layerFaults } from '../plan/layers.ts';
import type { Plan } from '../plan/plan.ts';
import { WINDOWS_PER_ENTITY_MAX } from '../plan/window.ts';
import type { Declared } from './declare.ts';
import { declare } from './declare.ts';
import type { CompiledSet } from './set/compiled.ts';
import { inlined } from './inline.ts';
import { compileSet } from './feature_set.ts';
import type { CompiledTopologies } from './scowl/topology.ts';
import { SET_SHAPE } from './shape.ts';
import type { YamlDocument } from './yaml.ts';
import { isRecord, readYaml } from './yaml.ts';

/** What the configuration says about definitions. */
export interface CompileSettings {
  latenessMs: number;
  /** Of feature sets that name none; DuckDB's where it is left out. */
  dialect?: string;
}

export interface SourceFile {
  /** As the user would write its path: faults name it so. */
  file: string;
  text: string;
}

/** A folder with more definition files than this is not one of definitions. */
export const FILES_MAX = 10_000;

/**
 * Compiles all `*.yaml`, `*.yml` and `*.scowl` files of a folder and of the folders in it, except for `tilefold.yaml`,
 * which is the configuration.
 *
 * @throws Faults all that is wrong with any file, by file, line and column
 */
export async function compileFolder(dir: string, settings: CompileSettings): Promise<Plan> {
  const files = await readSources(dir);
  const { plan, faults } = await compileSources(files, settings);
  if (faults.length > 0) throw new Faults(faults);
  return plan;
}

/** The definition files of a folder, ascending by path. */
export async function readSources(dir: string): Promise<SourceFile[]> {
  const paths = await definitionPaths(dir);
  if (paths.length === 0) throw new Fault('config', `no definitions: there is no *.yaml or *.scowl file in ${dir}`);
  if (paths.length > FILES_MAX)
    throw new Fault(
      'too_large',
      `${dir} holds ${paths.length} files of definitions, and at most ${FILES_MAX} are read`,
    );
  return Promise.all(paths.map(async path => ({ file: asTyped(path), text: await readText(path) })));
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Fault('config', `definitions: ${path} cannot be read (${error.code})`);
  });
}

/** Below the current folder a path is written from there; elsewhere as it was given. */
function asTyped(path: string): string {
  const fromHere = relative(process.cwd(), resolve(path));
  return fromHere.startsWith('..') ? path : fromHere;
}

async function definitionPaths(dir: string): Promise<string[]> {
  const names = await readdir(dir, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    throw new Fault('config', `definitions: the folder ${dir} cannot be read (${error.code})`);
  });
  const isHidden = (name: string) => name.split('/').some(part => part.startsWith('.') || part === 'node_modules');
  return names
    .filter(name => isDefinition(name) && !isHidden(name))
    .sort()
    .map(name => join(dir, name));
}

/** By the name of a file. */
export function isDefinition(name: string): boolean {
  return /\.(ya?ml|scowl)$/.test(name) && !/^tilefold\.ya?ml$/.test(basename(name));
}

/**
 * Definitions -> plan: YAML -> declarations of all files -> topologies -> feature sets, one by one.
 *
 * The plan is whole only where there are no faults. It is asynchronous because the parsers of SQL and of topologies are
 * loaded on first use.
 */
export async function compileSources(
  files: SourceFile[],
  settings: CompileSettings,
): Promise<{ plan: Plan; faults: Fault[] }> {
  const faults: Fault[] = [];
  const documents = files
    .filter(({ file }) => !isTopology(file))
    .flatMap(({ file, text }) => readYaml(file, text, 'definition', faults));
  for (const document of documents) checkKeys(document, faults);
  const declared = declare(documents, faults);
  const topologies = await compileScowl(
    files.filter(({ file }) => isTopology(file)),
    declared,
    faults,
  );
  const setDocuments = documents.filter(isSet);
  checkSetNames(setDocuments, faults);
  const sets: CompiledSet[] = [];
  for (const document of setDocuments)
    sets.push(inlined(await compileSet(document, declared, settings.dialect ?? 'duckdb', faults), declared, faults));
  checkLookups(topologies, sets, faults);
  const plan = planOf(declared, topologies, sets, settings);
  for (const { name } of plan.entities) checkWindows(name, plan, faults);
  // A plan with faults is not whole.
  if (faults.length === 0) faults.push(...layerFaults(plan));
  return { plan, faults: faults.sort(byPlace) };
}

function isTopology(file: string): boolean {
  return file.endsWith('.scowl');
}

async function compileScowl(files: SourceFile[], declared: Declared, faults: Fault[]): Promise<CompiledTopologies> {
  if (files.length === 0) return { aggregates: [], sets: [], features: [] };
  const [{ readScowl }, { compileTopologies }] = await Promise.all([
    import('./scowl/parser.ts'),
    import('./scowl/topology.ts'),
  ]);
  const topologies = files.map(({ file, text }) => readScowl(file, text, faults));
  return compileTopologies(topologies, declared, faults);
}

/** What a topology calls the sets of its lookups may be what an author of YAML calls one. */
function checkLookups(topologies: CompiledTopologies, sets: CompiledSet[], faults: Fault[]): void {
  const names = new Map(topologies.sets.map(({ name, at }) => [name, at]));
  for (const { set } of sets) {
    if (!set || !names.has(set.name)) continue;
    const at = names.get(set.name)!;
    const message = `feature set "${set.name}" is there twice: lookups of the entity at ${at!.file}:${at!.line}:${at!.column} are called so`;
    faults.push(new Fault('definition', message, set.at));
  }
}

const DECLARATIONS = ['types', 'events', 'entities'];
const SET_KEYS = Object.keys(SET_SHAPE);

function checkKeys(document: YamlDocument, faults: Fault[]): void {
  const known = [...DECLARATIONS, ...SET_KEYS, 'about'];
  if (!isRecord(document.value)) {
    faults.push(
      new Fault('definition', `wanted a mapping with keys like ${known.slice(0, 4).join(', ')}`, document.at([])),
    );
    return;
  }
  for (const key of Object.keys(document.value)) {
    if (known.includes(key)) continue;
    const hint = didYouMean(key, known) || `; known here: ${known.join(', ')}`;
    faults.push(new Fault('definition', `unknown key "${key}"${hint}`, document.keyAt([key])));
  }
}

function isSet({ value }: YamlDocument): boolean {
  return isRecord(value) && Object.keys(value).some(key => SET_KEYS.includes(key));
}

function checkSetNames(documents: YamlDocument[], faults: Fault[]): void {
  const first = new Map<unknown, YamlDocument>();
  for (const document of documents) {
    const name = isRecord(document.value) ? document.value.feature_set : undefined;
    if (typeof name !== 'string') continue;
    const before = first.get(name)?.at(['feature_set']);
    if (!before) first.set(name, document);
    else {
      const message = `feature set "${name}" is there twice: first at ${before.file}:${before.line}:${before.column}`;
      faults.push(new Fault('definition', message, document.at(['feature_set'])));
    }
  }
}

/** The fault stands at the set with which there are too many. */
function checkWindows(entity: string, plan: Plan, faults: Fault[]): void {
  const distinct = new Set<string>();
  for (const set of plan.sets.filter(s => s.entity === entity)) {
    for (const feature of plan.features.filter(f => f.set === set.name))
      walk(feature.expression, node => {
        if (node.kind !== 'read') return;
        const { tiles } = plan.aggregates.find(a => a.name === node.read.aggregate)!;
        distinct.add(JSON.stringify([node.read.window, tiles]));
      });
    if (distinct.size <= WINDOWS_PER_ENTITY_MAX) continue;
    const message = `${entity} has ${distinct.size} different windows up to this set, and at most ${WINDOWS_PER_ENTITY_MAX} are read together; use fewer lengths, or the same tiles`;
    faults.push(new Fault('too_large', message, set.at));
    return;
  }
}

function planOf(
  declared: Declared,
  topologies: CompiledTopologies,
  sets: CompiledSet[],
  settings: CompileSettings,
): Plan {
  return {
    events: [...declared.events.values()].flatMap(event => event ?? []),
    entities: [...declared.entities.values()].flatMap(entity => entity ?? []),
    aggregates: [...topologies.aggregates, ...sets.flatMap(set => set.aggregates)],
    sets: [...topologies.sets, ...sets.flatMap(({ set }) => set ?? [])],
    features: [...topologies.features, ...sets.flatMap(set => set.features)],
    latenessMs: settings.latenessMs,
  };
}

function byPlace(a: Fault, b: Fault): number {
  if (!a.at || !b.at) return Number(a.at !== null) - Number(b.at !== null);
  if (a.at.file !== b.at.file) return a.at.file < b.at.file ? -1 : 1;
  return a.at.line - b.at.line || a.at.column - b.at.column;
}
