import { Fault } from '../../base/fault.ts';
import type { Dialect } from '../dialect.ts';
import type { LocatedText } from '../yaml.ts';
import type { Cursor, Walk } from './cursor.ts';
import type { Library, Node } from './tree.ts';
import wasmPath from '@polyglot-sql/sdk/polyglot_sql.wasm' with { type: 'file' };
import { z } from 'zod';

/** A select that needs more than this was written by a program; the parser's time grows with it. */
export const SQL_LENGTH_MAX = 64 * 1024;

/** Brackets within one another: what the library does with them takes stack. */
export const SQL_DEPTH_MAX = 256;

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

/** Loaded on first use, for it takes 20 MB and the better part of a second. */
let loading: Promise<Library> | null = null;

async function load(): Promise<Library> {
  const library = await import('@polyglot-sql/sdk/manual');
  // Its types ask for a URL, but the bytes do as well, and only they can be had inside a compiled binary.
  const bytes = (await Bun.file(wasmPath).arrayBuffer()) as unknown as string;
  await library.init({ wasmUrl: bytes });
  return library as unknown as Library;
}

/** How a text is to be read, and who is told what is wrong with it. */
interface Reading {
  faults: Fault[];
  /** Null for DuckDB's. */
  dialect: Dialect | null;
  walk: Walk;
}

export interface Parsed {
  cursor: Cursor;
  statements: Node[];
}

/** Text -> tokens with their places in the user's file, and the library's tree; null where it cannot be read. */
export async function parse(source: LocatedText, prefix: string, reading: Reading): Promise<Parsed | null> {
  if (source.text.length > SQL_LENGTH_MAX) {
    const message = `SQL of ${source.text.length} characters, and at most ${SQL_LENGTH_MAX} are read`;
    reading.faults.push(new Fault('too_large', message, source.at(0, 1)));
    return null;
  }
  loading ??= load();
  return parseBy(await loading, source, prefix, reading);
}

export function parseBy(
  library: Library,
  source: LocatedText,
  prefix: string,
  { faults, dialect, walk }: Reading,
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
  return { cursor: { source, tokens: placed, next: 0, faults, library, dialect, walk }, statements: parsed.ast };
}

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
