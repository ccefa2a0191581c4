import { fromBinary } from '@bufbuild/protobuf';
import { type FeatureValue, FeaturesCombinedSchema, type Int128 } from '../../src/gen/tilefold/v1/row_pb.ts';
import type { Kernel } from '../../src/kernel/instance.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import type { AnswerFeature, AnswerLayout } from '../../src/kernel/layout.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { packRows } from '../../src/kernel/packed.ts';
import { copyRows, type FeatureColumn, isList, makeColumn } from '../../src/kernel/feature_column.ts';
import { windowRanges } from '../../src/kernel/cover.ts';
import { want } from '../../src/kernel/answer.ts';
import { checkRead } from '../../src/kernel/window.ts';
import { answerKeys, type Stored } from '../../src/read/answer.ts';
import { AHEAD_MAX_MS } from '../../src/source/source.ts';
import type { Row as StoredRow } from '../../src/store/store.ts';
import { EVENT_CLOCK, foldEvents, type FoldedState } from './fold.ts';
import { checkEqual, type Row, sideBySide, toMiB } from './measure.ts';

/** Rows merged in one run at least. */
const ROWS_PER_RUN_MIN = 300_000;

/** Both logs end at midnight, when a day is one tile; at 13:42 it is some dozens. */
const BEFORE_END_MICROS = 37_080_000_000n;

/** Of the keys, those with the most rows are taken: so many at most. */
const KEYS_MAX = 1_000;

/** A row and the windows, by their index in the answer, that its tile lies in. */
interface Tile extends StoredRow {
  windows: number[];
}

interface Work {
  kernel: Kernel;
  answer: AnswerLayout;
  features: AnswerFeature[];
  timeMicros: bigint;
  keys: { key: Uint8Array; tiles: Tile[] }[];
}

/** Features of all keys of an entity, out of rows as stores keep them: by the kernel, and by @bufbuild/protobuf. */
export async function windowRows(name: string, definitions: string, events: string, entity: string): Promise<Row[]> {
  const work = await workOf(definitions, events, entity);
  const placed = placeRows(work);
  const rowCount = rowsOf(work);
  checkWork(work, placed);
  const passes = Math.ceil(ROWS_PER_RUN_MIN / rowCount);
  const timed = (merge: () => unknown) => () => {
    const startMs = performance.now();
    for (let pass = 0; pass < passes; pass++) merge();
    return (performance.now() - startMs) / 1000 / passes;
  };
  const peer = timed(() => mergeByProtobuf(work));
  const row = (what: string, seconds: { ours: number; peer: number }, goal: number | null): Row => ({
    work: `window merge, ${what}`,
    unit: 'rows/s',
    ours: rowCount / seconds.ours,
    peer: { name: '@bufbuild/protobuf', value: rowCount / seconds.peer },
    goal,
    memory: { ours: toMiB(work.kernel.exports.memory.buffer.byteLength), peer: null },
    note: `${name}: ${rowCount} rows of ${work.keys.length} keys, ${work.features.length} features`,
  });
  return [
    row(
      'rows in memory',
      await sideBySide(
        timed(() => mergePlaced(work, placed)),
        peer,
      ),
      60,
    ),
    row(
      'rows copied in',
      await sideBySide(
        timed(() => mergeCopied(work)),
        peer,
      ),
      null,
    ),
  ];
}

/** Compares what the kernel and protobuf make of the rows, and says of how many, and how many values those are. */
export async function checkMerged(definitions: string, events: string, entity: string) {
  const work = await workOf(definitions, events, entity);
  return { rows: rowsOf(work), values: checkWork(work, placeRows(work)) };
}

function checkWork(work: Work, placed: Placed[]): number {
  const wanted = mergeByProtobuf(work);
  for (const columns of [mergePlaced(work, placed), mergeCopied(work)])
    checkEqual('windows', columns.flatMap(valuesOf), wanted);
  return wanted.length;
}

function rowsOf({ keys }: Work): number {
  return keys.reduce((sum, { tiles }) => sum + tiles.length, 0);
}

async function workOf(definitions: string, events: string, entity: string): Promise<Work> {
  const state = await foldEvents({ definitions, events, database: ':memory:', memoryBytes: 2 ** 28, expires: false });
  const work = await storedWork(state, entity);
  state.close();
  return work;
}

/** A kernel that holds no rows itself; all that the answer needs comes from the store. */
async function storedWork({ plan, ids, layout: from, store }: FoldedState, entity: string): Promise<Work> {
  const kernel = await loadKernel();
  const timeMicros = from.kernel.exports.greatestClock() - BEFORE_END_MICROS;
  const layout = layPlan(kernel, plan, ids, { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
  for (const type of layout.types.keys()) kernel.exports.setSeen(type, timeMicros, from.kernel.exports.seenSince(type));
  new Fold(kernel, null).resume(store.mark().highest);
  const answer = layout.lookups.get(entity)!;
  // What is derived from them is arithmetic on both sides, and not what is compared.
  const features = [...answer.features.values()].filter(({ feature }) => feature.expression.kind === 'read');
  want(kernel, answer, features);
  kernel.exports.coverAt(answer.index, timeMicros, 0);
  const ranges = windowRanges(kernel, answer);
  const keys = new Map<string, Work['keys'][number]>();
  for (const row of store.scan()) {
    if (row.entity !== ids.entities.get(entity)) continue;
    const covers = ranges.filter(
      ({ levelMs, fromMs, toMs }) => levelMs === row.levelMs && fromMs <= row.tileStartMs && row.tileStartMs < toMs,
    );
    if (covers.length === 0) continue;
    const text = Buffer.from(row.key).toString('hex');
    if (!keys.has(text)) keys.set(text, { key: row.key, tiles: [] });
    keys.get(text)!.tiles.push({ ...row, windows: covers.map(({ window }) => window) });
  }
  const longest = [...keys.values()].sort((a, b) => b.tiles.length - a.tiles.length).slice(0, KEYS_MAX);
  return { kernel, answer, features, timeMicros, keys: longest };
}

interface Placed {
  key: number;
  rows: number;
  size: number;
}

/** Addresses of the rows in the kernel, packed key by key. */
function placeRows({ kernel, keys }: Work): Placed[] {
  return keys.map(({ key, tiles }) => {
    const packed = packRows(tiles);
    return { key: kernel.put(key), rows: kernel.put(packed), size: packed.length };
  });
}

/** The kernel's part of a lookup alone. */
function mergePlaced({ kernel, answer, features, timeMicros, keys }: Work, placed: Placed[]) {
  const { exports } = kernel;
  const columns = features.map(({ feature, type }) => makeColumn({ name: feature.name, type }, keys.length));
  want(kernel, answer, features);
  exports.coverAt(answer.index, timeMicros, 0);
  const chunk = exports.ANSWER_ROWS.value;
  for (let from = 0; from < keys.length; from += chunk) {
    const count = Math.min(chunk, keys.length - from);
    exports.forgetTexts();
    for (let row = 0; row < count; row++) {
      const at = placed[from + row]!;
      exports.startKey(answer.index, at.key, keys[from + row]!.key.length);
      checkRead(kernel, exports.addPackedRows(answer.index, at.rows, at.size));
      exports.finishKey(answer.index, row);
    }
    for (const [i, feature] of features.entries()) copyRows(kernel, answer, feature, count, columns[i]!, from);
  }
  return columns;
}

/** A lookup as the server makes it, but for SQLite and JSON. */
function mergeCopied({ kernel, answer, features, timeMicros, keys }: Work): FeatureColumn[] {
  const columns = features.map(({ feature, type }) => makeColumn({ name: feature.name, type }, keys.length));
  const tilesOf = new Map(keys.map(({ key, tiles }) => [key, Map.groupBy(tiles, ({ levelMs }) => levelMs)]));
  const bytes = keys.map(({ key }) => key);
  const read: Stored['read'] = (key, ranges, take) => {
    for (const { levelMs } of ranges)
      for (const { tileStartMs, value } of tilesOf.get(key)!.get(levelMs) ?? [])
        take(levelMs, tileStartMs, value, 0, value.length);
  };
  answerKeys(kernel, answer, features, bytes, timeMicros, false, { read, hasRoom: () => false }, columns);
  return columns;
}

/** What is kept of one aggregate in one window: enough for all of those that flights and views have. */
interface Held {
  total: bigint;
  count: bigint;
  extreme: bigint | null;
}

/** What somebody would write without the kernel. Returns values feature by feature, and in each key by key. */
function mergeByProtobuf({ answer, features, keys }: Work): (number | bigint | null)[] {
  const values: (number | bigint | null)[][] = features.map(() => []);
  for (const { tiles } of keys) {
    const held = answer.members.map(() => answer.windows.map((): Held => ({ total: 0n, count: 0n, extreme: null })));
    for (const { value, windows } of tiles) {
      const row = fromBinary(FeaturesCombinedSchema, value).features;
      for (let member = 0; member < answer.members.length; member++) {
        const state = row[answer.members[member]!.id];
        if (state) for (const window of windows) addState(held[member]![window]!, state);
      }
    }
    for (const [i, { cells }] of features.entries()) {
      const { member, window } = cells[0]!;
      values[i]!.push(finish(answer.members[member]!.aggregate.fn.name, held[member]![window]!));
    }
  }
  return values.flat();
}

function addState(held: Held, { state }: FeatureValue): void {
  switch (state.case) {
    case 'count':
      held.count += state.value;
      return;
    case 'sum':
      held.total += narrow(state.value);
      return;
    case 'mean':
      held.total += narrow(state.value.sum!);
      held.count += state.value.count!;
      return;
    case 'min':
    case 'max': {
      if (state.value.value.case !== 'integer') return;
      const { value } = state.value.value;
      const isBetter = held.extreme === null || (state.case === 'min' ? value < held.extreme : value > held.extreme);
      if (isBetter) held.extreme = value;
      return;
    }
    default:
      throw new Error(`no definition of the benchmark has a ${state.case}`);
  }
}

function narrow(sum: Int128): bigint {
  if (sum.narrow === undefined) throw new Error('a sum beyond int64');
  return sum.narrow;
}

function finish(aggregate: string, { total, count, extreme }: Held): number | bigint | null {
  if (aggregate === 'count') return count;
  if (aggregate === 'sum') return total;
  if (aggregate === 'avg') return count === 0n ? null : Number(total) / Number(count);
  return extreme;
}

function valuesOf({ values, nulls }: FeatureColumn): unknown[] {
  if (isList(values)) throw new Error('nothing here is a list');
  return Array.from<unknown, unknown>(values, (value, row) => (nulls[row] ? null : value));
}
