import { Stages } from '../base/stages.ts';
import { changes, spellChanges } from '../kernel/change.ts';
import type { Fold } from '../kernel/fold.ts';
import { pick, pickedBytes } from '../kernel/gather.ts';
import type { Kernel } from '../kernel/instance.ts';
import type { Layout } from '../kernel/layout.ts';
import { tile, tilePicked } from '../kernel/tile.ts';
import type { RunsAhead } from '../store/ahead.ts';
import { PIECE_BYTES } from '../store/pack.ts';

/** A plan in its kernel, and the shards that its rows are folded in. Shard 0 may live in the decoding kernel itself. */
export interface Pipeline {
  layout: Layout;
  folds: Fold[];
}

/** Changes are made by so many bytes at a time: then they are folded while a core's cache has them. */
const CHANGES_BYTES = 256 << 10;

/** Where nobody waits for events, as many bytes of them are folded together as rows may occupy, but at least and at most so many. */
const GATHERED_MIN_BYTES = 256 << 10;
const GATHERED_MAX_BYTES = 16 << 20;

/** As many of them make it worth a run of its own to leave rows unread, or fewer where memory is small. */
const UNREAD_MIN_BYTES = 1 << 20;

/** Rows and their index take about so many times what the events do that they are made of. */
const MADE_FACTOR = 4;

/** While gathered events are folded, rows that have changed are put away by so much of what rows may occupy, where they take more. */
const PUT_AWAY_SHARE = 1 / 8;

/** So many bytes of events are folded together, by a memory of so many bytes for rows; by all shards together. */
export function gatheredBytes(memoryBytes: number): number {
  return Math.min(Math.max(memoryBytes, GATHERED_MIN_BYTES), GATHERED_MAX_BYTES);
}

/** Enough events are gathered to be folded. */
export function isGathered(kernel: Kernel, memoryBytes: number): boolean {
  return pickedBytes(kernel) >= gatheredBytes(memoryBytes);
}

/**
 * The way of a decoded batch: select -> tile -> fold. Pure: what comes out depends on the batch and on the rows alone.
 * Ingest and replay take the same steps.
 */
export function advance(pipeline: Pipeline, stages = new Stages()): void {
  gather(pipeline.layout, stages);
  foldGathered(pipeline, stages);
}

/**
 * The first steps of a decoded batch: what is tiled of it is put beside that of batches before. The more of a key there is
 * at once the less there is to fold. Until `foldGathered` rows lack it, and nobody may ask.
 */
export function gather(layout: Layout, stages: Stages): void {
  stages.time('select', () => select(layout));
  gatherRecords(layout, 0, layout.kernel.exports.recordCount.value, stages);
}

/** The same for records [from, to) of a batch that `select` has been through. */
export function gatherRecords({ kernel }: Layout, from: number, to: number, stages: Stages): void {
  stages.time('tile', () => pick(kernel, from, to));
  kernel.exports.seeRecords(from, to);
}

/**
 * The last steps, of all batches that were gathered. Where rows are read back, keys are folded in the order in which stores have
 * them, and what lies together is read once; it makes tiling half as long again. Of many events rows are not read back: what changes
 * of them is put away, for the store to add to what it has.
 *
 * @param ahead takes rows that memory has no more room for, and those that were not read, until a barrier brings them to the store;
 *   without it rows may take what the gathered events make of them
 */
export function foldGathered(
  { layout: { kernel }, folds }: Pipeline,
  stages: Stages,
  ahead: RunsAhead | null = null,
): void {
  const picked = pickedBytes(kernel);
  if (picked === 0) return;
  const isOrdered = folds.some(({ missesRows, boundBytes }) => missesRows || picked * MADE_FACTOR > boundBytes);
  for (const fold of folds) fold.beginGathering(ahead !== null && leavesUnread(fold, picked));
  for (let isDone = false; !isDone; ) {
    isDone = stages.time('tile', () => tilePicked(kernel, CHANGES_BYTES, isOrdered));
    timeFolding(folds, () => applyMade(kernel, folds), stages);
    if (ahead && isOrdered) for (const fold of folds) if (isFull(fold)) makeRoom(fold, ahead, stages);
  }
  // The rest follows on what is put away, as one run with it.
  for (const fold of folds) if (ahead && (ahead.pendingRows > 0 || fold.unreadCount > 0)) putAway(fold, ahead, stages);
  for (const fold of folds) fold.endGathering();
}

/** Reading rows back would take longer than all else. */
function leavesUnread({ missesRows, boundBytes }: Fold, picked: number): boolean {
  return missesRows && picked > Math.min(UNREAD_MIN_BYTES, boundBytes / MADE_FACTOR);
}

/** Rows take more than they may, and of those that have changed enough could leave. */
function isFull({ hasRoom, dirtyBytes, boundBytes }: Fold): boolean {
  return !hasRoom && dirtyBytes > boundBytes * PUT_AWAY_SHARE;
}

function makeRoom(fold: Fold, ahead: RunsAhead, stages: Stages): void {
  putAway(fold, ahead, stages);
  stages.time('evict', () => fold.evict(fold.boundBytes / 2));
}

function putAway(fold: Fold, ahead: RunsAhead, stages: Stages): void {
  stages.time('snapshot', () => fold.putAway((packs, rowCount) => ahead.putAway(packs, rowCount), PIECE_BYTES));
}

/** Changes that were made last go to their shards: a lone one of the same kernel takes them as they stand there. */
function applyMade(kernel: Kernel, folds: Fold[]): void {
  if (folds.length === 1 && folds[0]!.kernel === kernel) folds[0]!.applyMade();
  else {
    spellChanges(kernel);
    for (const [shard, fold] of folds.entries()) fold.apply(changes(kernel, shard));
  }
}

/** Folds changes that have come from elsewhere. */
export function foldChanges(fold: Fold, batch: Uint8Array, stages: Stages): void {
  timeFolding([fold], () => fold.apply(batch), stages);
}

/** What reading rows back took is no part of what folding did. */
function timeFolding(folds: Fold[], apply: () => void, stages: Stages): void {
  const readBackMs = () => folds.reduce((sum, fold) => sum + fold.readBackMs, 0);
  const before = readBackMs();
  stages.time('fold', apply);
  const tookMs = readBackMs() - before;
  stages.add('fold', -tookMs);
  stages.add('read_back', tookMs);
}

/** Computes selections, keys and arguments for every event of the batch. */
export function select(layout: Layout): void {
  const { exports } = layout.kernel;
  for (const [index, type] of layout.types.entries())
    if (type.program !== null) exports.runProgram(type.program, type.frame, 0, exports.typeRows(index));
}

/** Tiles and folds records [from, to) of a batch that `select` has been through. Reads after it see them. */
export function advanceRecords(pipeline: Pipeline, from: number, to: number): void {
  const { layout, folds } = pipeline;
  tile(layout.kernel, from, to);
  applyMade(layout.kernel, folds);
  layout.kernel.exports.seeRecords(from, to);
}
