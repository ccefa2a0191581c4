import { Fault } from '../../base/fault.ts';
import { readInterval } from '../interval.ts';
import type { CastKind, SqlNode } from '../node.ts';
import { type Cursor, type Token, here, nextWord, peekIs, placeOf, span, take, walk } from './cursor.ts';
import { type Node, child } from './tree.ts';

/** Numbers, texts, true, false, null, and times between quotes. */
export function walkLiteral(cursor: Cursor, kind: 'literal' | 'boolean' | 'null', body: Node, first: number): SqlNode {
  let value: null | boolean | bigint | number | string = null;
  if (kind === 'null') take(cursor, 'NULL', 'NULL');
  else if (kind === 'boolean') {
    value = body.value === true;
    take(cursor, value ? 'TRUE' : 'FALSE', 'TRUE or FALSE');
  } else {
    const type = body.literal_type;
    const text = String(body.value);
    if (type === 'timestamp' || type === 'date') return walkTimeLiteral(cursor, text, first);
    if (type === 'raw_string' && cursor.dialect) {
      take(cursor, 'RAW_STRING', 'a literal');
      return { kind: 'literal', value: text, ...span(cursor, first) };
    }
    if (type === 'national_string' && cursor.dialect) {
      take(cursor, 'NATIONAL_STRING', 'a literal');
      return { kind: 'literal', value: text, ...span(cursor, first) };
    }
    if (type !== 'number' && type !== 'string')
      throw here(cursor, `${type} literals are not supported: write a time as TIMESTAMP '2001-01-31T00:00:00Z'`);
    const token = take(cursor, type === 'number' ? 'NUMBER' : 'STRING', 'a literal');
    if (type === 'string') value = plainText(cursor, text, token);
    else value = /^\d+$/.test(text) ? BigInt(text) : Number(text);
    if (typeof value === 'number' && !Number.isFinite(value))
      throw new Fault('definition', `${token.text} is beyond what a double can hold`, placeOf(cursor, token));
  }
  return { kind: 'literal', value, ...span(cursor, first) };
}

/** A text as the library reads it; escapes that it may read otherwise than the dialect does are refused. */
function plainText(cursor: Cursor, text: string, token: Token): string {
  const written = cursor.source.text.slice(token.start, token.end);
  if (cursor.dialect?.hasBackslashes === 'unknown' && written.includes('\\')) {
    const message = `a backslash in a text is not supported in ${cursor.dialect.rules.name}: it may escape what stands behind it`;
    throw new Fault('unsupported', message, placeOf(cursor, token));
  }
  const odd = cursor.dialect?.hasBackslashes ? written.replaceAll(/\\[\\'"ntr]/g, '').match(/\\.?/) : null;
  if (odd)
    throw new Fault(
      'unsupported',
      `${odd[0]} in a text is not supported: write \\\\ for a backslash`,
      placeOf(cursor, token),
    );
  return text;
}

/** TIMESTAMP '2001-01-31T00:00:00Z' and DATE '2001-01-31', the time it begins at. */
function walkTimeLiteral(cursor: Cursor, value: string, first: number): SqlNode {
  cursor.next++;
  const at = cursor.next;
  take(cursor, 'STRING', 'a time between quotes');
  const of: SqlNode = { kind: 'literal', value, ...span(cursor, at) };
  return { kind: 'cast', of, to: 'time', ...span(cursor, first) };
}

/** INTERVAL 5 MINUTE, INTERVAL '5 minutes', INTERVAL (x) MINUTE */
export function walkInterval(cursor: Cursor, body: Node, first: number): SqlNode {
  take(cursor, 'INTERVAL', 'INTERVAL');
  const token = cursor.tokens[cursor.next];
  const isWritten = token?.type === 'NUMBER' || token?.type === 'STRING';
  let count: SqlNode | null = null;
  if (isWritten) cursor.next++;
  else count = walk(cursor, child(body, 'this'));
  const unit = body.unit ? nextWord(cursor).text : '';
  const place = span(cursor, first);
  const read = readInterval(isWritten ? `${token.text} ${unit}` : `1 ${unit}`);
  const odd = cursor.dialect?.oddIntervals?.find(one => unit.toUpperCase().replace(/S$/, '') === one);
  if (odd)
    throw new Fault(
      'unsupported',
      `INTERVAL of ${odd}s is not supported in ${cursor.dialect!.rules.name}: it adds another span there; write TIMESTAMPADD(${odd}, 1, time)`,
      place.at,
    );
  if (typeof read === 'string') throw new Fault('unsupported', read, place.at);
  return { kind: 'interval', ...read, count, ...place };
}

const CAST_TYPES = new Map<string, CastKind>([
  ...['BIGINT', 'INT', 'INTEGER', 'INT8', 'INT64', 'LONG'].map(name => [name, 'int64'] as const),
  ...['DOUBLE', 'FLOAT8'].map(name => [name, 'double'] as const),
  ...['BOOLEAN', 'BOOL', 'LOGICAL'].map(name => [name, 'bool'] as const),
  ...['VARCHAR', 'TEXT', 'STRING', 'CHAR', 'BPCHAR'].map(name => [name, 'string'] as const),
  ...['TIMESTAMP', 'TIMESTAMPTZ', 'DATETIME'].map(name => [name, 'time'] as const),
]);

/** CAST(x AS type), x::type, type 'text' */
export function walkCast(cursor: Cursor, body: Node, first: number): SqlNode {
  const short = body.double_colon_syntax === true;
  const word = ['CAST', 'TRY_CAST', 'SAFE_CAST'].find(type => peekIs(cursor, type));
  if (!short && !word) {
    const to = takeType(cursor);
    return { kind: 'cast', of: walk(cursor, child(body, 'this')), to, ...span(cursor, first) };
  }
  if (!short) {
    take(cursor, word!, 'CAST');
    take(cursor, 'L_PAREN', '(');
  }
  const of = walk(cursor, child(body, 'this'));
  take(cursor, short ? 'D_COLON' : 'AS', short ? '::' : 'AS');
  const to = takeType(cursor);
  if (!short) take(cursor, 'R_PAREN', ')');
  return { kind: 'cast', of, to, ...span(cursor, first) };
}

/** The type at the cursor, by its name in the dialect. */
export function theirType(cursor: Cursor, name: string): CastKind {
  const { types, rules } = cursor.dialect!;
  const to = (Object.keys(types) as CastKind[]).find(kind =>
    types[kind].toUpperCase().split(' ').includes(name.toUpperCase()),
  );
  if (to) return to;
  const known = Object.values(types).flatMap(names => names.split(' ').slice(0, 1).filter(Boolean));
  throw here(cursor, `CAST to ${name} is not supported in ${rules.name}: ${known.join(', ')} are`);
}

/** Some types have more than one word. */
const TYPE_TAILS = new Map([
  ['DOUBLE', ['PRECISION']],
  ['TIMESTAMP', ['WITH', 'TIME', 'ZONE']],
]);

export function takeType(cursor: Cursor): CastKind {
  const name = cursor.tokens[cursor.next]?.text.toUpperCase() ?? 'nothing';
  if (name === cursor.dialect?.typeWrapper?.toUpperCase()) {
    cursor.next++;
    take(cursor, 'L_PAREN', '(');
    const inner = takeType(cursor);
    take(cursor, 'R_PAREN', ')');
    return inner;
  }
  const to = cursor.dialect ? theirType(cursor, name) : CAST_TYPES.get(name);
  const hint = name === 'DATE' ? `; DATE_TRUNC('day', time) is the day of a time` : '';
  if (!to)
    throw here(cursor, `CAST to ${name} is not supported: BIGINT, DOUBLE, BOOLEAN, VARCHAR and TIMESTAMP are${hint}`);
  cursor.next++;
  const tail = TYPE_TAILS.get(name) ?? [];
  if (tail.length > 0 && tail.every((word, i) => cursor.tokens[cursor.next + i]?.text.toUpperCase() === word))
    cursor.next += tail.length;
  return to;
}
