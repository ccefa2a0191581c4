import { Fault } from '../../base/fault.ts';
import type { Select, SelectItem, SqlNode, Word } from '../node.ts';
import { ONE_EVENT_TYPE, SUB_SELECT } from '../unsupported.ts';
import { type Cursor, type Token, here, peekIs, refusal, skipTo, take, takeEnd, takeName, walk } from './cursor.ts';
import type { Parsed } from './library.ts';
import { type Node, child, identifier, nodes, open } from './tree.ts';

/** What is wrong with one part of a text must not hide what is wrong with the next: a fault ends its part only. */
export function collect<T>(faults: Fault[], work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    faults.push(error);
    return null;
  }
}

/** The one SELECT of a text. */
export function rootOf(cursor: Cursor, statements: Node[]): Node {
  const first = cursor.tokens[0];
  if (!first) throw new Fault('definition', 'SQL is empty: a SELECT is wanted', cursor.source.at(0, 1));
  const [kind, body] = statements.length === 1 ? open(statements[0]!) : ['', {}];
  if (kind === 'select' && first.type === 'SELECT') return body;
  const culprit = cursor.tokens.findIndex(({ type, depth }) => depth === 0 && /^(UNION|INTERSECT|EXCEPT)$/.test(type));
  cursor.next = first.type === 'SELECT' ? Math.max(0, culprit) : 0;
  if (statements.length > 1) cursor.next = cursor.tokens.findIndex(token => token.type === 'SEMICOLON');
  throw refusal(cursor, 'a single SELECT');
}

export function expressionOf({ cursor, statements }: Parsed, faults: Fault[]): SqlNode | null {
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

/** The clauses in the order of the text; after a fault the cursor goes on at the next clause. */
export function walkSelect(cursor: Cursor, body: Node, faults: Fault[]): Select {
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
  const found = cursor.tokens.findIndex(token => token.type === 'FROM' && token.depth === 0);
  // A bracket that never ends has all behind it within.
  const index = found < 0 ? cursor.tokens.length : found;
  const tables = body.from ? nodes(child(body, 'from'), 'expressions') : [];
  const [kind, table] = tables[0] ? open(tables[0]) : ['', {}];
  if (kind !== 'table') return index;
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
