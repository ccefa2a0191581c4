import { Fault, type Position } from '../../base/fault.ts';
import type { Dialect } from '../dialect.ts';
import type { SqlNode, Word } from '../node.ts';
import { REFUSED_WORDS } from '../unsupported.ts';
import type { LocatedText } from '../yaml.ts';
import type { Library, Node } from './tree.ts';

export interface Token {
  type: string;
  text: string;
  /** UTF-16 offsets in the source; a prefix of ours lies before 0. */
  start: number;
  end: number;
  /** How many brackets are open around it. */
  depth: number;
}

export interface Cursor {
  source: LocatedText;
  tokens: Token[];
  next: number;
  faults: Fault[];
  library: Library;
  /** Null for DuckDB's. */
  dialect: Dialect | null;
  /** Whoever knows all kinds of nodes: each of them knows its own tokens only. */
  walk: Walk;
}

export type Walk = (cursor: Cursor, node: Node) => SqlNode;

/** Walks one node of the tree and moves the cursor past its tokens. */
export function walk(cursor: Cursor, node: Node): SqlNode {
  return cursor.walk(cursor, node);
}

/** The token at the cursor, which has to be of this type. */
export function take(cursor: Cursor, type: string, wanted: string): Token {
  const token = cursor.tokens[cursor.next];
  if (token?.type !== type) throw refusal(cursor, wanted);
  cursor.next++;
  return token;
}

export function takeWord(cursor: Cursor, type: string, wanted: string): Word {
  const token = take(cursor, type, wanted);
  return { name: token.text.toUpperCase(), at: placeOf(cursor, token) };
}

/** A name may look like any word of SQL (`date`, `type`): it is the tree that knows. */
export function takeName(cursor: Cursor, name: string): Word {
  const token = cursor.tokens[cursor.next];
  if (token?.text !== name) throw refusal(cursor, 'a name');
  cursor.next++;
  return { name, at: placeOf(cursor, token) };
}

export function takeEnd(cursor: Cursor): void {
  if (cursor.next < cursor.tokens.length) throw refusal(cursor, 'the end of the expression');
}

export function nextWord(cursor: Cursor): { at: Position; text: string } {
  const token = cursor.tokens[cursor.next++]!;
  return { at: placeOf(cursor, token), text: token.text };
}

export function unexpected(cursor: Cursor): never {
  throw refusal(cursor, 'an expression');
}

export function peekIs(cursor: Cursor, type: string): boolean {
  return cursor.tokens[cursor.next]?.type === type;
}

export function skipTo(cursor: Cursor, isWanted: (token: Token) => boolean): void {
  while (cursor.next < cursor.tokens.length && !isWanted(cursor.tokens[cursor.next]!)) cursor.next++;
}

/** The words from a token to the last one taken, or `count` of them, in capitals. */
export function words(cursor: Cursor, from: number, count = cursor.next - from): string {
  const taken = cursor.tokens.slice(from, from + count);
  return taken.map(({ text }) => text.toUpperCase()).join(' ');
}

export function placeOf({ source }: Cursor, { start, end }: Token): Position {
  return source.at(Math.max(0, start), Math.max(0, end));
}

/** From the token with index `first` to the last one taken. */
export function span({ source, tokens, next }: Cursor, first: number): { at: Position; text: string } {
  const start = tokens[first]!.start;
  const end = tokens[next - 1]!.end;
  return { at: source.at(start, end), text: source.text.slice(start, end) };
}

export function isQuoted(token: Token): boolean {
  return token.type === 'STRING' || token.type === 'QUOTED_IDENTIFIER';
}

/** The token at the cursor is not one that can stand there. */
export function refusal(cursor: Cursor, wanted: string): Fault {
  const token = cursor.tokens[cursor.next];
  if (!token) return here(cursor, `SQL ends where ${wanted} was wanted`, 'definition');
  const known = isQuoted(token) ? undefined : REFUSED_WORDS.get(token.text.toUpperCase());
  if (known) return here(cursor, known);
  const text = cursor.source.text.slice(token.start, token.end);
  return here(cursor, `"${text}" is not understood here; wanted ${wanted}`, 'definition');
}

/** A fault at the token under the cursor, or at the last one where the text is over. */
export function here(cursor: Cursor, message: string, code: 'unsupported' | 'definition' = 'unsupported'): Fault {
  const token = cursor.tokens[cursor.next] ?? cursor.tokens.at(-1)!;
  return new Fault(code, message, placeOf(cursor, token));
}
