import { createToken, type IToken, Lexer, type TokenType } from 'chevrotain';
import { Fault } from '../../base/fault.ts';
import type { Place } from '../place.ts';

/**
 * Text of a topology -> tokens -> the tokens of each statement.
 *
 * A statement ends with its line, unless a bracket is open, or a binary operator, a comma or the like ends the line or
 * begins the next one.
 */
export interface Lexed {
  /** The tokens of each statement; a statement with something in it that is no token is left out. */
  statements: IToken[][];
  /** In the order of the text, with those tokens that belong to no statement. */
  all: IToken[];
  /** Ends of lines, wherever they are. */
  comments: IToken[];
}

/** Any word: names of members and of fields are not ours to choose. */
export const Word = createToken({ name: 'Word', pattern: Lexer.NA, label: 'a name' });
/** A word that features, events and functions may be called. */
export const Name = createToken({ name: 'Name', pattern: Lexer.NA, label: 'a name' });

const Identifier = createToken({ name: 'Identifier', pattern: /[A-Za-z_]\w*/, categories: [Name, Word] });

/** A word that has its meaning in some places only, and is a name in all others. */
function soft(word: string): TokenType {
  return createToken({
    ...{ name: `'${word}'`, label: word, pattern: new RegExp(word), longer_alt: Identifier },
    categories: [Name, Word],
  });
}

function reserved(word: string): TokenType {
  return createToken({
    ...{ name: `'${word}'`, label: word, pattern: new RegExp(word), longer_alt: Identifier },
    categories: [Word],
  });
}

function symbol(name: string, text: string): TokenType {
  return createToken({ name, label: text, pattern: text });
}

export const EventWord = soft('event');
export const TypeWord = soft('type');
export const EntityWord = soft('entity');
export const MapWord = soft('map');

/** What no feature and no event can be called. */
export const RESERVED = [
  ...['and', 'or', 'not', 'in', 'is', 'null', 'true', 'false', 'as', 'when', 'then', 'default'],
  ...['by', 'where', 'after', 'last', 'limit', 'exclusive'],
] as const;

export const SOFT = ['event', 'type', 'entity', 'map'] as const;

const RESERVED_TOKENS = RESERVED.map(reserved);
const [And, Or, Not, In, Is, Null, True, False, As, When, Then, Default] = RESERVED_TOKENS as TokenType[];
const [By, Where, After, Last, Limit, Exclusive] = RESERVED_TOKENS.slice(12) as TokenType[];
export const WORDS = {
  ...{ And: And!, Or: Or!, Not: Not!, In: In!, Is: Is!, Null: Null!, True: True!, False: False!, As: As! },
  ...{ When: When!, Then: Then!, Default: Default!, By: By!, Where: Where!, After: After!, Last: Last! },
  ...{ Limit: Limit!, Exclusive: Exclusive! },
};

/** Texts have the escapes of JSON, and those of both quotes. */
export const Text = createToken({
  ...{ name: 'Text', label: 'a text' },
  pattern: /"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'/,
});
export const PathToken = createToken({
  ...{ name: 'Path', label: 'a path' },
  pattern: /\$(?:\.[A-Za-z_]\w*|\[(?:"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')\])*/,
});
export const Real = createToken({
  ...{ name: 'Real', label: 'a number' },
  pattern: /\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)/,
});
export const Whole = createToken({ name: 'Whole', label: 'a whole number', pattern: /\d+/ });

export const SYMBOLS = {
  Defines: symbol('Defines', ':='),
  NotEqual: symbol('NotEqual', '!='),
  EqualEqual: symbol('EqualEqual', '=='),
  LessOrEqual: symbol('LessOrEqual', '<='),
  GreaterOrEqual: symbol('GreaterOrEqual', '>='),
  Equal: symbol('Equal', '='),
  Less: symbol('Less', '<'),
  Greater: symbol('Greater', '>'),
  Plus: symbol('Plus', '+'),
  Minus: symbol('Minus', '-'),
  Star: symbol('Star', '*'),
  Slash: symbol('Slash', '/'),
  Percent: symbol('Percent', '%'),
  Colon: symbol('Colon', ':'),
  Comma: symbol('Comma', ','),
  Dot: symbol('Dot', '.'),
  Question: symbol('Question', '?'),
  OpenRound: symbol('OpenRound', '('),
  CloseRound: symbol('CloseRound', ')'),
  OpenSquare: symbol('OpenSquare', '['),
  CloseSquare: symbol('CloseSquare', ']'),
  OpenCurly: symbol('OpenCurly', '{'),
  CloseCurly: symbol('CloseCurly', '}'),
};

const Newline = createToken({ name: 'Newline', pattern: /\r?\n/, line_breaks: true });
const Space = createToken({ name: 'Space', pattern: /[ \t\r\f\v\uFEFF\u00a0]+/, group: Lexer.SKIPPED });
const Comment = createToken({ name: 'Comment', pattern: /--[^\n]*/, group: 'comments' });
/** A quote that nothing closes, and what no token begins with: so there is always a token, and every fault is found. */
const Unclosed = createToken({ name: 'Unclosed', pattern: /["'][^\n]*/ });
const Unknown = createToken({ name: 'Unknown', pattern: /[^\s\w"'$()[\]{}.,:+\-*/%=<>?]+|[^\n]/ });

export const TOKENS = [
  ...[Newline, Space, Comment, Text, PathToken, Real, Whole],
  ...Object.values(SYMBOLS),
  ...[...RESERVED_TOKENS, EventWord, TypeWord, EntityWord, MapWord, Identifier, Word, Name],
  ...[Unclosed, Unknown],
];

const LEXER = new Lexer(TOKENS, { positionTracking: 'onlyOffset', ensureOptimizations: false });

/** Brackets within one another: the parser goes down a dozen calls for each. */
export const BRACKET_DEPTH_MAX = 64;

export function lex(text: string, place: Place, faults: Fault[]): Lexed {
  const { tokens, groups } = LEXER.tokenize(text);
  const statements: IToken[][] = [];
  for (const statement of statementsOf(tokens)) {
    const fault = wrongIn(statement, place);
    if (fault) faults.push(fault);
    else statements.push(statement);
  }
  return { statements, all: tokens, comments: groups.comments ?? [] };
}

/** What is wrong with the tokens alone, if anything is. */
function wrongIn(statement: IToken[], place: Place): Fault | null {
  let depth = 0;
  for (const token of statement) {
    const at = () => place(token.startOffset, token.startOffset + token.image.length);
    if (token.tokenType === Unclosed)
      return new Fault('definition', 'a text has no end: its quote is not closed', at());
    if (token.tokenType === Unknown) return new Fault('definition', unknownText(token.image), at());
    if (opens(token)) depth++;
    else if (closes(token)) depth = Math.max(0, depth - 1);
    if (depth > BRACKET_DEPTH_MAX)
      return new Fault('too_large', `nests too deep: at most ${BRACKET_DEPTH_MAX} levels are read`, at());
  }
  return null;
}

/** What others write, and what it is here. */
const INSTEAD: Record<string, string> = {
  '&&': 'write and',
  '&': 'write and',
  '||': 'write or; texts are put together by Concat',
  '|': 'write or',
  '!': 'write not',
  '#': 'a comment begins with --',
  ';': 'a statement ends with its line',
};

function unknownText(image: string): string {
  const hint = Object.hasOwn(INSTEAD, image) ? `: ${INSTEAD[image]}` : '';
  return `${image.slice(0, 20)} means nothing here${hint}`;
}

export function opens({ tokenType }: IToken): boolean {
  return tokenType === SYMBOLS.OpenRound || tokenType === SYMBOLS.OpenSquare || tokenType === SYMBOLS.OpenCurly;
}

export function closes({ tokenType }: IToken): boolean {
  return tokenType === SYMBOLS.CloseRound || tokenType === SYMBOLS.CloseSquare || tokenType === SYMBOLS.CloseCurly;
}

export function isName({ tokenType }: IToken): boolean {
  return tokenType.CATEGORIES?.includes(Name) ?? false;
}

/**
 * Is it `Fn<event, ...>(`, of a name that begins as functions do? `a < b` is a comparison.
 *
 * @param at the tokens from the name on
 */
export function isGenericCall(at: (offset: number) => IToken | null): boolean {
  if (!/^[A-Z]/.test(at(0)?.image ?? '') || at(1)?.tokenType !== SYMBOLS.Less) return false;
  for (let offset = 2; ; offset += 2) {
    const [event, next] = [at(offset), at(offset + 1)];
    if (!event || !isName(event)) return false;
    if (next?.tokenType === SYMBOLS.Greater) return at(offset + 2)?.tokenType === SYMBOLS.OpenRound;
    if (next?.tokenType !== SYMBOLS.Comma) return false;
  }
}

const BINARY = new Set<TokenType>([
  ...[SYMBOLS.Plus, SYMBOLS.Minus, SYMBOLS.Star, SYMBOLS.Slash, SYMBOLS.Percent, SYMBOLS.Dot],
  ...[SYMBOLS.Equal, SYMBOLS.EqualEqual, SYMBOLS.NotEqual, SYMBOLS.Less, SYMBOLS.LessOrEqual],
  ...[SYMBOLS.Greater, SYMBOLS.GreaterOrEqual, WORDS.And, WORDS.Or, WORDS.In, WORDS.Is, WORDS.As],
]);
/** Nothing ends with one of these. */
const AT_END = new Set<TokenType>([...BINARY, SYMBOLS.Defines, SYMBOLS.Comma, SYMBOLS.Colon, WORDS.Not]);
/** Nothing begins with one of these. */
const AT_START = new Set<TokenType>([...BINARY, SYMBOLS.Question]);

export function statementsOf(tokens: IToken[]): IToken[][] {
  const statements: IToken[][] = [];
  let open: IToken[] = [];
  let depth = 0;
  const end = () => {
    if (open.length > 0) statements.push(open);
    [open, depth] = [[], 0];
  };
  for (const [i, token] of tokens.entries()) {
    if (token.tokenType !== Newline) {
      if (opens(token)) depth++;
      else if (closes(token)) depth = Math.max(0, depth - 1);
      open.push(token);
    } else if (endsHere(tokens, i, open, depth)) end();
  }
  end();
  return statements;
}

/** @param i of the end of a line */
function endsHere(tokens: IToken[], i: number, before: IToken[], depth: number): boolean {
  let next = i;
  while (tokens[next]?.tokenType === Newline) next++;
  const [first, second] = [tokens[next], tokens[next + 1]];
  const last = before.at(-1);
  if (!first || !last) return true;
  // A bracket that is never closed ends where the next definition begins.
  if (second?.tokenType === SYMBOLS.Defines) return true;
  // Behind a dot any word is a field.
  const isField = before.at(-2)?.tokenType === SYMBOLS.Dot;
  if (depth > 0 || (AT_END.has(last.tokenType) && !isField) || AT_START.has(first.tokenType)) return false;
  return !(first.tokenType === WORDS.Not && second?.tokenType === WORDS.In);
}
