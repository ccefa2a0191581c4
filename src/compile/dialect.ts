import type { Construct } from '../plan/regex.ts';
import type { CastKind, Rules } from './node.ts';

/**
 * Dialects of SQL, each as what it spells otherwise than DuckDB, whose functions and meanings are those of this house.
 * What is not in a dialect's table is refused in it: a spelling is here only where the values are known to be the same.
 * What a system ends with an error is null here, in every dialect; its decimals are doubles.
 */
export interface Dialect {
  /** As the SQL library calls it. */
  parser: string;
  rules: Rules;
  /**
   * Calls, and what they are in DuckDB: `['IFF(a, b, c)', 'IF(a, b, c)']`. A name alone is a call of any arguments, as
   * it is there. Some params ask for more, by their names: see PARAMS.
   */
  calls: [theirs: string, ours: string][];
  /** What to write instead of calls that it has, and that mean something else there, by their names in capitals. */
  instead?: Record<string, string>;
  /** Calls of one argument that are casts, by their names. */
  casts?: [name: string, to: CastKind][];
  types: Record<CastKind, string>;
  /** Types are also written in this: Nullable(Int64). */
  typeWrapper?: string;
  /** Parts of times as they are called, and what they are here. */
  parts: Record<string, string>;
  /** Does an empty pattern match other texts there than it does here? */
  hasOddEmpty?: true;
  /** Units that INTERVAL takes there for another length than here. */
  oddIntervals?: string[];
  /** Parts of times that EXTRACT takes, and what of `time` they are. */
  fields: Record<string, string>;
  /** How LIKE escapes where no ESCAPE is written; null where nothing does, and the case of ASCII letters does not count. */
  likeEscape: '' | '\\' | null;
  /** Is a backslash in LIKE itself where it stands before anything else than what it can escape? */
  keepsBackslashes?: true;
  hasIlike: boolean;
  /** COUNT() is COUNT(*). */
  hasBareCount?: true;
  /** a ? b : c */
  hasTernary?: true;
  /** LIKE has [classes]. */
  hasLikeClasses?: true;
  /** CONVERT(type, x) is CAST(x AS type). */
  hasConvert?: true;
  /** Do backslashes in texts escape what stands behind them? Or does that depend on who reads it? */
  hasBackslashes: boolean | 'unknown';
  /** Operators of regular expressions: parts of patterns that mean what they do in RE2, or `re2` where all do. */
  regex: Construct[] | 're2';
  /** Infix operators, by what is written. */
  operators: Record<string, string>;
}

/** What a param in `calls` asks of its argument, by its name. */
export const PARAMS = [
  'part',
  'unit',
  'start',
  'count',
  'filler',
  'pattern',
  'ungrouped',
  'replacement',
  'step',
  'span',
  'monday',
  'cut',
  'elapsed',
  'field',
] as const;
