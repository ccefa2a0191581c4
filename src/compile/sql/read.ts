/**
 * SQL text -> the few kinds of nodes that feature sets are made of, each with its place in the user's file.
 *
 * `@polyglot-sql/sdk` reads it, and nothing but library.ts knows of that. Nodes mean what they do in DuckDB (ours.ts); what
 * another dialect has otherwise becomes that (theirs.ts, by the tables of dialects/), or is refused (refuse.ts). The
 * library's tree has places on names only, so it is walked in the order of the text with a cursor over the tokens, and
 * every token has to be accounted for:
 *
 *     tree    SUM ( CASE   delay  >  15   1        )
 *     tokens  SUM ( CASE WHEN delay > 15 THEN 1 END ) AS late
 *
 * Whatever the library reads beyond what is known here (or reads and drops) therefore meets a token that is not the
 * one expected, and is refused by that token's name.
 */
import type { Fault } from '../../base/fault.ts';
import type { Dialect } from '../dialect.ts';
import type { Select, SqlNode } from '../node.ts';
import type { LocatedText } from '../yaml.ts';
import type { Cursor } from './cursor.ts';
import { parse } from './library.ts';
import { walkOurs } from './ours.ts';
import { collect, expressionOf, rootOf, walkSelect } from './statement.ts';
import { isSpelled, walkSpelled, walkTheirs } from './theirs.ts';
import type { Node } from './tree.ts';

/** Reads `SELECT ... FROM ... WHERE ... GROUP BY ...`; null where nothing of it could be read. */
export async function readSelect(
  source: LocatedText,
  faults: Fault[],
  dialect: Dialect | null = null,
): Promise<Select | null> {
  const parsed = await parse(source, '', { faults, dialect, walk: walkAny });
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
  const parsed = await parse(source, 'SELECT ', { faults, dialect, walk: walkAny });
  return parsed && expressionOf(parsed, faults);
}

/** Calls of a dialect are read by its table, all else as ours is, with the dialect's rules. */
function walkAny(cursor: Cursor, node: Node): SqlNode {
  if (!cursor.dialect) return walkOurs(cursor, node);
  return isSpelled(cursor, node) ? walkSpelled(cursor, node, cursor.dialect) : walkTheirs(cursor, node, cursor.dialect);
}
