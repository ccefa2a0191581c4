import { assert } from '../../base/assert.ts';
import type { SqlNode, Word } from '../node.ts';
import {
  calledAggregate,
  isReadTime,
  isSinceLast,
  walkAggregate,
  walkCalled,
  walkReadTime,
  walkSinceLast,
} from './aggregate.ts';
import { CALL_ARGS, walkFunction } from './call.ts';
import { type Cursor, here, nextWord, peekIs, refusal, span, take, takeName, takeWord, walk } from './cursor.ts';
import { OPERATORS } from './kinds.ts';
import { walkCast, walkInterval, walkLiteral } from './literal.ts';
import { walkLike, walkRegex } from './pattern.ts';
import { walkUnsupported } from './refuse.ts';
import { type Node, child, identifier, list, nodes, open } from './tree.ts';

/** A node as DuckDB has it. */
export function walkOurs(cursor: Cursor, node: Node): SqlNode {
  const first = cursor.next;
  const [kind, body] = open(node);
  const operator = OPERATORS.get(kind);
  if (operator) {
    const left = walk(cursor, child(body, 'left'));
    if (kind === 'mod' && peekIs(cursor, 'DIV')) return walkBinary(cursor, left, body, first);
    const [fn, type] = operator;
    const symbol = takeWord(cursor, type, 'an operator');
    const args = [left, walk(cursor, child(body, 'right'))];
    return { kind: 'operator', fn, symbol, args, ...span(cursor, first) };
  }
  const called = calledAggregate(cursor, kind);
  if (called) return walkCalled(cursor, called, first);
  if (isSinceLast(cursor)) return walkSinceLast(cursor, first);
  if (kind === 'function' && isReadTime(cursor)) return walkReadTime(cursor, first);
  if (CALL_ARGS.has(kind)) return walkFunction(cursor, kind, body, first);
  switch (kind) {
    case 'paren': {
      take(cursor, 'L_PAREN', '(');
      const inner = walk(cursor, child(body, 'this'));
      take(cursor, 'R_PAREN', ')');
      return { ...inner, ...span(cursor, first) };
    }
    case 'neg':
    case 'not':
      return walkUnary(cursor, kind, body, first);
    case 'literal':
    case 'boolean':
    case 'null':
      return walkLiteral(cursor, kind, body, first);
    case 'column':
      return walkColumn(cursor, body, first);
    case 'dot': {
      const of = walk(cursor, child(body, 'this'));
      take(cursor, 'DOT', 'a dot');
      return { kind: 'field', of, name: takeName(cursor, identifier(body, 'field')), ...span(cursor, first) };
    }
    case 'subscript':
      return walkSubscript(cursor, body, first);
    case 'array_func':
      return walkList(cursor, body, first);
    case 'in':
      return walkIn(cursor, body, first);
    case 'between':
      return walkBetween(cursor, body, first);
    case 'is_null':
      return walkIsNull(cursor, body, first);
    case 'case':
      return walkCase(cursor, body, first);
    case 'cast':
    case 'try_cast':
    case 'safe_cast':
      return walkCast(cursor, body, first);
    case 'count':
    case 'sum':
    case 'avg':
    case 'min':
    case 'max':
    case 'first':
    case 'last':
      return walkAggregate(cursor, kind, body, first);
    case 'concat':
    case 'bitwise_and':
    case 'bitwise_or':
    case 'bitwise_left_shift':
    case 'bitwise_right_shift':
      return walkBinary(cursor, walk(cursor, child(body, 'left')), body, first);
    case 'bitwise_not': {
      const symbol = takeWord(cursor, 'TILDE', '~');
      return { kind: 'function', name: '~', symbol, args: [walk(cursor, child(body, 'this'))], ...span(cursor, first) };
    }
    case 'like':
    case 'i_like':
      return walkLike(cursor, body, first);
    case 'regexp_like':
    case 'regexp_i_like':
    case 'similar_to':
      return walkRegex(cursor, body, first);
    case 'interval':
      return walkInterval(cursor, body, first);
    default:
      return walkUnsupported(cursor, kind, body, first);
  }
}

export const BINARY = new Map([
  ['D_PIPE', '||'],
  ['AMP', '&'],
  ['PIPE', '|'],
  ['LT_LT', '<<'],
  ['GT_GT', '>>'],
  ['DIV', '//'],
]);

/** An operator that is a function of functions.ts; what stands left of it is walked already. */
function walkBinary(cursor: Cursor, left: SqlNode, body: Node, first: number): SqlNode {
  const name = BINARY.get(cursor.tokens[cursor.next]?.type ?? '');
  if (name === undefined) throw refusal(cursor, 'an operator');
  const symbol = { name, at: nextWord(cursor).at };
  const args = [left, walk(cursor, child(body, 'right'))];
  return { kind: 'function', name, symbol, args, ...span(cursor, first) };
}

function walkUnary(cursor: Cursor, kind: 'neg' | 'not', body: Node, first: number): SqlNode {
  if (kind === 'not' && !peekIs(cursor, 'NOT')) {
    const [inner, operator] = open(child(body, 'this'));
    if (inner === 'like' || inner === 'i_like') return walkLike(cursor, operator, first);
    if (/^regexp_(i_)?like$|^similar_to$/.test(inner)) return walkRegex(cursor, operator, first);
  }
  const symbol = takeWord(cursor, kind === 'neg' ? 'DASH' : 'NOT', kind === 'neg' ? '-' : 'NOT');
  const of = walk(cursor, child(body, 'this'));
  const place = span(cursor, first);
  // The least int64 has no positive twin: a minus belongs to its number.
  if (kind === 'neg' && of.kind === 'literal' && (typeof of.value === 'bigint' || typeof of.value === 'number'))
    return { kind: 'literal', value: -of.value, ...place };
  return { kind: 'operator', fn: kind === 'neg' ? 'negate' : 'not', symbol, args: [of], ...place };
}

function walkColumn(cursor: Cursor, body: Node, first: number): SqlNode {
  let table: Word | null = null;
  if (body.table) {
    table = takeName(cursor, identifier(body, 'table'));
    take(cursor, 'DOT', 'a dot');
  }
  const { name } = takeName(cursor, identifier(body, 'name'));
  return { kind: 'name', table, name, ...span(cursor, first) };
}

/** a[1], a['b'] */
function walkSubscript(cursor: Cursor, body: Node, first: number): SqlNode {
  const of = walk(cursor, child(body, 'this'));
  const symbol = takeWord(cursor, 'L_BRACKET', '[');
  const index = walk(cursor, child(body, 'index'));
  take(cursor, 'R_BRACKET', ']');
  const place = span(cursor, first);
  if (index.kind === 'literal' && typeof index.value === 'string')
    return { kind: 'field', of, name: { name: index.value, at: index.at }, ...place };
  return { kind: 'element', of, index, symbol: { ...symbol, name: '[ ]' }, ...place };
}

/** [1, 2]; also what else the library takes for a list, like ARRAY[1, 2], is refused by its first token. */
function walkList(cursor: Cursor, body: Node, first: number): SqlNode {
  take(cursor, 'L_BRACKET', 'an expression');
  const items: SqlNode[] = [];
  for (const node of nodes(body, 'expressions')) {
    if (items.length > 0) take(cursor, 'COMMA', 'a comma');
    items.push(walk(cursor, node));
  }
  take(cursor, 'R_BRACKET', ']');
  return { kind: 'list', items, ...span(cursor, first) };
}

function walkIn(cursor: Cursor, body: Node, first: number): SqlNode {
  const of = walk(cursor, child(body, 'this'));
  const negated = body.not === true;
  if (negated) take(cursor, 'NOT', 'NOT');
  const symbol = takeWord(cursor, 'IN', 'IN');
  if (body.is_field === true)
    throw here(cursor, `IN of a list is not supported: write LIST_CONTAINS(list, ${of.text})`);
  take(cursor, 'L_PAREN', 'a list in parentheses');
  if (body.query) throw refusal(cursor, 'a list');
  const list: SqlNode[] = [];
  for (const node of nodes(body, 'expressions')) {
    if (list.length > 0) take(cursor, 'COMMA', 'a comma');
    list.push(walk(cursor, node));
  }
  if (list.length === 0) throw here(cursor, 'IN () is empty: name at least one value', 'definition');
  take(cursor, 'R_PAREN', ')');
  return { kind: 'in', symbol, of, list, negated, ...span(cursor, first) };
}

function walkBetween(cursor: Cursor, body: Node, first: number): SqlNode {
  const of = walk(cursor, child(body, 'this'));
  const negated = body.not === true;
  if (negated) take(cursor, 'NOT', 'NOT');
  const symbol = takeWord(cursor, 'BETWEEN', 'BETWEEN');
  if (body.symmetric) throw here(cursor, 'BETWEEN SYMMETRIC is not supported: write the lesser bound first');
  const low = walk(cursor, child(body, 'low'));
  take(cursor, 'AND', 'AND');
  const high = walk(cursor, child(body, 'high'));
  return { kind: 'between', symbol, of, low, high, negated, ...span(cursor, first) };
}

function walkIsNull(cursor: Cursor, body: Node, first: number): SqlNode {
  const of = walk(cursor, child(body, 'this'));
  const negated = body.not === true;
  take(cursor, 'IS', 'IS NULL or IS NOT NULL');
  if (negated) take(cursor, 'NOT', 'NOT');
  take(cursor, 'NULL', 'NULL');
  return { kind: 'isNull', of, negated, ...span(cursor, first) };
}

function walkCase(cursor: Cursor, body: Node, first: number): SqlNode {
  take(cursor, 'CASE', 'CASE');
  const operand = body.operand ? walk(cursor, child(body, 'operand')) : null;
  const whens: { when: SqlNode; result: SqlNode }[] = [];
  for (const pair of list(body, 'whens')) {
    assert(Array.isArray(pair) && pair.length === 2, 'the SQL library gives CASE branches in pairs');
    take(cursor, 'WHEN', 'WHEN');
    const when = walk(cursor, pair[0]);
    take(cursor, 'THEN', 'THEN');
    whens.push({ when, result: walk(cursor, pair[1]) });
  }
  let otherwise: SqlNode | null = null;
  if (body.else_) {
    take(cursor, 'ELSE', 'ELSE');
    otherwise = walk(cursor, child(body, 'else_'));
  }
  take(cursor, 'END', 'END');
  return { kind: 'case', operand, whens, otherwise, ...span(cursor, first) };
}
