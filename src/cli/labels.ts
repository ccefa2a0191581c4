import { dirname, basename } from 'node:path';
import { Fault } from '../base/fault.ts';
import { parseNumbers } from '../base/json.ts';
import { didYouMean, orWhichThereAre } from '../base/name.ts';
import { loadKernel } from '../kernel/instance.ts';
import { askedKeyBytes, type KeyPart } from '../kernel/key.ts';
import type { AnswerFeature, AnswerLayout, Layout } from '../kernel/layout.ts';
import { RecordReader } from '../kernel/records.ts';
import type { Plan } from '../plan/plan.ts';
import { BOOL, DOUBLE, INT64, STRING, TIME, type Type } from '../plan/value.ts';
import { ByTime } from '../replay/by_time.ts';
import type { Asked, Label, LabelBatch } from '../replay/labels.ts';
import { localDisk } from '../source/disk.ts';
import { eventFiles } from '../source/files.ts';
import { numbered } from '../source/numbered.ts';
import { ROW_NAMES } from '../source/rows.ts';
import type { FrameBatch, FrameColumn, FrameShape } from './frame/frame.ts';

/** What rows of a file of labels are taken for: events of one type, which is in no plan. */
const TYPE = 'label';

/** A row of a file of labels. */
export interface LabelRow extends Label {
  /** By column; what is null is missing. */
  cells: Record<string, Cell>;
}

/** How a file of labels says what it labels. */
export interface LabelNames {
  /** The column of times; `_time` by default. */
  time?: string | undefined;
  /** Columns of an entity's key, as `entity=column,column`. */
  key?: string[] | undefined;
  /** `set:name`, or `set:*`; by default all of the entities whose columns the file has. */
  feature?: string[] | undefined;
}

/** Which features labels are given, and what of them names the entities. */
export interface LabelSubjects {
  asked: Asked[];
  /** Of each of `asked`. */
  columns: string[][];
}

/**
 * A file of labels (CSV, TSV or Parquet), in the order of its times; rows of the same time as they stand there. What memory has no
 * room for waits in files beside `out`. `close` removes them.
 */
export class LabelFile {
  /** Of the file, in the order in which they are met; without the times, where these stand in `_time`. */
  readonly columns = new Map<string, ColumnKind>();
  /** Rows that have no time. */
  rejected = 0;
  firstRejected: string | null = null;
  count = 0;
  readonly #byTime: ByTime;

  private constructor(out: string) {
    this.#byTime = new ByTime(localDisk, dirname(out), `${basename(out)}.labels`);
  }

  /** @throws Fault `not_found`, `media_type` where it is no such table, `config` where it is of another kind */
  static async read(path: string, { time = ROW_NAMES.time }: LabelNames, out: string): Promise<LabelFile> {
    const file = new LabelFile(out);
    const source = await eventFiles([path], { type: TYPE, time });
    const reader = await RecordReader.open(loadKernel, { types: [TYPE] });
    for await (const block of numbered(source.read(0))) {
      for (const batch of await reader.read(block.bytes)) {
        const [wrong] = batch.rejected;
        if (wrong) file.firstRejected ??= `row ${block.line + wrong.line - 1} of ${path}: ${wrong.reason}`;
        file.rejected += batch.rejected.length;
        for (let i = 0; i < batch.count; i++) {
          const line = block.bytes.subarray(batch.starts[i]!, batch.starts[i]! + batch.lengths[i]!);
          file.#see(cellsOf(line));
          file.#byTime.add(0, batch.timesMicros[i]!, line);
        }
        file.count += batch.count;
      }
      await file.#byTime.settle();
    }
    return file;
  }

  #see(cells: Record<string, Cell>): void {
    for (const [name, cell] of Object.entries(cells)) {
      const kind = kindWith(this.columns.get(name), cell);
      if (kind !== undefined) this.columns.set(name, kind);
    }
  }

  /** @throws Fault `request` where a cell is no key of its entity */
  async *rows({ asked, columns }: LabelSubjects, plan: Plan): AsyncGenerator<LabelRow> {
    const entities = asked.map(({ answer }) => plan.entities.find(({ name }) => name === answer.entity)!);
    for await (const { timeMicros, line } of this.#byTime.sorted()) {
      const cells = cellsOf(line);
      const keys = entities.map((entity, i) => {
        const parts = columns[i]!.map(column => keyPart(cells[column] ?? null));
        if (!parts.every(part => part !== null)) return null;
        return askedKeyBytes(entity, parts);
      });
      yield { timeMicros, keys, cells };
    }
  }

  close(): Promise<void> {
    return this.#byTime.close();
  }
}

/** A number as it stands there. */
class Digits {
  constructor(readonly text: string) {}
}

type Cell = string | boolean | Digits | null;

/** @throws Fault `media_type` for lists and structs */
function cellsOf(line: Uint8Array): Record<string, Cell> {
  const text = new TextDecoder().decode(line);
  const { data } = parseNumbers<{ data: Record<string, unknown> }>(text, digits => new Digits(digits));
  for (const [name, cell] of Object.entries(data))
    if (typeof cell === 'object' && cell !== null && !(cell instanceof Digits))
      throw new Fault(
        'media_type',
        `column ${name} holds lists or structs: wanted numbers, bools and texts for labels`,
      );
  return data as Record<string, Cell>;
}

function keyPart(cell: Cell): KeyPart | null {
  return cell instanceof Digits ? cell.text : cell;
}

type ColumnKind = 'int64' | 'double' | 'bool' | 'string';

const TYPES: Record<ColumnKind, Type> = { int64: INT64, double: DOUBLE, bool: BOOL, string: STRING };

/** What a column holds that held `known` before. */
function kindWith(known: ColumnKind | undefined, cell: Cell): ColumnKind | undefined {
  const kind = kindOf(cell);
  if (known === undefined || kind === undefined || kind === known) return kind ?? known;
  const isNumber = (one: ColumnKind) => one === 'int64' || one === 'double';
  return isNumber(known) && isNumber(kind) ? 'double' : 'string';
}

function kindOf(cell: Cell): ColumnKind | undefined {
  if (cell === null) return undefined;
  if (!(cell instanceof Digits)) return typeof cell === 'boolean' ? 'bool' : 'string';
  if (!/^-?\d+$/.test(cell.text) || cell.text === '-0') return 'double';
  return BigInt.asIntN(64, BigInt(cell.text)) === BigInt(cell.text) ? 'int64' : 'double';
}

// --- what is asked of whom

/**
 * What labels are given: features that are named, or all of the entities that their columns name.
 *
 * @throws Fault `config` where columns are missing, `not_found` for a feature or an entity that there is not
 */
export function labelSubjects(layout: Layout, file: LabelFile, { key = [], feature }: LabelNames): LabelSubjects {
  const named = new Map(key.map(text => keyColumns(layout, text)));
  const lookups = [...layout.lookups.values()];
  if (lookups.length === 0)
    throw new Fault('config', 'these definitions have no feature that is looked up by an entity');
  const names = lookups.flatMap(({ features }) =>
    [...features.values()].flatMap(one => [one.feature.name, `${one.feature.set}:*`]),
  );
  const unknown = feature?.find(name => !names.includes(name));
  if (unknown !== undefined) throw new Fault('not_found', `no feature ${unknown}${didYouMean(unknown, names)}`);
  const subjects: LabelSubjects = { asked: [], columns: [] };
  const lacking: string[] = [];
  for (const one of lookups.map(answer => ({ answer, features: featuresOf(answer, feature) }))) {
    const { entity } = one.answer;
    if (one.features.length === 0) continue;
    const columns = named.get(entity) ?? usualColumns(layout.plan, entity, file);
    const missing = columns.filter(column => !file.columns.has(column));
    if (missing.length > 0) {
      lacking.push(`${entity}: no column ${missing.join(', ')}`);
      // Nobody has asked for it by name.
      if (!feature && !named.has(entity)) continue;
      throw new Fault('config', missingText(lacking, file));
    }
    subjects.asked.push(one);
    subjects.columns.push(columns);
  }
  if (subjects.asked.length === 0) throw new Fault('config', missingText(lacking, file));
  return subjects;
}

function missingText(lacking: string[], { columns }: LabelFile): string {
  return `labels have the columns ${[...columns.keys()].join(', ')} (${lacking.join('; ')}): wanted those of an entity's key, or --key ENTITY=COLUMN,COLUMN`;
}

function featuresOf({ features }: AnswerLayout, wanted: string[] | undefined): AnswerFeature[] {
  const all = [...features.values()];
  if (!wanted) return all;
  return all.filter(({ feature: { name, set } }) => wanted.includes(name) || wanted.includes(`${set}:*`));
}

/** `route=origin,destination` */
function keyColumns({ plan }: Layout, text: string): [entity: string, columns: string[]] {
  const [, name, list] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined) throw new Fault('config', `--key: wanted ENTITY=COLUMN,COLUMN, got ${text}`);
  const entity = plan.entities.find(one => one.name === name);
  const all = plan.entities.map(one => one.name);
  if (!entity) throw new Fault('not_found', `--key: no entity ${name}${orWhichThereAre(name, all)}`);
  const columns = list!.split(',').map(column => column.trim());
  if (columns.length !== entity.keys.length)
    throw new Fault('config', `--key: a key of ${name} has ${entity.keys.length} parts, got ${columns.length}`);
  return [name, columns];
}

/** What a set groups by; where the key is one column, one of the entity's name goes before it. */
function usualColumns(plan: Plan, entity: string, file: LabelFile): string[] {
  const { keys } = plan.entities.find(({ name }) => name === entity)!;
  if (keys.length === 1 && file.columns.has(entity)) return [entity];
  const set = plan.sets.find(one => one.entity === entity);
  const columns = set?.keys.flatMap(key => (key.kind === 'column' ? [key.name] : [])) ?? [];
  return columns.length === keys.length ? columns : [entity];
}

// --- what is written

/** `_time`, the columns of the labels, and then their features. @throws Fault `config` where two have one name */
export function labelShapes({ columns }: LabelFile, { asked }: LabelSubjects): FrameShape[] {
  const own = [...columns].map(([name, kind]) => ({ name, type: TYPES[kind], isRequired: false }));
  const features = asked.flatMap(one =>
    one.features.map(({ feature, type }) => ({ name: feature.name, type, isRequired: false })),
  );
  const shapes = [{ name: '_time', type: TIME, isRequired: true }, ...own, ...features];
  const twice = shapes.find(({ name }, i) => shapes.findIndex(shape => shape.name === name) !== i);
  if (twice) throw new Fault('config', `labels have a column ${twice.name}, which would be there twice`);
  return shapes;
}

export function labelFrame({ columns: kinds }: LabelFile, { labels, columns }: LabelBatch<LabelRow>): FrameBatch {
  const count = labels.length;
  const times = BigInt64Array.from(labels, ({ timeMicros }) => timeMicros);
  const own = [...kinds].map(([name, kind]) => ownColumn(name, kind, labels));
  return {
    count,
    columns: [{ name: '_time', type: TIME, values: times, nulls: new Uint8Array(count) }, ...own, ...columns],
  };
}

function ownColumn(name: string, kind: ColumnKind, labels: LabelRow[]): FrameColumn {
  const cells = labels.map(label => label.cells[name] ?? null);
  const nulls = Uint8Array.from(cells, cell => (cell === null ? 1 : 0));
  return { name, type: TYPES[kind], values: valuesOf(kind, cells), nulls };
}

function valuesOf(kind: ColumnKind, cells: Cell[]): FrameColumn['values'] {
  switch (kind) {
    case 'int64':
      return BigInt64Array.from(cells, cell => BigInt(cell instanceof Digits ? cell.text : 0));
    case 'double':
      return Float64Array.from(cells, cell => (cell instanceof Digits ? Number(cell.text) : 0));
    case 'bool':
      return Uint8Array.from(cells, cell => (cell === true ? 1 : 0));
    default:
      return cells.map(cell => (cell instanceof Digits ? cell.text : String(cell ?? '')));
  }
}
