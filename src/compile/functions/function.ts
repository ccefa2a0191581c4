import { Fault, type Position } from '../../base/fault.ts';
import type { Expression, FunctionName } from '../../plan/expression.ts';
import { INT64, OPTIONAL, STRING, type ScalarKind, TIME, type Type, isScalar, typeName } from '../../plan/value.ts';
import type { Rules, SqlNode, Word } from '../node.ts';
import { adapt, call, isNullLiteral, nullLiteral, scalarHint, unify } from '../typing.ts';

/**
 * The functions that SQL can call, in one table: what `bind` checks and builds a call by is what docs/functions.md is
 * made of. Values that differ from DuckDB's are said in the notes.
 */
export interface SqlFunction {
  group: 'Texts' | 'Times' | 'Numbers' | 'Lists' | 'Choices';
  /** All spellings, in capitals; what is written otherwise than NAME(a, b) has its shape in `form`. */
  names: string[];
  form?: string;
  params: Param[];
  /** How many of the params must be there, where not all must. */
  required?: number;
  /** The last param may come again and again. */
  repeats?: boolean;
  result: string;
  note?: string;
  examples: [sql: string, value: string][];
  /** The call, of arguments that are as `params` says; null where it put a fault into `faults`. */
  make(args: Expression[], written: Written): Expression | null;
}

export interface Param {
  name: string;
  /** Null where any type will do, for `make` sees to it. */
  kinds: (ScalarKind | 'list')[] | null;
  /** It has to be written as a literal. */
  literal?: true;
}

/** A call as it was written. */
export interface Written {
  name: string;
  symbol: Word;
  args: SqlNode[];
  at: Position;
  faults: Fault[];
  /** Of another dialect than DuckDB's. */
  rules?: Rules | undefined;
}

export const TEXT: Param = { name: 'text', kinds: ['string'] };

export const PART: Param = { name: 'part', kinds: ['string'], literal: true };

export const MOMENT: Param = { name: 'time', kinds: ['time'] };

export const WHOLE: Param = { name: 'x', kinds: ['int64'] };

export const NUMBER: Param = { name: 'x', kinds: ['int64', 'double'] };

export const SPELLABLE: Param = { name: 'value', kinds: ['string', 'int64', 'bool', 'time'] };

export const ANY: Param = { name: 'value', kinds: null };

export const PATTERN: Param = { name: 'pattern', kinds: ['string'], literal: true };

export const FORMAT: Param = { name: 'format', kinds: ['string'], literal: true };

export const OPTIONS: Param = { name: 'options', kinds: ['string'], literal: true };

export const LIST: Param = { name: 'list', kinds: ['list'] };

export function param(name: string, ...kinds: (ScalarKind | 'list')[]): Param {
  return { name, kinds };
}

/** The call of one function of the plan, with the arguments as they are. */
export function plain(fn: FunctionName, type: Type): SqlFunction['make'] {
  return (args, { at }) => call(fn, args, type, at);
}

export function asText(arg: Expression): Expression {
  return arg.type.kind === 'string' ? arg : { kind: 'call', fn: 'toText', args: [arg], type: STRING, at: arg.at };
}

export function unified(
  fn: FunctionName,
  args: Expression[],
  { name, args: nodes, at, faults }: Written,
): Expression | null {
  const same = unify(args, nodes, name, faults);
  if (!same || isScalar(same.type) || fn === 'coalesce') return same && call(fn, same.values, same.type, at);
  const message = `${name} wants scalars, got ${typeName(same.type)}; ${scalarHint(same.type, nodes[0]!.text)}`;
  faults.push(new Fault('definition', message, nodes[0]!.at));
  return null;
}

/** NULL where a list is wanted. */
export const NO_LIST: Type = { kind: 'list', of: { type: INT64, presence: OPTIONAL } };

/** An argument as its param wants it; null where it cannot be that. */
export function fit(
  arg: Expression,
  { name, kinds, literal: isLiteral }: Param,
  written: Written,
  index: number,
): Expression | null {
  const { faults, args } = written;
  const { at, text } = args[index]!;
  const fault = (message: string) => {
    faults.push(new Fault('definition', message, at));
    return null;
  };
  if (!kinds) return arg;
  if (isNullLiteral(arg) && !isLiteral) return nullLiteral(kinds[0] === 'list' ? NO_LIST : { kind: kinds[0]! }, arg.at);
  const adapted = kinds.includes('time') && !kinds.includes('string') ? adapt(arg, TIME, faults) : arg;
  if (!adapted) return null;
  if (isLiteral && (adapted.kind !== 'literal' || isNullLiteral(adapted)))
    return fault(`${written.name} wants a literal as ${name}, got ${text}`);
  const { kind } = adapted.type;
  if (kinds.some(known => known === kind)) return adapted;
  const hint = HINTS[`${kind} ${kinds[0]}`]?.(text) ?? '';
  return fault(`${written.name} wants ${kinds.join(' or ')} as ${name}, got ${typeName(adapted.type)}${hint}`);
}

/** What to write where a type is not the one that is wanted. */
const HINTS: Record<string, (text: string) => string> = {
  'list string': text => `: write ${text}[1] for its first element`,
  'string list': text => `: declare ${text} as [string] if it is one`,
  'double int64': text => `: write CAST(${text} AS BIGINT), which rounds`,
  'double string': text => `: doubles are not spelled; write CAST(ROUND(${text}) AS BIGINT)`,
  'bool int64': text => `: write CAST(${text} AS BIGINT)`,
  'int64 string': text => `: write CAST(${text} AS VARCHAR)`,
  'string int64': text => `: write CAST(${text} AS BIGINT)`,
  'string time': text => `: write CAST(${text} AS TIMESTAMP)`,
  'int64 time': text => `: write EPOCH_MS(${text}) for milliseconds, TO_TIMESTAMP(${text}) for seconds`,
};
