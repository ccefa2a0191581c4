import type { IToken } from 'chevrotain';
import type { Fault } from '../../base/fault.ts';
import { placeIn } from '../place.ts';
import { closes, isGenericCall, isName, lex, MapWord, opens, SYMBOLS, TypeWord } from './lexer.ts';
import { readScowl } from './parser.ts';

/**
 * A topology as everybody would write it: the same words in the same lines, with one space where there is one, lines
 * that go on indented by the brackets that are open, `:=` of neighbours in one column, comments where they were, and no more than one empty line.
 *
 * @returns null where it cannot be read, with what is wrong with it in `faults`
 */
export function formatScowl(file: string, text: string, faults: Fault[]): string | null {
  const before = faults.length;
  readScowl(file, text, faults);
  if (faults.length > before) return null;
  const { all, comments, statements } = lex(text, placeIn(file, text), []);
  const first = new Set(statements.map(statement => statement[0]!));
  const lines = withoutEmpty(linesOf(text, all, comments));
  const made: Made[] = [];
  let open: Open = { depth: 0, isType: false };
  for (const [i, { tokens, comment }] of lines.entries()) {
    const begins = tokens[0] ? first.has(tokens[0]) : !goesOn(lines, i, first);
    if (tokens[0] && begins) open = { depth: 0, isType: tokens[0].tokenType === TypeWord };
    const written = writeTokens(tokens, open);
    open = { ...open, depth: written.depth };
    const isEmpty = tokens.length === 0 && comment === null;
    const least = tokens[0] && closes(tokens[0]) ? 0 : 1;
    const indent = begins || isEmpty ? '' : '  '.repeat(Math.max(least, written.leastDepth));
    const name = begins && tokens[1]?.tokenType === Defines ? tokens[0]!.image : null;
    made.push({ code: indent + written.text, name, comment });
  }
  return aligned(made)
    .map(line => `${line}\n`)
    .join('');
}

/** A line as it is written; one of a comment alone has its indent as its code. */
interface Made {
  code: string;
  /** Of what the line begins to define. */
  name: string | null;
  comment: string | null;
}

/** In lines that follow each other `:=` stands in one column, and so do comments behind code. */
function aligned(made: Made[]): string[] {
  const names = columnsOf(made, ({ name }) => name);
  const lines = made.map(({ code, name, comment }, i) => ({
    code: name === null ? code : name.padEnd(names[i]!) + code.slice(name.length),
    comment,
  }));
  const isBehind = ({ code, comment }: (typeof lines)[0]) => comment !== null && code.trim() !== '';
  const codes = columnsOf(lines, line => (isBehind(line) ? line.code : null));
  return lines.map((line, i) => {
    if (line.comment === null) return line.code;
    return isBehind(line) ? `${line.code.padEnd(codes[i]!)}  ${line.comment}` : line.code + line.comment;
  });
}

/** For each line the greatest length of what it and its neighbours have; a line that has nothing parts them. */
function columnsOf<T>(lines: T[], textOf: (line: T) => string | null): number[] {
  const widths: number[] = [];
  for (let i = 0; i < lines.length; ) {
    let end = i + 1;
    if (textOf(lines[i]!) !== null) while (end < lines.length && textOf(lines[end]!) !== null) end++;
    const width = Math.max(...lines.slice(i, end).map(line => textOf(line)?.length ?? 0));
    while (i < end) widths[i++] = width;
  }
  return widths;
}

/** No empty line at the beginning and the end, and one where there are several. */
function withoutEmpty(lines: Line[]): Line[] {
  const isEmpty = (line: Line | undefined) => !line || (line.tokens.length === 0 && line.comment === null);
  const lastFilled = lines.findLastIndex(line => !isEmpty(line));
  return lines.filter((line, i) => i <= lastFilled && !(isEmpty(line) && isEmpty(lines[i - 1])));
}

interface Line {
  tokens: IToken[];
  comment: string | null;
}

function linesOf(text: string, all: IToken[], comments: IToken[]): Line[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  const lines: Line[] = starts.map(() => ({ tokens: [], comment: null }));
  let i = 0;
  const lineOf = (offset: number) => {
    while (i + 1 < starts.length && starts[i + 1]! <= offset) i++;
    return lines[i]!;
  };
  for (const token of all) if (!/^\r?\n$/.test(token.image)) lineOf(token.startOffset).tokens.push(token);
  i = 0;
  for (const { startOffset, image } of comments) lineOf(startOffset).comment = commentOf(image);
  return lines;
}

function commentOf(image: string): string {
  const [, dashes, rest] = /^(-+)\s*(.*?)\s*$/s.exec(image)!;
  return rest === '' ? dashes! : `${dashes} ${rest}`;
}

/** Does a comment stand among the lines of a statement? */
function goesOn(lines: Line[], i: number, first: Set<IToken>): boolean {
  const next = lines.slice(i).find(({ tokens }) => tokens.length > 0);
  return next !== undefined && !first.has(next.tokens[0]!);
}

interface Open {
  depth: number;
  /** Its own braces have spaces within them: `type address { zip: string }`. */
  isType: boolean;
}

/** @returns leastDepth is that of the brackets that are open where the line begins, without those that it closes first */
function writeTokens(
  tokens: IToken[],
  { depth: from, isType }: Open,
): { text: string; depth: number; leastDepth: number } {
  let depth = from;
  let leastDepth = from;
  let text = '';
  for (const [i, token] of tokens.entries()) {
    if (closes(token)) depth = Math.max(0, depth - 1);
    if (i === 0) leastDepth = depth;
    const isOuter = isType && depth === (closes(token) ? 0 : 1);
    if (i > 0 && hasSpace(tokens, i, isOuter)) text += ' ';
    text += token.image;
    if (opens(token)) depth++;
  }
  return { text, depth, leastDepth };
}

const { Defines, OpenRound, OpenSquare, OpenCurly, CloseCurly, Comma, Colon, Dot, Minus, Question, Less, Greater } =
  SYMBOLS;

/** Is there a space before a token? */
function hasSpace(tokens: IToken[], i: number, isOuter: boolean): boolean {
  const [before, token] = [tokens[i - 1]!, tokens[i]!];
  const [last, type] = [before.tokenType, token.tokenType];
  if (isOuter && (type === CloseCurly || last === OpenCurly)) return true;
  if (opens(before) || closes(token) || type === Comma || type === Colon || type === Dot || last === Dot) return false;
  if (isSign(tokens, i - 1)) return type === Minus;
  if (isAngle(tokens, i) || (isAngle(tokens, i - 1) && last === Less)) return false;
  if (type === OpenRound) return !(isName(before) || isAngle(tokens, i - 1) || isField(tokens, i - 1));
  if (type === OpenSquare) return !(isName(before) || closes(before) || isField(tokens, i - 1));
  if (type === OpenCurly) return last !== MapWord;
  if (type === Question) return isDefault(tokens[i + 1]);
  return true;
}

/** A minus that stands before its number, and not between two. */
function isSign(tokens: IToken[], i: number): boolean {
  if (tokens[i]?.tokenType !== Minus) return false;
  const before = tokens[i - 1];
  if (!before) return false;
  if (closes(before) || isField(tokens, i - 1)) return false;
  const isValue = isName(before) || /^["'\d]/.test(before.image) || /^(true|false|null)$/.test(before.image);
  return !isValue;
}

/** Behind a dot every word is one. */
function isField(tokens: IToken[], i: number): boolean {
  return tokens[i - 1]?.tokenType === Dot;
}

/** `<`, a comma or `>` of `Fn<event, ...>(`. */
function isAngle(tokens: IToken[], i: number): boolean {
  const type = tokens[i]?.tokenType;
  if (type !== Less && type !== Greater) return false;
  let start = i;
  while (start > 0 && tokens[start]!.tokenType !== Less) start--;
  return isGenericCall(offset => tokens[start - 1 + offset] ?? null);
}

/** Behind a question mark that has one: else it ends its type. */
function isDefault(token: IToken | undefined): boolean {
  return token !== undefined && (token.tokenType === Minus || /^(["'\d]|true$|false$|null$)/.test(token.image));
}
