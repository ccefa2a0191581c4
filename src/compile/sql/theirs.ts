import { assert } from '../../base/assert.ts';
import { Fault } from '../../base/fault.ts';
import type { Dialect } from '../dialect.ts';
import type { SqlNode } from '../node.ts';
import { hasCall, rulesBeside, spell, spellField } from '../spelling.ts';
import { calledAggregate, isSinceLast } from './aggregate.ts';
import { TRIM_SIDES, theirArgument, theirArguments, walkArguments } from './call.ts';
import { type Cursor, here, isQuoted, nextWord, peekIs, refusal, span, take, takeWord, walk, words } from './cursor.ts';
import { CALLED, NO_CALLS } from './kinds.ts';
import { parseBy } from './library.ts';
import { takeType, theirType } from './literal.ts';
import { walkOurs } from './ours.ts';
import { expressionOf } from './statement.ts';
import { type Node, child, open } from './tree.ts';

export function isSpelled(cursor: Cursor, node: Node): boolean {
  const [kind, body] = open(node);
  const [name, bracket] = cursor.tokens.slice(cursor.next, cursor.next + 2);
  if (isTernary(kind, body)) return false;
  if (!name || bracket?.type !== 'L_PAREN' || isQuoted(name) || isOurs(cursor, kind)) return false;
  if (isSinceLast(cursor)) return false;
  return !NO_CALLS.has(kind) || CALLED.get(kind) === name.text.toUpperCase();
}

/** An aggregate that means the same in every dialect, or that none but ours has. */
function isOurs(cursor: Cursor, kind: string): boolean {
  const name = cursor.tokens[cursor.next]!.text.toUpperCase();
  return calledAggregate(cursor, kind)?.everywhere.includes(name) ?? false;
}

/** A call, whatever the library makes of it: its arguments are read one by one. */
export function walkSpelled(cursor: Cursor, node: Node, dialect: Dialect): SqlNode {
  const first = cursor.next;
  const [kind, body] = open(node);
  const { text, at } = nextWord(cursor);
  const name = text.toUpperCase();
  const symbol = { name, at };
  take(cursor, 'L_PAREN', '(');
  const place = () => span(cursor, first);
  if (name.endsWith('CONVERT') && dialect.hasConvert) return walkConvert(cursor, dialect, first);
  if (peekIs(cursor, 'STAR') && hasCall(dialect, `${name} *`)) {
    cursor.next++;
    take(cursor, 'R_PAREN', ')');
    return spell(dialect, { name: `${name} *`, symbol, args: [], place: place() }, ours => templateOf(cursor, ours));
  }
  const side = name === 'TRIM' ? TRIM_SIDES.get(cursor.tokens[cursor.next]?.type ?? '') : undefined;
  const isIn = isPositionIn(cursor, name);
  const isStandard = kind === 'extract' || body.sql_standard_syntax === true || body.from_for_syntax === true || isIn;
  const cut = isStandard ? null : cutArguments(cursor, dialect, body);
  const args = cut ?? (isStandard ? walkArguments(cursor, kind, name, body) : theirArguments(cursor, dialect));
  take(cursor, 'R_PAREN', ')');
  // The walk has the text first.
  if (isIn) args.reverse();
  const called = side ?? (cut ? `${name} TO` : isIn ? `${name} IN` : name);
  const call = { name: called, symbol, args, place: place() };
  const read = (ours: string) => templateOf(cursor, ours);
  if (kind === 'extract') return spellField(dialect, call, read);
  return spell(dialect, call, read);
}

/** FLOOR(time TO part) -> its arguments; null where no TO is in it. */
function cutArguments(cursor: Cursor, dialect: Dialect, body: Node): SqlNode[] | null {
  if (!body.to) return null;
  const time = walk(cursor, child(body, 'this'));
  if (words(cursor, cursor.next, 1) !== 'TO') throw refusal(cursor, 'TO');
  cursor.next++;
  return [time, theirArgument(cursor, dialect, cursor.tokens[cursor.next]?.depth ?? 0)];
}

/** POSITION(part IN text) */
function isPositionIn({ tokens, next }: Cursor, name: string): boolean {
  if (name !== 'POSITION') return false;
  const depth = tokens[next]?.depth;
  const end = tokens.findIndex((token, i) => i >= next && token.depth < depth!);
  return tokens.slice(next, end).some(token => token.type === 'IN' && token.depth === depth);
}

/** An expression of a dialect's table. */
function templateOf({ library, source, walk }: Cursor, ours: string): SqlNode {
  const faults: Fault[] = [];
  const parsed = parseBy(library, { text: ours, at: source.at }, 'SELECT ', { faults, dialect: null, walk });
  const node = parsed && expressionOf(parsed, faults);
  assert(node && faults.length === 0, `the table of a dialect has an expression that cannot be read: ${ours}`);
  return node;
}

/** What is no call: operators and the like, with the dialect's rules. */
export function walkTheirs(cursor: Cursor, node: Node, dialect: Dialect): SqlNode {
  const first = cursor.next;
  const [kind, body] = open(node);
  const { rules, operators } = dialect;
  if (kind === 'int_div' && operators.DIV) {
    const left = walk(cursor, child(body, 'this'));
    const { at, text } = nextWord(cursor);
    if (text.toUpperCase() !== 'DIV') throw refusal({ ...cursor, next: cursor.next - 1 }, 'DIV');
    const args = [left, walk(cursor, child(body, 'expression'))];
    return { kind: 'function', name: operators.DIV, symbol: { name: 'DIV', at }, args, ...span(cursor, first) };
  }
  if (kind === 'cast_to_str_type') return walkNamedCast(cursor, body, dialect);
  if (kind === 'subscript' && isSplit(cursor, dialect)) return walkSplit(cursor, body, dialect);
  if (dialect.hasTernary && isTernary(kind, body)) return walkTernary(cursor, body);
  // text COLLATE one_BIN2: by its bytes too, but for spaces at its end.
  if (kind === 'collation' && rules.asBytes !== undefined) {
    const text = walk(cursor, child(body, 'this'));
    take(cursor, 'COLLATE', 'COLLATE');
    const { text: collation } = nextWord(cursor);
    if (!/_BIN2(_UTF8)?$/i.test(collation))
      throw here({ ...cursor, next: cursor.next - 1 }, `${collation} is not supported: write ${rules.asBytes}`);
    return { ...text, rules: { ...(text.rules ?? rules), texts: 'padded' }, ...span(cursor, first) };
  }
  // BINARY text: by its bytes, whatever stands beside it.
  if (
    kind === 'cast' &&
    rules.texts === 'collated' &&
    rules.asBytes === undefined &&
    words(cursor, cursor.next, 1) === 'BINARY'
  ) {
    cursor.next++;
    const text = walk(cursor, child(body, 'this'));
    return { ...text, rules: { ...(text.rules ?? rules), texts: 'bytes' }, ...span(cursor, first) };
  }
  const walked = walkOurs(cursor, node);
  const isShift = walked.kind === 'function' && ['<<', '>>'].includes(walked.name);
  const isBit = walked.kind === 'function' && ['&', '|', '~'].includes(walked.name);
  if (isShift || (isBit && !BITS.includes(rules.name)))
    throw new Fault('unsupported', `${walked.symbol.name} is not supported in ${rules.name}`, walked.symbol.at);
  return { ...walked, rules: walked.rules ?? rulesBeside(rules, comparedIn(walked)) };
}

/** What is compared with each other in a node. */
function comparedIn(node: SqlNode): SqlNode[] {
  switch (node.kind) {
    case 'operator':
      return node.args;
    case 'in':
      return [node.of, ...node.list];
    case 'between':
      return [node.of, node.low, node.high];
    case 'case':
      return node.operand ? [node.operand, ...node.whens.map(({ when }) => when)] : [];
    default:
      return [];
  }
}

/** CAST(x, 'type') */
function walkNamedCast(cursor: Cursor, body: Node, dialect: Dialect): SqlNode {
  const first = cursor.next;
  take(cursor, 'CAST', 'CAST');
  take(cursor, 'L_PAREN', '(');
  const of = walk(cursor, child(body, 'this'));
  take(cursor, 'COMMA', 'a comma');
  const { text } = take(cursor, 'STRING', 'a type between quotes');
  const wrapped = dialect.typeWrapper
    ? text.replace(new RegExp(`^${dialect.typeWrapper}\\((\\w+)\\)$`, 'i'), '$1')
    : text;
  const to = theirType({ ...cursor, next: cursor.next - 1 }, wrapped);
  take(cursor, 'R_PAREN', ')');
  return { kind: 'cast', of, to, rules: dialect.rules, ...span(cursor, first) };
}

/** CONVERT(type, x), with its bracket open. */
function walkConvert(cursor: Cursor, dialect: Dialect, first: number): SqlNode {
  const to = takeType(cursor);
  take(cursor, 'COMMA', 'a comma');
  const [of, style] = theirArguments(cursor, dialect);
  if (style) throw new Fault('unsupported', 'styles of CONVERT are not supported: leave it out', style.at);
  if (!of) throw refusal(cursor, 'an expression');
  take(cursor, 'R_PAREN', ')');
  return { kind: 'cast', of, to, rules: dialect.rules, ...span(cursor, first) };
}

/** splitByChar(a, b)[n]: a call that gives a list, which has a row with the element that is taken. */
function isSplit({ tokens, next }: Cursor, dialect: Dialect): boolean {
  const [name, bracket] = tokens.slice(next, next + 2);
  return bracket?.type === 'L_PAREN' && hasCall(dialect, `${name!.text.toUpperCase()} []`);
}

function walkSplit(cursor: Cursor, body: Node, dialect: Dialect): SqlNode {
  const first = cursor.next;
  const { text, at } = nextWord(cursor);
  const name = text.toUpperCase();
  take(cursor, 'L_PAREN', '(');
  const args = theirArguments(cursor, dialect);
  take(cursor, 'R_PAREN', ')');
  take(cursor, 'L_BRACKET', '[');
  args.push(walk(cursor, child(body, 'index')));
  take(cursor, 'R_BRACKET', ']');
  const call = { name: `${name} []`, symbol: { name, at }, args, place: span(cursor, first) };
  return spell(dialect, call, ours => templateOf(cursor, ours));
}

/** condition ? a : b, which the tree has as a call that was not written. */
function isTernary(kind: string, body: Node): boolean {
  return kind === 'if_func' && typeof body.original_name !== 'string';
}

function walkTernary(cursor: Cursor, body: Node): SqlNode {
  const first = cursor.next;
  const condition = walk(cursor, child(body, 'condition'));
  const symbol = { ...takeWord(cursor, 'PARAMETER', '?'), name: '?' };
  const value = walk(cursor, child(body, 'true_value'));
  take(cursor, 'COLON', ':');
  const args = [condition, value, walk(cursor, child(body, 'false_value'))];
  return { kind: 'function', name: 'IF', symbol, args, ...span(cursor, first) };
}

/** Where & | ~ are what they are here. */
const BITS = ['Postgres', 'BigQuery', 'Spark', 'Databricks', 'SQLite', 'SQL Server'];
