import { assert } from '../../base/assert.ts';
import { Fault } from '../../base/fault.ts';
import type { Dialect } from '../dialect.ts';
import type { SqlNode } from '../node.ts';
import { spell, spellField } from '../spelling.ts';
import { calledAggregate, isSinceLast } from './aggregate.ts';
import { TRIM_SIDES, theirArgument, theirArguments, walkArguments } from './call.ts';
import { type Cursor, isQuoted, nextWord, refusal, span, take, walk, words } from './cursor.ts';
import { CALLED, NO_CALLS } from './kinds.ts';
import { parseBy } from './library.ts';
import { walkOurs } from './ours.ts';
import { expressionOf } from './statement.ts';
import { type Node, child, open } from './tree.ts';

export function isSpelled(cursor: Cursor, kind: string): boolean {
  const [name, bracket] = cursor.tokens.slice(cursor.next);
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
  const side = name === 'TRIM' ? TRIM_SIDES.get(cursor.tokens[cursor.next]?.type ?? '') : undefined;
  const isStandard =
    kind === 'extract' ||
    body.sql_standard_syntax === true ||
    body.from_for_syntax === true ||
    isPositionIn(cursor, name);
  const cut = isStandard ? null : cutArguments(cursor, dialect, body);
  const args = cut ?? (isStandard ? walkArguments(cursor, kind, name, body) : theirArguments(cursor, dialect));
  take(cursor, 'R_PAREN', ')');
  const call = { name: side ?? (cut ? `${name} TO` : name), symbol, args, place: span(cursor, first) };
  if (isPositionIn(cursor, name, first + 2)) return { kind: 'function', name: 'STRPOS', symbol, args, ...call.place };
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
function isPositionIn(cursor: Cursor, name: string, from = cursor.next): boolean {
  if (name !== 'POSITION') return false;
  const depth = cursor.tokens[from]?.depth;
  const end = cursor.tokens.findIndex((token, i) => i >= from && token.depth < depth!);
  return cursor.tokens.slice(from, end).some(token => token.type === 'IN' && token.depth === depth);
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
  // BINARY text: by its bytes, whatever stands beside it.
  if (kind === 'cast' && rules.texts === 'collated' && words(cursor, cursor.next, 1) === 'BINARY') {
    cursor.next++;
    const text = walk(cursor, child(body, 'this'));
    return { ...text, rules: { ...(text.rules ?? rules), texts: 'bytes' }, ...span(cursor, first) };
  }
  const walked = walkOurs(cursor, node);
  const isShift = walked.kind === 'function' && ['<<', '>>'].includes(walked.name);
  const isBit = walked.kind === 'function' && ['&', '|', '~'].includes(walked.name);
  if (isShift || (isBit && !BITS.includes(rules.name)))
    throw new Fault('unsupported', `${walked.symbol.name} is not supported in ${rules.name}`, walked.symbol.at);
  const inner = walked.kind === 'operator' ? walked.args : walked.kind === 'in' ? [walked.of, ...walked.list] : [];
  const isBinary = rules.texts === 'collated' && inner.some(arg => arg.rules?.texts === 'bytes');
  return { ...walked, rules: walked.rules ?? (isBinary ? { ...rules, texts: 'bytes' } : rules) };
}

/** Where & | ~ are what they are here. */
const BITS = ['Postgres', 'BigQuery', 'Spark', 'Databricks', 'SQLite'];
