import wasmPath from '@polyglot-sql/sdk/polyglot_sql.wasm' with { type: 'file' };
import { z } from 'zod';
import { assert } from '../base/assert.ts';
import type { Position } from '../base/fault.ts';
import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import { EVENT_TIME, type FunctionName } from '../plan/expression.ts';
import type { AggregateName } from '../plan/plan.ts';
import { quoteRegex } from '../plan/regex.ts';
import { aggregateNamed, BY_SPELLING, SINCE_LAST, type SqlAggregate } from './aggregates.ts';
import type { Dialect } from './dialect.ts';
import { CALLABLE } from './functions.ts';
import { readInterval } from './interval.ts';
import { type CastKind, READ_TIME, type Select, type SelectItem, type SqlNode, type Word } from './node.ts';
import { checkEmpty, checkPattern, spell, spellField } from './spelling.ts';
import {
  KNOWN_FUNCTIONS,
  ONE_EVENT_TYPE,
  insteadOfJson,
  JSON_CALLS,
  jsonSteps,
  REFUSED_FUNCTIONS,
  REFUSED_OPERATORS,
  REFUSED_WORDS,
  SUB_SELECT,
} from './unsupported.ts';
import type { LocatedText } from './yaml.ts';

/** A select that needs more than this was written by a program; the parser's time grows with it. */
export const SQL_LENGTH_MAX = 64 * 1024;

/**
 * SQL text -> the few kinds of nodes that feature sets are made of, each with its place in the user's file.
 *
 * `@polyglot-sql/sdk` reads it, and nothing else knows of that library. Nodes mean what they do in DuckDB; what another
 * dialect has otherwise becomes that here (dialect.ts, spelling.ts), or is refused. Its tree has places on names only, so the tree is walked in the order of the text with a cursor over the
 * tokens, and every token has to be accounted for:
 *
 *     tree    SUM ( CASE   delay  >  15   1        )
 *     tokens  SUM ( CASE WHEN delay > 15 THEN 1 END ) AS late
 *
 * Whatever the library reads beyond what is known here (or reads and drops) therefore meets a token that is not the
 * one expected, and is refused by that token's name.
 *
 * Reads `SELECT ... FROM ... WHERE ... GROUP BY ...`; null where nothing of it could be read.
 */
export async function readSelect(
  source: LocatedText,
  faults: Fault[],
  dialect: Dialect | null = null,
): Promise<Select | null> {
  const parsed = await parse(source, '', faults, dialect);
  if (!parsed) return null;
  const { cursor, statements } = parsed;
  const select = collect(faults, () => rootOf(cursor, statements));
  return select && walkSelect(cursor, select, faults);
}

/** Reads an expression that stands alone. */
export async function readExpression(
  source: LocatedText,
  faults: Fault[],
  dialect: Dialect | null = null,
): Promise<SqlNode | null> {
  const parsed = await parse(source, 'SELECT ', faults, dialect);
  return parsed && expressionOf(parsed, faults);
}

function expressionOf({ cursor, statements }: Parsed, faults: Fault[]): SqlNode | null {
  return collect(faults, () => {
    const select = rootOf(cursor, statements);
    take(cursor, 'SELECT', 'SELECT');
    const node = nodes(select, 'expressions')[0];
    if (!node) throw refusal(cursor, 'an expression');
    const [kind, body] = open(node);
    const expression = walk(cursor, kind === 'alias' ? child(body, 'this') : node);
    takeEnd(cursor);
    return expression;
  });
}

/** What is wrong with one part of a text must not hide what is wrong with the next: a fault ends its part only. */
function collect<T>(faults: Fault[], work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    faults.push(error);
    return null;
  }
}

// The library: loaded on first use, for it takes 20 MB and the better part of a second.

const TOKENS = z.object({
  tokens: z.array(
    z.object({ token_type: z.string(), text: z.string(), span: z.object({ start: z.number(), end: z.number() }) }),
  ),
});

const PARSED = z.object({
  success: z.boolean(),
  ast: z.array(z.record(z.string(), z.unknown())).nullish(),
  error: z.string().nullish(),
  errorStart: z.number().nullish(),
  errorEnd: z.number().nullish(),
});

interface Library {
  parse(sql: string, dialect: string): unknown;
  tokenize(sql: string, dialect: string): unknown;
}

let loading: Promise<Library> | null = null;

async function load(): Promise<Library> {
  const library = await import('@polyglot-sql/sdk/manual');
  // Its types ask for a URL, but the bytes do as well, and only they can be had inside a compiled binary.
  const bytes = (await Bun.file(wasmPath).arrayBuffer()) as unknown as string;
  await library.init({ wasmUrl: bytes });
  return library as unknown as Library;
}

interface Token {
  type: string;
  text: string;
  /** UTF-16 offsets in the source; a prefix of ours lies before 0. */
  start: number;
  end: number;
  /** How many brackets are open around it. */
  depth: number;
}

interface Cursor {
  source: LocatedText;
  tokens: Token[];
  next: number;
  faults: Fault[];
  library: Library;
  /** Null for DuckDB's. */
  dialect: Dialect | null;
}

interface Parsed {
  cursor: Cursor;
  statements: Node[];
}

/** The library's tree: each node an object with its kind as the one key. */
type Node = Record<string, unknown>;

async function parse(
  source: LocatedText,
  prefix: string,
  faults: Fault[],
  dialect: Dialect | null,
): Promise<Parsed | null> {
  if (source.text.length > SQL_LENGTH_MAX) {
    const message = `SQL of ${source.text.length} characters, and at most ${SQL_LENGTH_MAX} are read`;
    faults.push(new Fault('too_large', message, source.at(0, 1)));
    return null;
  }
  loading ??= load();
  return parseBy(await loading, source, prefix, faults, dialect);
}

function parseBy(
  library: Library,
  source: LocatedText,
  prefix: string,
  faults: Fault[],
  dialect: Dialect | null,
): Parsed | null {
  const sql = prefix + source.text;
  const parser = dialect?.parser ?? 'duckdb';
  const unit = unitOffsets(sql);
  const offset = (codePoint: number) => unit(codePoint) - prefix.length;
  // Its own guards come too late for some brackets: its stack would be gone, and with it the library.
  const tooDeep = firstTooDeep(library, sql, parser);
  if (tooDeep) {
    const message = `SQL nests too deep: at most ${SQL_DEPTH_MAX} levels are read`;
    faults.push(new Fault('too_large', message, source.at(offset(tooDeep.start), offset(tooDeep.end))));
    return null;
  }
  let parsed = PARSED.parse(library.parse(sql, parser));
  if (!parsed.success && !dialect && sql.includes('//'))
    parsed = PARSED.parse(library.parse(withoutDivisions(library, sql), parser));
  if (!parsed.success || !parsed.ast) {
    faults.push(syntaxFault(source, parsed, offset));
    return null;
  }
  const { tokens } = TOKENS.parse(library.tokenize(sql, parser));
  let depth = 0;
  const joined = dialect ? tokens : joinSlashes(tokens);
  const placed = joined.map(({ token_type: type, text, span }) => {
    if (CLOSES.test(type)) depth--;
    const token = { type, text, start: offset(span.start), end: offset(span.end), depth };
    if (OPENS.test(type)) depth++;
    return token;
  });
  return { cursor: { source, tokens: placed, next: 0, faults, library, dialect }, statements: parsed.ast };
}

/** Brackets within one another: what the library does with them takes stack. */
export const SQL_DEPTH_MAX = 256;

/** The first bracket that is too deep in others, or null. Where there are no tokens, the parser says why. */
function firstTooDeep(library: Library, sql: string, parser: string): RawToken['span'] | null {
  const read = TOKENS.safeParse(library.tokenize(sql, parser));
  let depth = 0;
  for (const { token_type: type, span } of read.data?.tokens ?? []) {
    if (OPENS.test(type) && ++depth > SQL_DEPTH_MAX) return span;
    if (CLOSES.test(type)) depth = Math.max(0, depth - 1);
  }
  return null;
}

const OPENS = /^L_(PAREN|BRACKET|BRACE)$/;
const CLOSES = /^R_(PAREN|BRACKET|BRACE)$/;

type RawToken = z.infer<typeof TOKENS>['tokens'][number];

/** Two slashes side by side are one operator. */
function joinSlashes(tokens: RawToken[]): RawToken[] {
  return tokens.flatMap((token, i) => {
    if (isDivision(token, tokens[i + 1]))
      return { token_type: 'DIV', text: '//', span: { ...token.span, end: token.span.end + 1 } };
    return isDivision(tokens[i - 1], token) ? [] : token;
  });
}

function isDivision(left: RawToken | undefined, right: RawToken | undefined): boolean {
  return left?.token_type === 'SLASH' && right?.token_type === 'SLASH' && left.span.end === right.span.start;
}

/** The library cannot parse `//`; `% ` is as long and binds as tightly, and the tokens know better. */
function withoutDivisions(library: Library, sql: string): string {
  const read = TOKENS.safeParse(library.tokenize(sql, 'duckdb'));
  if (!read.success) return sql;
  const characters = [...sql];
  for (const { token_type: type, span } of joinSlashes(read.data.tokens))
    if (type === 'DIV') [characters[span.start], characters[span.start + 1]] = ['%', ' '];
  return characters.join('');
}

/** The library counts characters (code points), positions count UTF-16 units. */
function unitOffsets(text: string): (codePoint: number) => number {
  const units: number[] = [];
  let unit = 0;
  for (const character of text) {
    units.push(unit);
    unit += character.length;
  }
  return codePoint => units[codePoint] ?? unit;
}

function syntaxFault(source: LocatedText, parsed: z.infer<typeof PARSED>, offset: (at: number) => number): Fault {
  const start = Math.max(0, parsed.errorStart == null ? 0 : offset(parsed.errorStart));
  const end = parsed.errorEnd == null ? start + 1 : offset(parsed.errorEnd);
  const at = source.at(Math.min(start, Math.max(0, source.text.length - 1)), end);
  const error = parsed.error ?? 'it cannot be read';
  // Whatever goes wrong inside it, be it its stack or its memory: what it reads next is read as ever.
  if (error.startsWith('WASM'))
    return new Fault('too_large', 'SQL is too long or nests too deep to be read: write it in smaller parts', at);
  const limit = /E_GUARD_\w*DEPTH_EXCEEDED.*limit (\d+)/.exec(error);
  if (limit) return new Fault('too_large', `SQL nests too deep: at most ${limit[1]} levels are read`, at);
  const reason = error.replace(/^(Parse|Tokenization) error at line \d+, column \d+: /, '').replace(/ near \[.*$/s, '');
  return new Fault('definition', `SQL: ${reason}`, at);
}

// Statements and clauses.

function rootOf(cursor: Cursor, statements: Node[]): Node {
  const first = cursor.tokens[0];
  if (!first) throw new Fault('definition', 'SQL is empty: a SELECT is wanted', cursor.source.at(0, 1));
  const [kind, body] = statements.length === 1 ? open(statements[0]!) : ['', {}];
  if (kind === 'select' && first.type === 'SELECT') return body;
  const culprit = cursor.tokens.findIndex(({ type, depth }) => depth === 0 && /^(UNION|INTERSECT|EXCEPT)$/.test(type));
  cursor.next = first.type === 'SELECT' ? Math.max(0, culprit) : 0;
  if (statements.length > 1) cursor.next = cursor.tokens.findIndex(token => token.type === 'SEMICOLON');
  throw refusal(cursor, 'a single SELECT');
}

/** The clauses in the order of the text; after a fault the cursor goes on at the next clause. */
function walkSelect(cursor: Cursor, body: Node, faults: Fault[]): Select {
  take(cursor, 'SELECT', 'SELECT');
  const select: Select = { items: [], whole: true, from: null, where: null, groupBy: [] };
  const fromIndex = fromToken(cursor, body);
  const distinct = collect(faults, () => refuseDistinct(cursor));
  if (distinct === null) skipTo(cursor, token => token.type !== 'DISTINCT' && token.type !== 'ALL');
  walkItems(cursor, nodes(body, 'expressions'), fromIndex, select, faults);
  cursor.next = fromIndex;
  select.from = collect(faults, () => walkFrom(cursor, body));
  skipTo(cursor, isClause);
  if (body.where_clause) {
    const where = collect(faults, () => {
      take(cursor, 'WHERE', 'WHERE or GROUP BY');
      return walk(cursor, child(child(body, 'where_clause'), 'this'));
    });
    if (where) select.where = where;
    else select.whole = false;
    if (where && !peekIs(cursor, 'GROUP')) refuseRest(cursor, faults, token => token.type === 'GROUP');
    skipTo(cursor, token => isClause(token) && token.type !== 'WHERE');
  }
  if (body.group_by) {
    const group = collect(faults, () => walkGroupBy(cursor, child(body, 'group_by')));
    if (group) select.groupBy = group;
    else {
      select.whole = false;
      skipTo(cursor, isClause);
    }
  }
  refuseRest(cursor, faults, () => false);
  return select;
}

function refuseDistinct(cursor: Cursor): true {
  if (peekIs(cursor, 'DISTINCT'))
    throw here(cursor, 'SELECT DISTINCT is not supported: GROUP BY already gives one row for each key; leave it out');
  if (peekIs(cursor, 'ALL')) throw here(cursor, 'SELECT ALL says nothing: leave out ALL');
  return true;
}

function walkItems(cursor: Cursor, items: Node[], fromIndex: number, select: Select, faults: Fault[]): void {
  const isEnd = (index: number) => index >= fromIndex;
  if (items.length === 0) {
    faults.push(here(cursor, 'SELECT of nothing: name key columns and aggregates', 'definition'));
    select.whole = false;
  }
  for (const [i, node] of items.entries()) {
    const item = collect(faults, () => {
      const read = walkItem(cursor, node);
      const last = i === items.length - 1;
      if (last ? cursor.next !== fromIndex : !peekIs(cursor, 'COMMA')) throw refusal(cursor, last ? 'FROM' : 'a comma');
      return read;
    });
    if (item) select.items.push(item);
    else select.whole = false;
    while (!isEnd(cursor.next) && !(peekIs(cursor, 'COMMA') && cursor.tokens[cursor.next]!.depth === 0)) cursor.next++;
    if (!isEnd(cursor.next)) cursor.next++;
  }
}

function walkItem(cursor: Cursor, node: Node): SelectItem {
  const [kind, body] = open(node);
  if (kind === 'star') throw here(cursor, 'SELECT * is not supported: name key columns and aggregates');
  if (kind !== 'alias') return { node: walk(cursor, node), alias: null };
  const expression = walk(cursor, child(body, 'this'));
  if (peekIs(cursor, 'AS')) cursor.next++;
  return { node: expression, alias: takeName(cursor, identifier(body, 'alias')) };
}

/** Where FROM stands: right before the table, or else the first one outside of brackets. */
function fromToken(cursor: Cursor, body: Node): number {
  const index = cursor.tokens.findIndex(token => token.type === 'FROM' && token.depth === 0);
  const tables = body.from ? nodes(child(body, 'from'), 'expressions') : [];
  const [kind, table] = tables[0] ? open(tables[0]) : ['', {}];
  if (kind !== 'table') return index < 0 ? cursor.tokens.length : index;
  const name = identifier(table, 'name');
  const at = cursor.tokens.findLastIndex((token, i) => {
    return token.text === name && token.depth === 0 && cursor.tokens[i - 1]?.type === 'FROM';
  });
  return at < 0 ? index : at - 1;
}

function walkFrom(cursor: Cursor, body: Node): Word {
  if (!body.from) throw here(cursor, 'SQL has no FROM: name the event type of source there', 'definition');
  take(cursor, 'FROM', 'FROM');
  const table = nodes(child(body, 'from'), 'expressions')[0];
  const [kind, inner] = table ? open(table) : ['', {}];
  if (isWindowTable(cursor)) throw here(cursor, WINDOW_TABLE);
  if (kind === 'subquery') throw here(cursor, `${SUB_SELECT}: FROM takes the event type of source`);
  if (kind !== 'table' || peekIs(cursor, 'STRING')) throw here(cursor, 'FROM takes the name of an event type only');
  if (inner.schema) throw here(cursor, 'FROM takes the name of an event type only: leave out what is before the dot');
  const word = takeName(cursor, identifier(inner, 'name'));
  if (inner.alias) {
    if (peekIs(cursor, 'AS')) cursor.next++;
    throw here(cursor, 'aliases of tables are not supported: there is one event type, and columns need no prefix');
  }
  if (peekIs(cursor, 'COMMA')) throw here(cursor, `FROM takes one event type: ${ONE_EVENT_TYPE}`);
  const rest = cursor.tokens[cursor.next];
  if (rest && !isClause(rest)) throw refusal(cursor, 'WHERE or GROUP BY');
  return word;
}

const WINDOW_CALL = /^(TUMBLE|HOP|CUMULATE|SESSION)$/;
const WINDOW_TABLE =
  'windows in SQL are not supported: FROM takes the event type of source, and `windows: [1h]` says over which spans of time to aggregate';

/** [TABLE(] TUMBLE(...): what Flink and others read windows from. */
function isWindowTable({ tokens, next }: Cursor): boolean {
  const isTable = tokens[next]?.type === 'TABLE' && tokens[next + 1]?.type === 'L_PAREN';
  const [name, bracket] = tokens.slice(isTable ? next + 2 : next);
  return bracket?.type === 'L_PAREN' && WINDOW_CALL.test(name!.text.toUpperCase());
}

function walkGroupBy(cursor: Cursor, body: Node): SqlNode[] {
  take(cursor, 'GROUP', 'GROUP BY');
  take(cursor, 'BY', 'BY');
  if (body.all) throw here(cursor, 'GROUP BY ALL is not supported: name the columns');
  const columns: SqlNode[] = [];
  for (const node of nodes(body, 'expressions')) {
    if (columns.length > 0) take(cursor, 'COMMA', 'a comma');
    const [kind] = open(node);
    const plain = kind === 'column' || kind === 'literal';
    if (isWindowTable(cursor)) throw here(cursor, WINDOW_TABLE);
    if (!plain) throw here(cursor, 'GROUP BY takes columns of the event only (or their positions in the SELECT)');
    columns.push(walk(cursor, node));
  }
  return columns;
}

/** Each clause that is left, up to the end or to one that is still to be read, is one that is not supported. */
function refuseRest(cursor: Cursor, faults: Fault[], isStop: (token: Token) => boolean): void {
  if (peekIs(cursor, 'SEMICOLON') && cursor.next === cursor.tokens.length - 1) cursor.next++;
  while (cursor.next < cursor.tokens.length && !isStop(cursor.tokens[cursor.next]!)) {
    faults.push(refusal(cursor, 'the end'));
    cursor.next++;
    skipTo(cursor, token => isClause(token) || isStop(token));
  }
}

const CLAUSES = new Set(
  'WHERE GROUP HAVING ORDER LIMIT OFFSET QUALIFY WINDOW FETCH FOR UNION INTERSECT EXCEPT SEMICOLON'.split(' '),
);

function isClause(token: Token): boolean {
  return token.depth === 0 && CLAUSES.has(token.type);
}

function skipTo(cursor: Cursor, isWanted: (token: Token) => boolean): void {
  while (cursor.next < cursor.tokens.length && !isWanted(cursor.tokens[cursor.next]!)) cursor.next++;
}

// Expressions.

const OPERATORS = new Map<string, [FunctionName, string]>([
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

/** Walks one node of the tree and moves the cursor past its tokens. */
function walk(cursor: Cursor, node: Node): SqlNode {
  if (!cursor.dialect) return walkOurs(cursor, node);
  return isSpelled(cursor, open(node)[0])
    ? walkSpelled(cursor, node, cursor.dialect)
    : walkTheirs(cursor, node, cursor.dialect);
}

function walkOurs(cursor: Cursor, node: Node): SqlNode {
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

const BINARY = new Map([
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

/** [NOT] LIKE, [NOT] ILIKE: the tree has NOT around it, the text within. */
function walkLike(cursor: Cursor, body: Node, first: number): SqlNode {
  const args = [walk(cursor, child(body, 'left'))];
  const not = peekIs(cursor, 'NOT') ? takeWord(cursor, 'NOT', 'NOT') : null;
  const symbol = peekIs(cursor, 'I_LIKE') ? takeWord(cursor, 'I_LIKE', 'ILIKE') : takeWord(cursor, 'LIKE', 'LIKE');
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
function walkRegex(cursor: Cursor, body: Node, first: number): SqlNode {
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

/** The words from a token to the last one taken, or `count` of them, in capitals. */
function words(cursor: Cursor, from: number, count = cursor.next - from): string {
  const taken = cursor.tokens.slice(from, from + count);
  return taken.map(({ text }) => text.toUpperCase()).join(' ');
}

/** INTERVAL 5 MINUTE, INTERVAL '5 minutes', INTERVAL (x) MINUTE */
function walkInterval(cursor: Cursor, body: Node, first: number): SqlNode {
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

function walkLiteral(cursor: Cursor, kind: 'literal' | 'boolean' | 'null', body: Node, first: number): SqlNode {
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

const CAST_TYPES = new Map<string, CastKind>([
  ...['BIGINT', 'INT', 'INTEGER', 'INT8', 'INT64', 'LONG'].map(name => [name, 'int64'] as const),
  ...['DOUBLE', 'FLOAT8'].map(name => [name, 'double'] as const),
  ...['BOOLEAN', 'BOOL', 'LOGICAL'].map(name => [name, 'bool'] as const),
  ...['VARCHAR', 'TEXT', 'STRING', 'CHAR', 'BPCHAR'].map(name => [name, 'string'] as const),
  ...['TIMESTAMP', 'TIMESTAMPTZ', 'DATETIME'].map(name => [name, 'time'] as const),
]);

/** CAST(x AS type), x::type, type 'text' */
function walkCast(cursor: Cursor, body: Node, first: number): SqlNode {
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

function theirType({ types }: Dialect, name: string): CastKind | undefined {
  return (Object.keys(types) as CastKind[]).find(kind => types[kind].split(' ').includes(name));
}

/** Some types have more than one word. */
const TYPE_TAILS = new Map([
  ['DOUBLE', ['PRECISION']],
  ['TIMESTAMP', ['WITH', 'TIME', 'ZONE']],
]);

function takeType(cursor: Cursor): CastKind {
  const name = cursor.tokens[cursor.next]?.text.toUpperCase() ?? 'nothing';
  const to = cursor.dialect ? theirType(cursor.dialect, name) : CAST_TYPES.get(name);
  if (!to && cursor.dialect) {
    const known = Object.values(cursor.dialect.types).flatMap(names => names.split(' ').slice(0, 1).filter(Boolean));
    throw here(cursor, `CAST to ${name} is not supported in ${cursor.dialect.rules.name}: ${known.join(', ')} are`);
  }
  const hint = name === 'DATE' ? `; DATE_TRUNC('day', time) is the day of a time` : '';
  if (!to)
    throw here(cursor, `CAST to ${name} is not supported: BIGINT, DOUBLE, BOOLEAN, VARCHAR and TIMESTAMP are${hint}`);
  cursor.next++;
  const tail = TYPE_TAILS.get(name) ?? [];
  if (tail.length > 0 && tail.every((word, i) => cursor.tokens[cursor.next + i]?.text.toUpperCase() === word))
    cursor.next += tail.length;
  return to;
}

function walkAggregate(cursor: Cursor, name: AggregateName, body: Node, first: number): SqlNode {
  const { at, text } = cursor.tokens[cursor.next + 1]?.type === 'L_PAREN' ? nextWord(cursor) : unexpected(cursor);
  take(cursor, 'L_PAREN', '(');
  let of: SqlNode | null = null;
  const isDistinct = name === 'count' && peekIs(cursor, 'DISTINCT');
  if (isDistinct) cursor.next++;
  if (body.star && !isDistinct) take(cursor, 'STAR', '*');
  else if (body.this) of = walk(cursor, child(body, 'this'));
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
function calledAggregate(cursor: Cursor, kind: string): SqlAggregate | null {
  const [name, bracket] = cursor.tokens.slice(cursor.next, cursor.next + 2);
  if (NO_CALLS.has(kind) || bracket?.type !== 'L_PAREN' || isQuoted(name!)) return null;
  return BY_SPELLING.get(name!.text.toUpperCase()) ?? null;
}

/** A value, and what is written behind it: read one by one, as the text has them. */
function walkCalled(cursor: Cursor, aggregate: SqlAggregate, first: number): SqlNode {
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
function isSinceLast(cursor: Cursor): boolean {
  const [name, bracket] = cursor.tokens.slice(cursor.next, cursor.next + 2);
  return bracket?.type === 'L_PAREN' && name!.text.toUpperCase() === SINCE_LAST;
}

/** TIME_SINCE_LAST(x) -> EPOCH_US(NOW()) - EPOCH_US(MAX(_time) FILTER (WHERE x IS NOT NULL)) */
function walkSinceLast(cursor: Cursor, first: number): SqlNode {
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

function isReadTime(cursor: Cursor): boolean {
  const name = cursor.tokens[cursor.next]!;
  return cursor.dialect === null && !isQuoted(name) && NOWS.includes(name.text.toUpperCase());
}

/** NOW(), CURRENT_TIMESTAMP: the moment of reading. */
function walkReadTime(cursor: Cursor, first: number): SqlNode {
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

function nextWord(cursor: Cursor): { at: Position; text: string } {
  const token = cursor.tokens[cursor.next++]!;
  return { at: placeOf(cursor, token), text: token.text };
}

function unexpected(cursor: Cursor): never {
  throw refusal(cursor, 'an expression');
}

/** Kinds of calls, and where in their tree the arguments are, in the order of the text. */
const CALL_ARGS = new Map<string, string[]>([
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
function walkFunction(cursor: Cursor, kind: string, body: Node, first: number): SqlNode {
  const name = cursor.tokens[cursor.next]?.text.toUpperCase() ?? '';
  if (!CALLABLE.includes(name) || cursor.tokens[cursor.next + 1]?.type !== 'L_PAREN') return skipCall(cursor, first);
  const symbol = { name, at: nextWord(cursor).at };
  take(cursor, 'L_PAREN', '(');
  const side = name === 'TRIM' ? TRIM_SIDES.get(cursor.tokens[cursor.next]?.type ?? '') : undefined;
  const args = walkArguments(cursor, kind, name, body);
  take(cursor, 'R_PAREN', ')');
  return { kind: 'function', name: side ?? name, symbol, args, ...span(cursor, first) };
}

function walkArguments(cursor: Cursor, kind: string, name: string, body: Node): SqlNode[] {
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

const TRIM_SIDES = new Map([
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

// What other dialects have otherwise.

/** What takes a member out of JSON. */
const JSON_KINDS = new Set(['json_extract', 'json_extract_scalar', 'j_s_o_n_extract', 'json_value', 'json_query']);

/** Kinds that begin with a word and a parenthesis, and are no calls of their dialect's table. */
const NO_CALLS = new Set([
  ...OPERATORS.keys(),
  ...'paren neg not literal boolean null column dot subscript array_func in between is_null case cast try_cast safe_cast'.split(
    ' ',
  ),
  ...'count sum avg min max first last concat bitwise_and bitwise_or bitwise_left_shift bitwise_right_shift'.split(' '),
  ...'bitwise_not like i_like regexp_like regexp_i_like similar_to interval int_div subquery exists tuple'.split(' '),
  ...JSON_KINDS,
  ...[...REFUSED_OPERATORS.keys()].filter(kind => kind !== 'power'),
]);

/** Some of these kinds can be called as well, by this name. */
const CALLED = new Map([
  ['regexp_like', 'REGEXP_LIKE'],
  ['int_div', 'DIV'],
  ['concat', 'CONCAT'],
  ['any', 'ANY'],
]);

function isSpelled(cursor: Cursor, kind: string): boolean {
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
function walkSpelled(cursor: Cursor, node: Node, dialect: Dialect): SqlNode {
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
function templateOf({ library, source }: Cursor, ours: string): SqlNode {
  const faults: Fault[] = [];
  const parsed = parseBy(library, { text: ours, at: source.at }, 'SELECT ', faults, null);
  const node = parsed && expressionOf(parsed, faults);
  assert(node && faults.length === 0, `the table of a dialect has an expression that cannot be read: ${ours}`);
  return node;
}

/** Up to the closing parenthesis, each by itself: the library moves some of them about. */
function theirArguments(cursor: Cursor, dialect: Dialect | null): SqlNode[] {
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

function theirArgument(cursor: Cursor, dialect: Dialect | null, depth: number): SqlNode {
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
  const parsed = parseBy(cursor.library, { text, at }, 'SELECT ', faults, dialect);
  if (!parsed) throw faults[0]!;
  const node = nodes(rootOf(parsed.cursor, parsed.statements), 'expressions')[0];
  if (!node || open(node)[0] === 'alias') throw refusal(cursor, 'an expression');
  const walked = walk(cursor, node);
  if (cursor.next !== first + tokens.length) throw refusal(cursor, 'a comma or )');
  return walked;
}

/** What is no call: operators and the like, with the dialect's rules. */
function walkTheirs(cursor: Cursor, node: Node, dialect: Dialect): SqlNode {
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
  if (rules.texts === 'collated' && !args.some(arg => arg.rules?.texts === 'bytes'))
    throw fault(`goes by a collation in ${rules.name}: write ${symbol.name} BINARY`);
  if (symbol.name === 'LIKE' && likeEscape && !isEscaped)
    args.push({ kind: 'literal', value: likeEscape, at: pattern!.at, text: pattern!.text });
}

// What is refused.

/** Where it is clear how far the unsupported part reaches, the walk goes on behind it. */
function walkUnsupported(cursor: Cursor, kind: string, body: Node, first: number): SqlNode {
  if (JSON_KINDS.has(kind)) return refuseJson(cursor, kind, body);
  const operator = REFUSED_OPERATORS.get(kind);
  const isCall = cursor.tokens[cursor.next + 1]?.type === 'L_PAREN' && isRefused(cursor.tokens[cursor.next]!);
  if (!operator || isCall) {
    const message = unsupportedNode(kind);
    if (message) throw here(cursor, message);
    return skipCall(cursor, first);
  }
  const [before, message] = operator;
  walk(cursor, child(body, before));
  if (before !== 'left' || kind.startsWith('null_safe')) throw here(cursor, message);
  cursor.faults.push(here(cursor, message));
  cursor.next++;
  walk(cursor, child(body, 'right'));
  return { kind: 'faulty', ...span(cursor, first) };
}

/** a -> 'b' ->> 'c', a:b.c, JSON_VALUE(a, '$.b'): at the last operator, or the name of the call. */
function refuseJson(cursor: Cursor, kind: string, body: Node): never {
  const isCall = cursor.tokens[cursor.next + 1]?.type === 'L_PAREN';
  if (!isCall) {
    const rest = cursor.tokens.slice(cursor.next);
    const length = rest.findIndex(
      ({ type }) => !/^(VAR|QUOTED_IDENTIFIER|DOT|STRING|NUMBER|ARROW|D_ARROW|COLON)$/.test(type),
    );
    const chain = length < 0 ? rest : rest.slice(0, length);
    cursor.next += Math.max(
      0,
      chain.findLastIndex(({ type }) => /^(ARROW|D_ARROW|COLON)$/.test(type)),
    );
  }
  const what = cursor.tokens[cursor.next]!.text.toUpperCase();
  throw here(cursor, `${what} is not supported: ${insteadOfJson(stepsOf({ [kind]: body }))}`);
}

/** The names of members from the event's data on. */
function stepsOf(node: Node): string[] | null {
  const [kind, body] = open(node);
  if (kind === 'column') {
    const table = body.table ? [identifier(body, 'table')] : [];
    return [...table, identifier(body, 'name')].filter((name, i) => i > 0 || name !== 'data');
  }
  if (!JSON_KINDS.has(kind)) return null;
  const [path, of] = [body.path ?? body.expression, stepsOf(child(body, 'this'))];
  const [literal, text] = isNode(path) ? open(path) : ['', {}];
  const steps = literal === 'literal' && typeof text.value === 'string' ? jsonSteps(text.value) : null;
  return of && steps && [...of, ...steps];
}

function unsupportedNode(kind: string): string | null {
  switch (kind) {
    case 'subquery':
    case 'exists':
      return `${SUB_SELECT}: ${ONE_EVENT_TYPE}`;
    case 'star':
      return '* stands in COUNT(*) only';
    case 'tuple':
      return 'rows of several values are not supported: compare them one by one with AND';
    case 'parameter':
    case 'placeholder':
      return 'parameters are not supported: write the value';
    default:
      return null;
  }
}

/** Reports a call by its function's name, and goes on behind its closing parenthesis. */
function skipCall(cursor: Cursor, first: number): SqlNode {
  const fault = refuseFunction(cursor);
  if (cursor.tokens[cursor.next + 1]?.type !== 'L_PAREN') throw fault;
  cursor.faults.push(fault);
  const { depth } = cursor.tokens[cursor.next]!;
  skipTo(cursor, token => token.type === 'R_PAREN' && token.depth === depth);
  cursor.next++;
  return { kind: 'faulty', ...span(cursor, first) };
}

/** Some operators can also be called: POW(x, 2). */
function isRefused(token: Token): boolean {
  return REFUSED_FUNCTIONS.has(token.text.toUpperCase());
}

function refuseFunction(cursor: Cursor): Fault {
  const token = cursor.tokens[cursor.next];
  if (!token || cursor.tokens[cursor.next + 1]?.type !== 'L_PAREN') return refusal(cursor, 'an expression');
  const name = token.text.toUpperCase();
  if (JSON_CALLS.includes(name)) return here(cursor, `${name} is not supported: ${insteadOfJson(null)}`);
  const instead = REFUSED_FUNCTIONS.get(name);
  if (instead) return here(cursor, `${name} is not supported: ${instead}`);
  if (KNOWN_FUNCTIONS.includes(name)) return here(cursor, `${name} wants one argument`, 'definition');
  const hint = didYouMean(name, KNOWN_FUNCTIONS) || '; docs/functions.md lists those that are known';
  return here(cursor, `unknown function ${name}${hint}`, 'definition');
}

function isQuoted(token: Token): boolean {
  return token.type === 'STRING' || token.type === 'QUOTED_IDENTIFIER';
}

/** The token at the cursor is not one that can stand there. */
function refusal(cursor: Cursor, wanted: string): Fault {
  const token = cursor.tokens[cursor.next];
  if (!token) return here(cursor, `SQL ends where ${wanted} was wanted`, 'definition');
  const known = isQuoted(token) ? undefined : REFUSED_WORDS.get(token.text.toUpperCase());
  if (known) return here(cursor, known);
  const text = cursor.source.text.slice(token.start, token.end);
  return here(cursor, `"${text}" is not understood here; wanted ${wanted}`, 'definition');
}

/** A fault at the token under the cursor, or at the last one where the text is over. */
function here(cursor: Cursor, message: string, code: 'unsupported' | 'definition' = 'unsupported'): Fault {
  const token = cursor.tokens[cursor.next] ?? cursor.tokens.at(-1)!;
  return new Fault(code, message, placeOf(cursor, token));
}

// Tokens.

function take(cursor: Cursor, type: string, wanted: string): Token {
  const token = cursor.tokens[cursor.next];
  if (token?.type !== type) throw refusal(cursor, wanted);
  cursor.next++;
  return token;
}

function takeWord(cursor: Cursor, type: string, wanted: string): Word {
  const token = take(cursor, type, wanted);
  return { name: token.text.toUpperCase(), at: placeOf(cursor, token) };
}

/** A name may look like any word of SQL (`date`, `type`): it is the tree that knows. */
function takeName(cursor: Cursor, name: string): Word {
  const token = cursor.tokens[cursor.next];
  if (token?.text !== name) throw refusal(cursor, 'a name');
  cursor.next++;
  return { name, at: placeOf(cursor, token) };
}

function takeEnd(cursor: Cursor): void {
  if (cursor.next < cursor.tokens.length) throw refusal(cursor, 'the end of the expression');
}

function peekIs(cursor: Cursor, type: string): boolean {
  return cursor.tokens[cursor.next]?.type === type;
}

function placeOf({ source }: Cursor, { start, end }: Token): Position {
  return source.at(Math.max(0, start), Math.max(0, end));
}

/** From the token with index `first` to the last one taken. */
function span({ source, tokens, next }: Cursor, first: number): { at: Position; text: string } {
  const start = tokens[first]!.start;
  const end = tokens[next - 1]!.end;
  return { at: source.at(start, end), text: source.text.slice(start, end) };
}

// The library's tree, whose shape is checked as it is walked.

function open(node: Node): [string, Node] {
  const [entry, ...rest] = Object.entries(node);
  assert(entry && rest.length === 0, `a node of the SQL library has one kind, not ${Object.keys(node)}`);
  return [entry[0], isNode(entry[1]) ? entry[1] : {}];
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function child(body: Node, name: string): Node {
  const value = body[name];
  assert(isNode(value), `a node of the SQL library has no ${name}`);
  return value;
}

function list(body: Node, name: string): unknown[] {
  const value = body[name] ?? [];
  assert(Array.isArray(value), `${name} of a node of the SQL library is no list`);
  return value;
}

function nodes(body: Node, name: string): Node[] {
  return list(body, name).map(value => {
    assert(isNode(value), `${name} of a node of the SQL library holds something else than nodes`);
    return value;
  });
}

function identifier(body: Node, name: string): string {
  const value = child(body, name).name;
  assert(typeof value === 'string', `${name} of a node of the SQL library is no name`);
  return value;
}
