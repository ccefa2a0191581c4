import type { FunctionName } from '../../plan/expression.ts';
import { REFUSED_OPERATORS } from '../unsupported.ts';

/** Operators of two sides: what they are here, and their tokens. */
export const OPERATORS = new Map<string, [FunctionName, string]>([
  ['add', ['add', 'PLUS']],
  ['sub', ['subtract', 'DASH']],
  ['mul', ['multiply', 'STAR']],
  ['div', ['divide', 'SLASH']],
  ['mod', ['modulo', 'PERCENT']],
  ['eq', ['equal', 'EQ']],
  ['neq', ['notEqual', 'NEQ']],
  ['lt', ['less', 'LT']],
  ['lte', ['lessOrEqual', 'LTE']],
  ['gt', ['greater', 'GT']],
  ['gte', ['greaterOrEqual', 'GTE']],
  ['and', ['and', 'AND']],
  ['or', ['or', 'OR']],
]);

/** What takes a member out of JSON. */
export const JSON_KINDS = new Set([
  'json_extract',
  'json_extract_scalar',
  'j_s_o_n_extract',
  'json_value',
  'json_query',
]);

/** Kinds that begin with a word and a parenthesis, and are no calls of their dialect's table. */
export const NO_CALLS = new Set([
  ...OPERATORS.keys(),
  ...'paren neg not literal boolean null column dot subscript array_func in between is_null case cast try_cast safe_cast cast_to_str_type'.split(
    ' ',
  ),
  ...'count sum avg min max first last concat bitwise_and bitwise_or bitwise_left_shift bitwise_right_shift'.split(' '),
  ...'bitwise_not like i_like regexp_like regexp_i_like similar_to interval int_div subquery exists tuple'.split(' '),
  ...JSON_KINDS,
  ...[...REFUSED_OPERATORS.keys()].filter(kind => kind !== 'power'),
]);

/** Some of these kinds can be called as well, by this name. */
export const CALLED = new Map([
  ['regexp_like', 'REGEXP_LIKE'],
  ['int_div', 'DIV'],
  ['concat', 'CONCAT'],
  ['any', 'ANY'],
]);
