import { assert } from '../../base/assert.ts';
import type { Fault } from '../../base/fault.ts';
import type { Dialect } from '../dialect.ts';
import { CALLABLE } from '../functions.ts';
import type { SqlNode } from '../node.ts';
import { type Cursor, nextWord, peekIs, refusal, span, take, walk } from './cursor.ts';
import { parseBy } from './library.ts';
import { skipCall } from './refuse.ts';
import { rootOf } from './statement.ts';
import { type Node, child, isNode, nodes, open } from './tree.ts';

/** Kinds of calls, and where in their tree the arguments are, in the order of the text. */
export const CALL_ARGS = new Map<string, string[]>([
  ['function', ['args']],
  ['coalesce', ['expressions']],
  ['if_func', ['condition', 'true_value', 'false_value']],
  ['substring', ['this', 'start', 'length']],
  ['trim', ['this', 'characters']],
  ['extract', ['this']],
  ...['nvl', 'mod_func', 'starts_with', 'ends_with', 'contains'].map(kind => [kind, ['this', 'expression']] as const),
  ['str_position', ['this', 'substr']],
  ...['array_contains', 'array_position'].map(kind => [kind, ['this', 'expression']] as const),
  ...'array_length cardinality lower upper length abs floor ceil sqrt year quarter month day hour minute second epoch epoch_ms'
    .concat(' day_of_week day_of_year day_of_month week_of_year')
    .split(' ')
    .map(kind => [kind, ['this']] as const),
] as [string, string[]][]);

/** A function of functions.ts; what else is called like one is refused by its name. */
export function walkFunction(cursor: Cursor, kind: string, body: Node, first: number): SqlNode {
  const name = cursor.tokens[cursor.next]?.text.toUpperCase() ?? '';
  if (!CALLABLE.includes(name) || cursor.tokens[cursor.next + 1]?.type !== 'L_PAREN') return skipCall(cursor, first);
  const symbol = { name, at: nextWord(cursor).at };
  take(cursor, 'L_PAREN', '(');
  const side = name === 'TRIM' ? TRIM_SIDES.get(cursor.tokens[cursor.next]?.type ?? '') : undefined;
  const args = walkArguments(cursor, kind, name, body);
  take(cursor, 'R_PAREN', ')');
  return { kind: 'function', name: side ?? name, symbol, args, ...span(cursor, first) };
}

export function walkArguments(cursor: Cursor, kind: string, name: string, body: Node): SqlNode[] {
  if (kind === 'extract') return walkExtract(cursor, body);
  if (kind === 'trim' && body.sql_standard_syntax === true) return walkTrim(cursor, body);
  if (name === 'POSITION' && body.substr) {
    const part = walk(cursor, child(body, 'substr'));
    take(cursor, 'IN', 'IN');
    return [walk(cursor, child(body, 'this')), part];
  }
  const separators = body.from_for_syntax === true ? ['FROM', 'FOR'] : [];
  const found = CALL_ARGS.get(kind)!.flatMap(field =>
    Array.isArray(body[field]) ? nodes(body, field) : (body[field] ?? []),
  );
  const args: SqlNode[] = [];
  for (const [i, node] of found.entries()) {
    if (i > 0) take(cursor, separators[i - 1] ?? 'COMMA', separators[i - 1] ?? 'a comma');
    assert(isNode(node), 'an argument of the SQL library is a node');
    args.push(walk(cursor, node));
  }
  return args;
}

/** EXTRACT(year FROM x): the part may be a word or between quotes. */
function walkExtract(cursor: Cursor, body: Node): SqlNode[] {
  const first = cursor.next;
  const { text } = nextWord(cursor);
  const part: SqlNode = { kind: 'literal', value: text, ...span(cursor, first) };
  take(cursor, 'FROM', 'FROM');
  return [part, walk(cursor, child(body, 'this'))];
}

export const TRIM_SIDES = new Map([
  ['LEADING', 'LTRIM'],
  ['TRAILING', 'RTRIM'],
  ['BOTH', 'TRIM'],
]);

/** TRIM([LEADING | TRAILING | BOTH] [characters] FROM text) */
function walkTrim(cursor: Cursor, body: Node): SqlNode[] {
  if (TRIM_SIDES.has(cursor.tokens[cursor.next]?.type ?? '')) cursor.next++;
  const characters = body.characters ? walk(cursor, child(body, 'characters')) : null;
  take(cursor, 'FROM', 'FROM');
  const text = walk(cursor, child(body, 'this'));
  return characters ? [text, characters] : [text];
}

/** Up to the closing parenthesis, each by itself: the library moves some of them about. */
export function theirArguments(cursor: Cursor, dialect: Dialect | null): SqlNode[] {
  const depth = cursor.tokens[cursor.next]?.type === 'R_PAREN' ? 0 : cursor.tokens[cursor.next]!.depth;
  const args: SqlNode[] = [];
  while (
    cursor.next < cursor.tokens.length &&
    !(peekIs(cursor, 'R_PAREN') && cursor.tokens[cursor.next]!.depth < depth)
  ) {
    if (depth === 0) break;
    if (args.length > 0) take(cursor, 'COMMA', 'a comma');
    args.push(theirArgument(cursor, dialect, depth));
  }
  return args;
}

export function theirArgument(cursor: Cursor, dialect: Dialect | null, depth: number): SqlNode {
  const first = cursor.next;
  const end = cursor.tokens.findIndex(
    ({ type, depth: at }, i) => i >= first && ((type === 'COMMA' && at === depth) || at < depth),
  );
  const tokens = cursor.tokens.slice(first, end < 0 ? undefined : end);
  if (tokens.length === 0) throw refusal(cursor, 'an expression');
  if (tokens.length === 1 && tokens[0]!.type === 'VAR') {
    const { text } = nextWord(cursor);
    return { kind: 'name', table: null, name: text, ...span(cursor, first) };
  }
  const text = cursor.source.text.slice(tokens[0]!.start, tokens.at(-1)!.end);
  const at = (from: number, to: number) => cursor.source.at(from + tokens[0]!.start, to + tokens[0]!.start);
  const faults: Fault[] = [];
  const parsed = parseBy(cursor.library, { text, at }, 'SELECT ', { faults, dialect, walk: cursor.walk });
  if (!parsed) throw faults[0]!;
  const node = nodes(rootOf(parsed.cursor, parsed.statements), 'expressions')[0];
  if (!node || open(node)[0] === 'alias') throw refusal(cursor, 'an expression');
  const walked = walk(cursor, node);
  if (cursor.next !== first + tokens.length) throw refusal(cursor, 'a comma or )');
  return walked;
}
