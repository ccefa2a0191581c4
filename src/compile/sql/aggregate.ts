import { Fault } from '../../base/fault.ts';
import { EVENT_TIME } from '../../plan/expression.ts';
import type { AggregateName } from '../../plan/plan.ts';
import { BY_SPELLING, SINCE_LAST, type SqlAggregate, aggregateNamed } from '../aggregates.ts';
import { READ_TIME, type SqlNode } from '../node.ts';
import { theirArgument, theirArguments } from './call.ts';
import { type Cursor, here, isQuoted, nextWord, peekIs, span, take, unexpected, walk } from './cursor.ts';
import { NO_CALLS } from './kinds.ts';
import { type Node, child } from './tree.ts';

/** COUNT(*), SUM(x) FILTER (WHERE y): aggregates that the library knows as such. */
export function walkAggregate(cursor: Cursor, name: AggregateName, body: Node, first: number): SqlNode {
  const { at, text } = cursor.tokens[cursor.next + 1]?.type === 'L_PAREN' ? nextWord(cursor) : unexpected(cursor);
  take(cursor, 'L_PAREN', '(');
  let of: SqlNode | null = null;
  const isDistinct = name === 'count' && peekIs(cursor, 'DISTINCT');
  if (isDistinct) cursor.next++;
  if (body.star && !isDistinct) take(cursor, 'STAR', '*');
  else if (body.this) of = walk(cursor, child(body, 'this'));
  else if (name === 'count' && !isDistinct && cursor.dialect?.hasBareCount) of = null;
  else throw here(cursor, `${text.toUpperCase()}() wants * or an argument`, 'definition');
  take(cursor, 'R_PAREN', ')');
  const filter = walkFilter(cursor, body);
  const symbol = { name: text, at };
  const place = span(cursor, first);
  return { kind: 'aggregate', name: isDistinct ? 'countUnique' : name, symbol, of, params: [], filter, ...place };
}

/** FILTER (WHERE condition), where it is there. */
function walkFilter(cursor: Cursor, body: Node): SqlNode | null {
  if (!body.filter) return null;
  take(cursor, 'FILTER', 'FILTER');
  take(cursor, 'L_PAREN', '(');
  take(cursor, 'WHERE', 'WHERE');
  const filter = walk(cursor, child(body, 'filter'));
  take(cursor, 'R_PAREN', ')');
  return filter;
}

/** The aggregate of the table that this node is a call of. The library has not heard of most, and makes of each something else. */
export function calledAggregate(cursor: Cursor, kind: string): SqlAggregate | null {
  const [name, bracket] = cursor.tokens.slice(cursor.next, cursor.next + 2);
  if (NO_CALLS.has(kind) || bracket?.type !== 'L_PAREN' || isQuoted(name!)) return null;
  return BY_SPELLING.get(name!.text.toUpperCase()) ?? null;
}

/** A value, and what is written behind it: read one by one, as the text has them. */
export function walkCalled(cursor: Cursor, aggregate: SqlAggregate, first: number): SqlNode {
  const { at, text } = nextWord(cursor);
  take(cursor, 'L_PAREN', '(');
  if (aggregate.distinct && peekIs(cursor, 'DISTINCT')) {
    take(cursor, 'DISTINCT', 'DISTINCT');
    aggregate = aggregateNamed(aggregate.distinct);
  }
  const args = theirArguments(cursor, cursor.dialect);
  take(cursor, 'R_PAREN', ')');
  const { wants, params, full } = aggregate;
  const values = aggregate.isRanked ? 2 : 1;
  const isFull = full?.includes(text.toUpperCase());
  const required = values + params.filter(param => isFull || !param.isOptional).length;
  if (args.length < required || args.length > values + params.length)
    throw new Fault('definition', `${text.toUpperCase()} wants ${wants}, got ${args.length}`, at);
  const filter = walkFilterOf(cursor);
  const [of, ...given] = args as [SqlNode, ...SqlNode[]];
  const symbol = { name: text, at };
  const called = (name: AggregateName): SqlNode => ({
    ...{ kind: 'aggregate', name, symbol, of, params: given, filter },
    ...span(cursor, first),
  });
  const { name, over } = aggregate;
  if (!over) return called(name);
  return { kind: 'operator', fn: 'divide', symbol, args: [called(name), called(over)], ...span(cursor, first) };
}

/** TIME_SINCE_LAST(), or of events where a value is not null. */
export function isSinceLast(cursor: Cursor): boolean {
  const [name, bracket] = cursor.tokens.slice(cursor.next, cursor.next + 2);
  return bracket?.type === 'L_PAREN' && name!.text.toUpperCase() === SINCE_LAST;
}

/** TIME_SINCE_LAST(x) -> EPOCH_US(NOW()) - EPOCH_US(MAX(_time) FILTER (WHERE x IS NOT NULL)) */
export function walkSinceLast(cursor: Cursor, first: number): SqlNode {
  const { at, text } = nextWord(cursor);
  take(cursor, 'L_PAREN', '(');
  const args = theirArguments(cursor, cursor.dialect);
  take(cursor, 'R_PAREN', ')');
  if (args.length > 1)
    throw new Fault('definition', `${SINCE_LAST} wants one argument, or none, got ${args.length}`, at);
  const filters = [walkFilterOf(cursor), ...args.map(of => ({ ...of, kind: 'isNull' as const, of, negated: true }))];
  const place = span(cursor, first);
  const symbol = { name: text.toUpperCase(), at };
  const [filter = null, both] = filters.filter(one => one !== null);
  const latest: SqlNode = {
    ...{
      kind: 'aggregate',
      name: 'max',
      symbol,
      of: { kind: 'name', table: null, name: EVENT_TIME, ...place },
      params: [],
    },
    filter: filter && both ? { kind: 'operator', fn: 'and', symbol, args: [filter, both], ...place } : filter,
    ...place,
  };
  const micros = (time: SqlNode): SqlNode => ({ kind: 'function', name: 'EPOCH_US', symbol, args: [time], ...place });
  const now: SqlNode = { kind: 'name', table: null, name: READ_TIME, ...place };
  return { kind: 'operator', fn: 'subtract', symbol, args: [micros(now), micros(latest)], ...place };
}

const NOWS = ['NOW', 'GET_CURRENT_TIMESTAMP', 'CURRENT_TIMESTAMP'];

export function isReadTime(cursor: Cursor): boolean {
  const name = cursor.tokens[cursor.next];
  return cursor.dialect === null && name !== undefined && !isQuoted(name) && NOWS.includes(name.text.toUpperCase());
}

/** NOW(), CURRENT_TIMESTAMP: the moment of reading. */
export function walkReadTime(cursor: Cursor, first: number): SqlNode {
  const { text } = nextWord(cursor);
  if (text.toUpperCase() !== 'CURRENT_TIMESTAMP' || peekIs(cursor, 'L_PAREN')) {
    take(cursor, 'L_PAREN', '(');
    take(cursor, 'R_PAREN', ')');
  }
  return { kind: 'name', table: null, name: READ_TIME, ...span(cursor, first) };
}

/** FILTER (WHERE condition), wherever the tree has it. */
function walkFilterOf(cursor: Cursor): SqlNode | null {
  if (!peekIs(cursor, 'FILTER')) return null;
  take(cursor, 'FILTER', 'FILTER');
  take(cursor, 'L_PAREN', '(');
  const { depth } = take(cursor, 'WHERE', 'WHERE');
  const filter = theirArgument(cursor, cursor.dialect, depth);
  take(cursor, 'R_PAREN', ')');
  return filter;
}
