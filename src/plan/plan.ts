import type { Position } from '../base/fault.ts';
import type { Expression } from './expression.ts';
import type { Field, Type } from './value.ts';

/**
 * What every front end compiles to, and all that the rest of the system knows of a definition. Names are unique
 * within their list; nothing depends on the lists' order.
 */
export interface Plan {
  events: EventType[];
  entities: Entity[];
  aggregates: Aggregate[];
  sets: FeatureSet[];
  features: Feature[];
  /** How long past its windows a tile is kept for late events, and how late an event may be and still read its windows. */
  latenessMs: number;
}

export interface EventType {
  name: string;
  /** For people, where somebody wrote them. */
  description?: string;
  owner?: string;
  /** Read from the record's `data` object by path. */
  inputs: Field[];
  /** Computed from the event alone, from other columns, or (in topologies) from reads of aggregates. */
  columns: { name: string; expression: Expression }[];
  /** What events of a topology are answered with, in the order of their definitions; left out where there is nothing. */
  features?: EventFeature[];
  /** Columns of scalars that nobody computes: whoever hands over the events has their values. In parts of plans alone (subplan.ts). */
  given?: { name: string; type: Type }[];
  /**
   * What a faulty input does: `reject` makes the whole event bad, so that it counts nowhere and is listed in the
   * errors stream (feature sets); `null` makes that one value null, or its default, with an error beside it; `convert`
   * does the same after trying harder (topologies): the text "5" is the int64 5, "1.5" a double, "true" a bool, "2001-01-31" and
   * "978307200000" are times, 5.0 and true as a string are how they were written, 5.6 is the int64 5 with an error beside it, and
   * the text "null" is null, whatever is wanted. It is the same for what is nested in an input, whose error then names the place.
   */
  onFault: 'reject' | 'null' | 'convert';
  /**
   * +1 or -1: how an event counts that an expression says it of. Null for all others: append-only ones, and those of
   * a `changelog`. Only linear aggregates may stand over either.
   */
  weight: Expression | null;
  /** Where events are changes of rows: how they say so. */
  changelog?: Changelog;
  at: Position | null;
}

/** An input or a column of an event that whoever posts it is answered with, and that a replay has a column of. */
export interface EventFeature {
  /** Of the input or the column that is its value. Outside of its event it is called `event.column`. */
  column: string;
  /**
   * A text in the event's scope that says what went wrong where the value was made, null for an event where nothing
   * did. A value and an error may stand together. Null where nothing can go wrong.
   */
  error: Expression | null;
  /** The text that it was made of. */
  description: string;
  /** What it says, in the words of its author, where there are any. */
  about?: string;
  at: Position | null;
}

/**
 * How a record says what has become of rows: a row that is added counts +1, one that is taken back -1. Anything else
 * than it may say makes the event bad.
 *
 * - `ops`: a record is one row, and the input `op` says which it is, by a word of `CHANGE_OPS`.
 * - `debezium`: a record is an envelope with the row before the change and the one after it, and either may be missing; inputs
 *   are read from the rows. A null in its place is neither.
 * - `upsert`: a record says only what the row of its key is now, or that it is gone. What the row was is taken back: that of
 *   the last record of the key that is not bad (`plan/upsert.ts`).
 *
 * @property time the input that is each row's own time, at which it is added and taken back alike; null for the record's
 */
export type Changelog = { time: string | null } & ({ kind: 'ops'; op: string } | { kind: 'debezium' } | Upsert);

/**
 * How a record without a row before it says what has become of the row with its key.
 *
 * - `rows`: it is now what the record says; rows are never deleted.
 * - `ops`: so it is where the input `says` is +I or +U; -D deletes it, and -U says nothing that was not known.
 * - `flag`: so it is unless the input `says` is true, or the text `true`.
 * - `debezium`: an envelope of which only the row after the change is read, or of a deleted row the key.
 */
export interface Upsert {
  kind: 'upsert';
  /** Inputs that name a row together; none of them is ever null. */
  key: string[];
  form: 'rows' | 'ops' | 'flag' | 'debezium';
  says: string | null;
}

/** What Flink calls the kinds of rows in a changelog, and what they count. */
export const CHANGE_OPS: Record<string, 1 | -1> = { '+I': 1, '-U': -1, '+U': 1, '-D': -1 };

/** What a lookup is keyed by. A key column is a bool, int64, string or time. */
export interface Entity {
  name: string;
  /** For people, where somebody wrote them. */
  description?: string;
  owner?: string;
  keys: Type[];
  at: Position | null;
}

/**
 * A stored aggregate: one state for each (key, tile). The windows that read it are not part of it; they share its
 * tiles.
 */
export interface Aggregate {
  /** `set:name` for a feature set; front ends make names up for aggregates that users do not name. */
  name: string;
  /** The event type that writes it. */
  event: string;
  /** The entity whose rows hold it; null where only events read it. */
  entity: string | null;
  /** In the writing event's scope. A null key writes nothing. */
  keys: Expression[];
  /** Only events for which this is true are counted; null counts all. */
  where: Expression | null;
  fn: AggregateFunction;
  tiles: Tiles;
  /** Of its finished value. */
  type: Type;
  at: Position | null;
}

/**
 * Nulls never count: they are passed over by each of these.
 *
 * - `count`: events, or events whose argument is not null. Linear.
 * - `sum`: of int64, in 128 bits; OVERFLOW at finish beyond int64. Of double, exact, rounded once at finish; OVERFLOW
 *   beyond the largest double; infinities and NaN as IEEE 754 adds them. 0 when empty. Linear.
 * - `avg`: the exact quotient of the exact sum, rounded once to a double. Null when empty. Linear.
 * - `varPop`, `varSamp`, `stddevPop`, `stddevSamp`: of int64 and double, from exact sums of values and squares; the variance is
 *   rounded once, the deviation is its root. Null where there are too few values; NaN where one was NaN or infinite; OVERFLOW
 *   with a double of 2^512 or more. Linear.
 * - `min`, `max`: of int64, double (-0 below 0, NaN above all), bool, time, or string by its UTF-8 bytes. Null when empty;
 *   OVERFLOW while the text is longer than the kernels keep (1 KiB). With a `limit` the so many least or greatest values,
 *   each as often as it is there, as a list from the least or the greatest on. Monotone.
 * - `first`, `last`: in order of (time, position). Null when empty. Monotone.
 * - `lastN`: of scalars, the values of the `limit` latest events in order of (time, position), the latest first. An empty
 *   list when empty; OVERFLOW while a text among them is longer than the kernels keep (1 KiB). Monotone.
 * - `countUnique`, `mode`, `topK`, `valueCounts`: of scalars, from how often each value is there, -0 as 0. The first is how many
 *   values are not there 0 times, the second the one that is there most often, and of those the least; `topK` is a list of the
 *   first `params[0]` in that order; `valueCounts` a map of values to how often they are there. Linear, and bounded: OVERFLOW
 *   where more than `limit` values were in the events at all, whatever their weights, or a text beyond 1 KiB.
 * - `bucketCounts`: of what `bucketIndex` makes, how often each of `params[0]` buckets is there: a list. Linear.
 * - `quantile`: of what `sketchBucket` makes, bounded by `limit` as values are. `params` are its accuracy, 1 for a list of quantiles or 0
 *   for one, and these, each from 0 to 1: the middle of the bucket of the value that has floor(q (n - 1)) below it. Null when empty. Linear.
 * - `decayedSum`, `decayedCount`: of numbers as doubles, and of 1 for each that is not null: the exact sum of
 *   (value * 2^part) * 2^whole, (whole, part) being its time in half-lives of `limit` milliseconds since 1970 less the whole number
 *   of those before the read, rounded once, times 2^-(the rest of the read). Events before floor(read - 64 half-lives, coarsest tile)
 *   drop. 0 when empty; OVERFLOW with an infinity or a value of 2^768 or more. Linear.
 * - `firstN`: as `lastN`, of the earliest events, the earliest first. Monotone.
 * - `lastDistinct`: the `limit` distinct values that were latest, the latest first; 0 and -0 are one value, 0, in all that
 *   is distinct. Lists are as with `lastN`. Monotone.
 * - `list`: all values, in order of (time, position). OVERFLOW where there are more than `limit`, or a text among them that is too
 *   long. Monotone.
 * - `set`: the distinct values in their order, as `min` has it. OVERFLOW as with `list`. Monotone.
 * - `argMax`, `argMin`: the first argument at the event with the greatest or least second one, of equal ones at the earliest
 *   by (time, position); events where either is null are passed over. Null when empty. With a `limit` as a list, of the
 *   so many greatest or least. OVERFLOW where a text among them is too long, of either argument. Monotone.
 * - `approxCountDistinct`: about how many distinct values there are, by a HyperLogLog of 2^limit registers
 *   (assembly/hyperloglog.ts). Monotone.
 * - `vectorAvg`: of lists of `limit` doubles the averages place by place, as `avg` has them; a list of another length, or with
 *   a null in it, is passed over. Null when empty; OVERFLOW where a sum is beyond the largest double. Linear.
 */
export interface AggregateFunction {
  name: AggregateName;
  args: Expression[];
  /** How many values are kept, where a function keeps some; how precisely they are counted, or how long they are. */
  limit: number | null;
  /** What else a function is told of what to make of them, in its own order; empty where there is nothing to tell. */
  params: number[];
}

export type AggregateName =
  | 'count'
  | 'sum'
  | 'avg'
  | 'varPop'
  | 'varSamp'
  | 'stddevPop'
  | 'stddevSamp'
  | 'min'
  | 'max'
  | 'first'
  | 'last'
  | 'lastN'
  | 'countUnique'
  | 'mode'
  | 'topK'
  | 'valueCounts'
  | 'bucketCounts'
  | 'quantile'
  | 'decayedSum'
  | 'decayedCount'
  | 'firstN'
  | 'lastDistinct'
  | 'list'
  | 'set'
  | 'argMax'
  | 'argMin'
  | 'approxCountDistinct'
  | 'vectorAvg';

/** How many values a list or a map of it may have, keys counted too; 0 where it is a scalar. */
export function itemsMax({ name, limit, params }: AggregateFunction): number {
  switch (name) {
    case 'lastN':
    case 'firstN':
    case 'lastDistinct':
    case 'list':
    case 'set':
    case 'vectorAvg':
      return limit!;
    case 'min':
    case 'max':
    case 'argMin':
    case 'argMax':
      return limit ?? 0;
    case 'topK':
    case 'bucketCounts':
      return params[0]!;
    case 'valueCounts':
      return limit! * 2;
    case 'quantile':
      return params[1] === 1 ? params.length - 2 : 0;
    default:
      return 0;
  }
}

/** Can it be undone with weight -1? A monotone aggregate over input that retracts is refused by the compiler. */
export const LINEAR: Record<AggregateName, boolean> = {
  count: true,
  sum: true,
  avg: true,
  varPop: true,
  varSamp: true,
  stddevPop: true,
  stddevSamp: true,
  countUnique: true,
  mode: true,
  topK: true,
  valueCounts: true,
  bucketCounts: true,
  quantile: true,
  decayedSum: true,
  decayedCount: true,
  min: false,
  max: false,
  first: false,
  last: false,
  lastN: false,
  firstN: false,
  lastDistinct: false,
  list: false,
  set: false,
  argMax: false,
  argMin: false,
  approxCountDistinct: false,
  vectorAvg: true,
};

/** Tile lengths, fine to coarse, each dividing the next; tile starts are offsetMs + k * length, UTC. Besides them the lifetime is always kept where a read wants it. */
export interface Tiles {
  levelsMs: number[];
  offsetMs: number;
}

export interface FeatureSet {
  name: string;
  description: string;
  owner: string;
  /** Raised by whoever means to change types, units or steps of windows under the names that there are; 1 where it is left out. */
  version?: number;
  entity: string;
  /** The event type it is computed from. */
  event: string;
  /** How an event of that type names the entity: one expression for each of the entity's keys, in its order. */
  keys: Expression[];
  /** As users wrote them, for the catalogue. */
  sql: string;
  at: Position | null;
}

/** What a lookup answers: an expression in the entity's scope, over reads of aggregates and other features. */
export interface Feature {
  /** `set:name`. */
  name: string;
  set: string;
  entity: string;
  expression: Expression;
  /** The text that it was made of. */
  description: string;
  /** What it says, in the words of its author, where there are any. */
  about?: string;
  /** What its values are counted in, such as `minutes`, where somebody said. */
  units?: string;
  at: Position | null;
}
