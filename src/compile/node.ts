import type { Position } from '../base/fault.ts';
import type { FunctionName } from '../plan/expression.ts';
import type { AggregateName } from '../plan/plan.ts';
import type { Type } from '../plan/value.ts';

/** What a feature set's select says, read from SQL: every node with its place in the user's file. */
export interface Select {
  /** In the text's order. A faulty item is left out. */
  items: SelectItem[];
  /** Were all items read? If not, names that are missing here may well be in the text. */
  whole: boolean;
  from: Word | null;
  where: SqlNode | null;
  groupBy: SqlNode[];
}

export interface SelectItem {
  node: SqlNode;
  alias: Word | null;
}

export interface Word {
  name: string;
  at: Position;
}

export type CastKind = 'bool' | 'int64' | 'double' | 'string' | 'time';

/** How NOW() is named among names. */
export const READ_TIME = '_now';

/** What a dialect's operators and casts mean that DuckDB's do not. */
export interface Rules {
  /** As faults call it. */
  name: string;
  /** Of two whole numbers: a double, or a whole number, rounded toward zero. */
  division: 'real' | 'whole';
  /** What a double divided by 0 is. What is an error there is null. */
  zero: 'null' | 'infinite';
  /**
   * Which comparisons of texts go by their bytes: all, = and <> alone, = and <> but for spaces at their ends, or none, for
   * a collation decides.
   */
  texts: 'bytes' | 'equal' | 'padded' | 'collated';
  /** Where a collation decides: what to write so that it does not. */
  asBytes?: string;
  /** Of lists. */
  firstIndex: 0 | 1;
  /** How CAST makes an int64 of a double: ties to even, ties away from zero, toward zero, or that and what is beyond is the nearest. */
  roundsTo: 'even' | 'away' | 'zero' | 'saturated' | 'refused';
  /** Does CAST read an int64 from a text, and from nothing that is none? */
  readsNumbers: boolean;
  /** What may stand beside || and in CONCAT and is spelled there as here. */
  spells: Type['kind'][];
  /** Are averages of whole numbers whole, or variances too? */
  hasWholeMeans?: 'averages' | 'all';
  /** + joins texts. */
  hasTextSums?: true;
  /** A value that stands for another takes its type. */
  hasFirstType?: true;
  /** Does NULL in the list of IN and behind WHEN stand for less, or for more, than a value nobody knows? */
  hasOddNulls?: true;
  /** Are bools compared with 0 and 1? */
  hasBits?: true;
}

/** `at` is the whole node's place, `text` what is written there; `rules` are DuckDB's where there are none. */
export type SqlNode = { at: Position; text: string; rules?: Rules | undefined } & (
  | { kind: 'literal'; value: null | boolean | bigint | number | string }
  | { kind: 'name'; table: Word | null; name: string }
  /** a.b, where `a` is no plain name: of plain names it is a `name`, for the first may be a table. Also a['b']. */
  | { kind: 'field'; of: SqlNode; name: Word }
  /** a[1] */
  | { kind: 'element'; of: SqlNode; index: SqlNode; symbol: Word }
  /** [1, 2] */
  | { kind: 'list'; items: SqlNode[] }
  /** Something unsupported, reported already; what stands around it is still checked. */
  | { kind: 'faulty' }
  /** Arithmetic, comparisons, and/or/not: `fn` of `args`, written `symbol`. */
  | { kind: 'operator'; fn: FunctionName; symbol: Word; args: SqlNode[] }
  | { kind: 'in'; symbol: Word; of: SqlNode; list: SqlNode[]; negated: boolean }
  | { kind: 'between'; symbol: Word; of: SqlNode; low: SqlNode; high: SqlNode; negated: boolean }
  | { kind: 'isNull'; of: SqlNode; negated: boolean }
  | { kind: 'case'; operand: SqlNode | null; whens: { when: SqlNode; result: SqlNode }[]; otherwise: SqlNode | null }
  /** A function of functions.ts, by the name it was called by. */
  | { kind: 'function'; name: string; symbol: Word; args: SqlNode[] }
  | { kind: 'cast'; of: SqlNode; to: CastKind }
  /** A count of its own is computed, and then one of `months` and `micros` is what it counts. */
  | { kind: 'interval'; months: bigint; micros: bigint; count: SqlNode | null }
  /** `of` is null for COUNT(*); `params` are what is written behind it. */
  | {
      kind: 'aggregate';
      name: AggregateName;
      symbol: Word;
      of: SqlNode | null;
      params: SqlNode[];
      filter: SqlNode | null;
    }
);
