import { Fault } from '../../base/fault.ts';
import { quoteRegex } from '../../plan/regex.ts';
import type { Dialect } from '../dialect.ts';
import type { SqlNode, Word } from '../node.ts';
import { checkEmpty, checkPattern, rulesBeside } from '../spelling.ts';
import { type Cursor, here, peekIs, refusal, span, take, takeWord, walk, words } from './cursor.ts';
import { type Node, child } from './tree.ts';

/** [NOT] LIKE, [NOT] ILIKE: the tree has NOT around it, the text within. */
export function walkLike(cursor: Cursor, body: Node, first: number): SqlNode {
  const args = [walk(cursor, child(body, 'left'))];
  const not = peekIs(cursor, 'NOT') ? takeWord(cursor, 'NOT', 'NOT') : null;
  const symbol = takeLike(cursor);
  args.push(walk(cursor, child(body, 'right')));
  if (cursor.dialect) theirLike(cursor.dialect, symbol, args, body.escape !== undefined && body.escape !== null);
  if (body.escape) {
    if (symbol.name === 'ILIKE') throw here(cursor, 'ESCAPE beside ILIKE is not supported: LIKE of LOWER takes it');
    take(cursor, 'ESCAPE', 'ESCAPE');
    args.push(walk(cursor, child(body, 'escape')));
  }
  const place = span(cursor, first);
  const isFolded = symbol.name === 'LIKE' && cursor.dialect?.likeEscape === null;
  const node: SqlNode = isFolded
    ? { kind: 'function', name: 'REGEXP_FULL_MATCH', symbol, args: foldedLike(args, symbol), ...place }
    : { kind: 'function', name: symbol.name, symbol, args, ...place };
  return not ? { kind: 'operator', fn: 'not', symbol: not, args: [node], ...place } : node;
}

/** `~~` and `~~*` are the same tokens to the parser, and are not read here. */
function takeLike(cursor: Cursor): Word {
  const [type, name] = peekIs(cursor, 'I_LIKE') ? ['I_LIKE', 'ILIKE'] : ['LIKE', 'LIKE'];
  if (cursor.tokens[cursor.next]?.text.toUpperCase() !== name) throw refusal(cursor, name);
  return takeWord(cursor, type, name);
}

/** How LIKE escapes, and whether case counts. */
function theirLike(dialect: Dialect, symbol: Word, args: SqlNode[], isEscaped: boolean): void {
  const { likeEscape, hasIlike, rules } = dialect;
  const [, pattern] = args;
  checkEmpty(dialect, symbol.name, pattern!);
  const text = pattern!.kind === 'literal' ? String(pattern!.value) : '';
  const fault = (message: string) => new Fault('unsupported', `${symbol.name} ${message}`, symbol.at);
  if (symbol.name === 'ILIKE' && !hasIlike) throw fault(`is not supported in ${rules.name}: write LOWER(text) LIKE`);
  if (symbol.name === 'ILIKE' && likeEscape && text.includes(likeEscape))
    throw fault(`with a backslash is not supported in ${rules.name}: LIKE of LOWER takes it`);
  if (rulesBeside(rules, args).texts === 'collated') {
    const asBytes = rules.asBytes === undefined ? `${symbol.name} BINARY` : `text ${rules.asBytes} ${symbol.name}`;
    throw fault(`goes by a collation in ${rules.name}: write ${asBytes}`);
  }
  if (dialect.hasLikeClasses && text.includes('[')) throw fault(`of a [class] is not supported: write several of them`);
  const kept = dialect.keepsBackslashes ? text.replaceAll(/\\[\\%_]/g, '').match(/\\.?/s) : null;
  if (kept && !isEscaped)
    throw fault(`with ${kept[0]} does not mean the same in ${rules.name} and here: escape the backslash`);
  if (symbol.name === 'LIKE' && likeEscape && !isEscaped)
    args.push({ kind: 'literal', value: likeEscape, at: pattern!.at, text: pattern!.text });
}

/** LIKE to which the case of ASCII letters does not matter -> a text and the regular expression that says the same. */
function foldedLike([text, pattern, escaping]: SqlNode[], symbol: Word): SqlNode[] {
  const written = (node: SqlNode, what: string) => {
    if (node.kind === 'literal' && typeof node.value === 'string') return node.value;
    throw new Fault('definition', `${symbol.name} wants a literal as ${what}, got ${node.text}`, node.at);
  };
  const sign = escaping ? written(escaping, 'ESCAPE') : '';
  const letters = [...written(pattern!, 'pattern')];
  let regex = '(?s)';
  for (let i = 0; i < letters.length; i++) {
    const isEscaped = letters[i] === sign && i + 1 < letters.length;
    const letter = isEscaped ? letters[++i]! : letters[i]!;
    if (!isEscaped && letter === '%') regex += '.*';
    else if (!isEscaped && letter === '_') regex += '.';
    else regex += /[a-z]/i.test(letter) ? `[${letter.toLowerCase()}${letter.toUpperCase()}]` : quoteRegex(letter);
  }
  return [text!, { kind: 'literal', value: regex, at: pattern!.at, text: pattern!.text }];
}

/** Operators of regular expressions, and the calls that they stand for. */
const REGEX_OPERATORS = new Map<string, { name: string; options?: string; negated?: true }>([
  ['~', { name: 'REGEXP_MATCHES' }],
  ['!~', { name: 'REGEXP_MATCHES', negated: true }],
  ['~*', { name: 'REGEXP_MATCHES', options: 'i' }],
  ['!~*', { name: 'REGEXP_MATCHES', options: 'i', negated: true }],
  ['SIMILAR TO', { name: 'REGEXP_FULL_MATCH' }],
  ['RLIKE', { name: 'REGEXP_MATCHES' }],
  ['REGEXP', { name: 'REGEXP_MATCHES' }],
]);

const DUCKDB_REGEX = ['~', '!~', '~*', '!~*', 'SIMILAR TO'];

/** text ~ pattern, text [NOT] SIMILAR TO pattern: the tree has NOT around it, the text within. */
export function walkRegex(cursor: Cursor, body: Node, first: number): SqlNode {
  const args = [walk(cursor, child(body, 'this'))];
  const not = peekIs(cursor, 'NOT') ? takeWord(cursor, 'NOT', 'NOT') : null;
  const at = cursor.next;
  cursor.next += cursor.tokens[at]?.text.toUpperCase() === 'SIMILAR' ? 2 : 1;
  const symbol = { name: words(cursor, at), at: span(cursor, at).at };
  const known = cursor.dialect ? Object.keys(cursor.dialect.operators) : DUCKDB_REGEX;
  const operator = known.includes(symbol.name) ? REGEX_OPERATORS.get(symbol.name) : undefined;
  if (!operator) {
    cursor.next = at;
    throw refusal(cursor, 'an operator');
  }
  args.push(walk(cursor, child(body, body.pattern ? 'pattern' : 'expression')));
  if (cursor.dialect) checkPattern(cursor.dialect, symbol.name, args[1]!);
  const place = span(cursor, first);
  const { name, options, negated } = operator;
  if (options) args.push({ kind: 'literal', value: options, ...symbol, text: symbol.name });
  const node: SqlNode = { kind: 'function', name, symbol, args, ...place };
  const sign = not ?? (negated ? symbol : null);
  return sign ? { kind: 'operator', fn: 'not', symbol: sign, args: [node], ...place } : node;
}
