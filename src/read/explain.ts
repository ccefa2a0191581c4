import { assert } from '../base/assert.ts';
import { floorDiv, formatDuration, formatMicros, MICROS_PER_MS } from '../base/time.ts';
import type { Fold } from '../kernel/fold.ts';
import type { KeyInput } from '../kernel/key.ts';
import {
  type AnswerFeature,
  type AnswerLayout,
  type Layout,
  type ReadLayout,
  readsOf,
  typeIndex,
} from '../kernel/layout.ts';
import { copyRows, type FeatureColumn, makeColumn } from '../kernel/feature_column.ts';
import { windowRanges } from '../kernel/cover.ts';
import { dependenciesOf, layAnswer } from '../kernel/answer.ts';
import { STATUS } from '../kernel/window.ts';
import { LIFETIME_LEVEL_MS, type TileRange, windowText } from '../plan/window.ts';
import { AHEAD_MAX_MS } from '../source/source.ts';
import { answerAlone, type StoredRows, storedOf } from './answer.ts';
import { lifetimeOf } from './tiles.ts';

/** What is asked: one feature (`set:name`) of one key. */
export interface Explain {
  feature: string;
  key: KeyInput;
  /** Microseconds since 1970 UTC; null explains now. */
  at: bigint | null;
}

export interface Explanation extends ExplainedFeature {
  entity: string;
  key: KeyInput;
  timeMicros: bigint;
  /** As an answer's. */
  position: number | null;
}

/** Columns have one row, the key's, but those of tiles. */
export interface ExplainedFeature {
  /** What the lookup answers. */
  answer: FeatureColumn;
  /** What it is, in its author's words. */
  expression: string;
  /** The features that it is derived from, also by way of others. */
  from: FeatureColumn[];
  reads: ExplainedRead[];
}

/** An aggregate over a window. */
export interface ExplainedRead {
  /** Named after the aggregate: what its tiles merge to. */
  merged: FeatureColumn;
  /** Why the value is not simply there; null where it is. */
  reason: string | null;
  window: string;
  /** From which time on events are in the window, and from which on they are past it; null where there is no such time. */
  startMicros: bigint | null;
  endMicros: bigint | null;
  cover: CoverRange[];
  /** Of these tiles those that hold something of the aggregate, and a row for each with what it would be by itself. */
  tiles: { levelMs: number; startMs: number }[];
  values: FeatureColumn;
}

export interface CoverRange extends TileRange {
  /** Tiles of it that have begun by the moment, and those that hold something of the aggregate. */
  begun: number;
  held: number;
}

/**
 * Why a feature has the value that it has.
 *
 *   1. answer   the lookup itself, for one key: its value, and what was read for it
 *   2. cover    of each read the tiles that make up its window
 *   3. tiles    each of them alone, merged, finished and rounded as a lookup would if it were all that there is
 *
 * It goes the way of lookups, so it shows what they do, and not what somebody thinks that they do.
 */
export class Explainer {
  /** By entity: all its aggregates, over single tiles. */
  readonly #tiles = new Map<string, AnswerLayout>();

  constructor(private readonly parts: { layout: Layout; fold: Pick<Fold, 'hasRoom'>; store: StoredRows }) {}

  explain(
    answer: AnswerLayout,
    feature: AnswerFeature,
    key: Uint8Array,
    timeMicros: bigint,
    isPast: boolean,
  ): ExplainedFeature {
    const { layout, fold, store } = this.parts;
    const { kernel } = layout;
    kernel.exports.coverAt(answer.index, timeMicros, isPast ? 1 : 0);
    answerAlone(kernel, answer, [feature], key, isPast, storedOf(store, fold, answer));
    const columnOf = (name: string) => {
      const { type, register } = answer.features.get(name)!;
      return rowOf(layout, answer, name, type, register);
    };
    // What stands in the frame is copied before tiles are answered: their texts take the place of its own.
    const read = readsOf(answer, feature).map(one => ({
      ...{ one, merged: rowOf(layout, answer, one.read.aggregate, one.type, one.register) },
    }));
    const explained = {
      answer: columnOf(feature.feature.name),
      expression: feature.feature.description,
      from: [...ancestorsOf(answer, feature)].map(columnOf),
    };
    const ranges = windowRanges(kernel, answer);
    const reads = read.map(({ one, merged }): ExplainedRead => {
      const { startMicros, endMicros } = boundsOf(ranges.filter(({ window }) => window === one.window));
      const reason = reasonOf(layout, answer, one, merged);
      const cover = ranges
        .filter(({ window }) => window === one.window)
        .map(range => ({ ...range, begun: 0, held: 0 }));
      const held = this.#tilesOf(answer, one, cover, key, timeMicros);
      return { merged, reason, window: windowText(one.read.window), startMicros, endMicros, ...held };
    });
    return { ...explained, reads };
  }

  /** The tiles of a cover, ascending by start; those that hold nothing are only counted. */
  #tilesOf(
    answer: AnswerLayout,
    { member, type }: ReadLayout,
    ranges: TileRange[],
    key: Uint8Array,
    timeMicros: bigint,
  ): Pick<ExplainedRead, 'cover' | 'tiles' | 'values'> {
    const { layout, fold, store } = this.parts;
    const { kernel } = layout;
    const { aggregate } = answer.members[member]!;
    const single = this.#tileAnswer(answer.entity);
    const feature = single.features.get(aggregate.name)!;
    const stored = storedOf(store, fold, answer);
    const timeMs = Number(floorDiv(timeMicros, MICROS_PER_MS));
    const lastMs = lastTimeMs(layout, aggregate.event, timeMs);
    const sorted = ranges.toSorted((a, b) => a.fromMs - b.fromMs);
    const values = makeColumn({ name: aggregate.name, type }, tileCount(sorted, lastMs));
    const tiles: ExplainedRead['tiles'] = [];
    const cover = sorted.map((range): CoverRange => {
      const { levelMs, fromMs, toMs } = range;
      const before = tiles.length;
      for (const startMs of startsOf(range, lastMs)) {
        kernel.exports.coverTile(single.index, levelMs, startMs, timeMicros);
        answerAlone(kernel, single, [feature], key, true, stored);
        copyRows(kernel, single, feature, 1, values, tiles.length);
        // One that holds nothing is written over by the next.
        if (values.statuses[tiles.length] !== NOT_FOUND) tiles.push({ levelMs, startMs });
      }
      return { levelMs, fromMs, toMs, begun: tileCount([range], timeMs), held: tiles.length - before };
    });
    return { cover, tiles, values };
  }

  /** Laid out for the first question about the entity: nobody else needs it. */
  #tileAnswer(entity: string): AnswerLayout {
    const known = this.#tiles.get(entity);
    if (known) return known;
    const { layout } = this.parts;
    const aggregates = layout.plan.aggregates.filter(aggregate => aggregate.entity === entity);
    const laid = layAnswer(layout, entity, aggregates.map(lifetimeOf), null);
    this.#tiles.set(entity, laid);
    return laid;
  }
}

const NOT_FOUND = STATUS.indexOf('NOT_FOUND');

function rowOf(
  { kernel }: Layout,
  answer: AnswerLayout,
  name: string,
  type: FeatureColumn['type'],
  register: number,
): FeatureColumn {
  const column = makeColumn({ name, type }, 1);
  copyRows(kernel, answer, { register }, 1, column, 0);
  return column;
}

/** Names of features that one is derived from, the nearest first. */
function ancestorsOf(answer: AnswerLayout, { feature }: AnswerFeature): Set<string> {
  const found = new Set(dependenciesOf(feature).features);
  // A set grows while it is walked, so those of the ones found are found too.
  for (const name of found)
    for (const next of dependenciesOf(answer.features.get(name)!.feature).features) found.add(next);
  return found;
}

/** Of a window's ranges, which follow on each other. A lifetime has neither. */
function boundsOf(ranges: TileRange[]): Pick<ExplainedRead, 'startMicros' | 'endMicros'> {
  const timed = ranges.filter(({ levelMs }) => levelMs !== LIFETIME_LEVEL_MS);
  if (timed.length === 0) return { startMicros: null, endMicros: null };
  const endMs = Math.max(...timed.map(({ toMs }) => toMs));
  return {
    startMicros: BigInt(Math.min(...timed.map(({ fromMs }) => fromMs))) * MICROS_PER_MS,
    endMicros: endMs === Infinity ? null : BigInt(endMs) * MICROS_PER_MS,
  };
}

/** No event of the type in the log has a later time: it would have been too far ahead. */
function lastTimeMs(layout: Layout, event: string, timeMs: number): number {
  const clock = layout.kernel.exports.seenClock(typeIndex(layout, event));
  const clockMs = clock === layout.kernel.exports.CLOCK_NONE.value ? timeMs : Number(floorDiv(clock, MICROS_PER_MS));
  return Math.max(timeMs, clockMs) + AHEAD_MAX_MS;
}

/** Starts of the tiles of a range, up to a time. */
function* startsOf({ levelMs, fromMs, toMs }: TileRange, lastMs: number): Generator<number> {
  if (levelMs === LIFETIME_LEVEL_MS) yield 0;
  else for (let startMs = fromMs; startMs < toMs && startMs <= lastMs; startMs += levelMs) yield startMs;
}

function tileCount(ranges: TileRange[], lastMs: number): number {
  return ranges.reduce((count, { levelMs, fromMs, toMs }) => {
    if (levelMs === LIFETIME_LEVEL_MS) return count + 1;
    const begun = Math.floor((lastMs - fromMs) / levelMs) + 1;
    return count + Math.max(0, Math.min((toMs - fromMs) / levelMs, begun));
  }, 0);
}

/** Why a read has a status, with the times that it is about; null where it has none. */
function reasonOf(layout: Layout, answer: AnswerLayout, read: ReadLayout, merged: FeatureColumn): string | null {
  const { exports } = layout.kernel;
  const { event } = answer.members[read.member]!.aggregate;
  const status = STATUS[merged.statuses[0]!];
  switch (status) {
    case null:
      return null;
    case 'WARMING':
      return `the window starts before ${formatMicros(exports.warmingSince(answer.index, read.member, read.window))}, since when events of type ${event} are known`;
    case 'NOT_FOUND':
      return `no event of type ${event} counted in this window for this key`;
    case 'EXPIRED': {
      const clock = formatMicros(exports.seenClock(typeIndex(layout, event)));
      return `the moment is more than the lateness of ${formatDuration(layout.plan.latenessMs)} before the clock of ${event}, ${clock}`;
    }
    case 'OVERFLOW':
      return 'the result is beyond its type, or beyond what is kept of it';
    default:
      assert(false, `status ${status} has a reason`);
  }
}
