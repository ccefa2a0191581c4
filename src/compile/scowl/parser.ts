import {
  EmbeddedActionsParser,
  EOF,
  type IOrAlt,
  type IParserErrorMessageProvider,
  type IToken,
  type TokenType,
  tokenLabel,
} from 'chevrotain';
import { Fault } from '../../base/fault.ts';
import { type Place, placeIn } from '../place.ts';
import {
  EntityWord,
  EventWord,
  isGenericCall,
  lex,
  MapWord,
  Name,
  PathToken,
  Real,
  RESERVED,
  SYMBOLS,
  Text,
  TOKENS,
  TypeWord,
  Whole,
  Word,
  WORDS,
} from './lexer.ts';
import type {
  BinarySymbol,
  Clauses,
  FieldSpec,
  KeySpec,
  Length,
  Name as NameSpan,
  Node,
  SlotSpec,
  Span,
} from './tree.ts';
import { CLAUSES, nodesIn, type Statement, type TypeSpec } from './tree.ts';

/** The statements of one file, in its order. A faulty one is left out. */
export interface Topology {
  file: string;
  text: string;
  place: Place;
  statements: Statement[];
  /** By the line that they are on, without the dashes. */
  comments: Map<number, string>;
  /** Statements that are faulty: what they would have defined is not known. */
  lost: string[];
}

/** Topologies are written by hand; whatever is larger was given by mistake. */
export const SCOWL_LENGTH_MAX = 1024 * 1024;

/** Expressions within one another, a chain of operators too: whoever walks a tree of them calls itself as often. */
export const TREE_DEPTH_MAX = 200;

export function readScowl(file: string, text: string, faults: Fault[]): Topology {
  const place = placeIn(file, text);
  const topology: Topology = { file, text, place, statements: [], comments: new Map(), lost: [] };
  if (text.length > SCOWL_LENGTH_MAX) {
    const message = `${text.length} characters, and at most ${SCOWL_LENGTH_MAX} are read`;
    faults.push(new Fault('too_large', message, place(0, 1)));
    return topology;
  }
  const lexed = lex(text, place, faults);
  for (const { startOffset, image } of lexed.comments)
    topology.comments.set(place(startOffset, startOffset + 1).line, image.replace(/^-+\s*/, '').trim());
  for (const tokens of lexed.statements) {
    const statement = parseStatement(tokens, place, faults);
    if (statement) topology.statements.push(statement);
    else if (tokens[1]?.tokenType === SYMBOLS.Defines) topology.lost.push(tokens[0]!.image);
  }
  return topology;
}

/** A long list of literals is as long; whatever is longer was not written by hand. */
export const TOKENS_PER_STATEMENT_MAX = 50_000;

function parseStatement(tokens: IToken[], place: Place, faults: Fault[]): Statement | null {
  if (tokens.length > TOKENS_PER_STATEMENT_MAX) {
    const message = `a statement of ${tokens.length} words, and at most ${TOKENS_PER_STATEMENT_MAX} are read`;
    const { start, end } = tokenSpan(tokens[0]!);
    faults.push(new Fault('too_large', message, place(start, end)));
    return null;
  }
  PARSER.input = tokens;
  const statement = PARSER.statement();
  const [error] = PARSER.errors;
  if (error) {
    const { token } = error;
    const last = tokens.at(-1)!;
    const isEnd = token.tokenType === EOF;
    const start = isEnd ? last.startOffset + last.image.length : token.startOffset;
    const end = isEnd ? start : token.startOffset + token.image.length;
    const isType = tokens[2]?.tokenType === PathToken && token === tokens[3];
    const message = isType ? `a path wants its type, like as string; got ${textOf(token)}` : error.message;
    faults.push(new Fault('definition', message, place(isEnd ? start - 1 : start, Math.max(end, start))));
    return null;
  }
  const deep = statement.kind === 'feature' ? tooDeep(statement.expression) : null;
  if (!deep) return statement;
  const message = `nests too deep: at most ${TREE_DEPTH_MAX} expressions are read within one another; give parts of it names of their own`;
  faults.push(new Fault('too_large', message, place(deep.start, deep.end)));
  return null;
}

/** The first node that is too deep, if there is one; without recursion, for it may be. */
function tooDeep(root: Node): Node | null {
  let level: Node[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > TREE_DEPTH_MAX) return level[0]!;
    level = level.flatMap(nodesIn);
  }
  return null;
}

const { Defines, NotEqual, EqualEqual, LessOrEqual, GreaterOrEqual, Equal, Less, Greater, Plus, Minus } = SYMBOLS;
const { Star, Slash, Percent, Colon, Comma, Dot, Question, OpenRound, CloseRound, OpenSquare, CloseSquare } = SYMBOLS;
const { OpenCurly, CloseCurly } = SYMBOLS;
const { And, Or, Not, In, Is, Null, True, False, As, When, Then, Default } = WORDS;
const { By, Where, After, Last, Limit, Exclusive } = WORDS;

const COMPARISONS = [Equal, EqualEqual, NotEqual, LessOrEqual, GreaterOrEqual, Less, Greater];

/** What each rule wants, as a fault says it. */
const WANTED: Record<string, string> = {
  statement: 'a definition (name := ...), or event, type or entity with a name',
  definition: 'an expression, or a path with a type ($.name as string)',
  type: 'a type: bool, int, float, string, time, [T], {name: T}, map{string: T} or a type of yours',
  defaultLiteral: 'a literal',
  clause: 'by, where, after, last, limit or exclusive',
};

function textOf({ tokenType, image }: IToken): string {
  return tokenType === EOF ? 'the end of the statement' : image.length > 40 ? `${image.slice(0, 40)} ...` : image;
}

/** A reserved word where a name was wanted is more than that. */
function got(token: IToken): string {
  const isWord = (RESERVED as readonly string[]).includes(token.image);
  return isWord ? `${token.image}, which is a word of the language` : textOf(token);
}

const MESSAGES: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected, actual }) => {
    const isName = expected === Name || expected === Word;
    if (expected === CloseRound && isClause(actual))
      return `${actual.image} stands too late: clauses are written in the order ${CLAUSES.join(', ')}, each once`;
    return `wanted ${labelOf(expected)}, got ${isName ? got(actual) : textOf(actual)}`;
  },
  buildNotAllInputParsedMessage: ({ firstRedundant }) => redundant(firstRedundant),
  buildNoViableAltMessage: ({ actual, ruleName }) => {
    const [first] = actual;
    if (ruleName === 'statement' && [EventWord, TypeWord, EntityWord].includes(first!.tokenType))
      return `wanted a name behind ${first!.image}`;
    return `wanted ${WANTED[ruleName] ?? 'an expression'}, got ${got(first!)}`;
  },
  buildEarlyExitMessage: ({ actual, ruleName }) =>
    `wanted ${WANTED[ruleName] ?? 'an expression'}, got ${got(actual[0]!)}`,
};

function labelOf(type: TokenType): string {
  return tokenLabel(type);
}

function redundant(token: IToken): string {
  if (isClause(token))
    return `${token.image} stands inside the brackets of an aggregate: Count(x by y where z last 1 hour)`;
  if (token.tokenType === Question) return '? stands behind the type of an input: $.name as int ? 0';
  if (token.image === 'as') return 'as stands behind a path: $.name as string';
  return `wanted the end of the statement, got ${textOf(token)}`;
}

function isClause({ image }: IToken): boolean {
  return (CLAUSES as readonly string[]).includes(image);
}

function spanOf(first: Span, last: Span): Span {
  return { start: first.start, end: last.end };
}

function tokenSpan(token: IToken): Span {
  // What the library learns the rules by has no image.
  return { start: token.startOffset, end: token.startOffset + (token.image?.length ?? 0) };
}

function nameOf(token: IToken): NameSpan {
  return { ...tokenSpan(token), name: token.image };
}

/** What a text stands for: the escapes of JSON, and `\'`. */
export function unquote(image: string): string {
  return image.slice(1, -1).replace(/\\(u[0-9a-fA-F]{4}|.)/g, (_, code: string) => {
    if (code.length > 1) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }[code] ?? code;
  });
}

const NANOS: Record<string, bigint> = {
  nanosecond: 1n,
  microsecond: 1000n,
  millisecond: 1_000_000n,
  second: 1_000_000_000n,
  minute: 60_000_000_000n,
  hour: 3_600_000_000_000n,
  day: 86_400_000_000_000n,
  week: 604_800_000_000_000n,
};

/** What durations are counted in, in nanoseconds. */
export const UNITS = Object.keys(NANOS);

function unitNanos(word: string): bigint | null {
  const name = word.replace(/s$/, '');
  return Object.hasOwn(NANOS, name) ? NANOS[name]! : null;
}

/** `2.5 hours`, exactly: digits behind the point are digits of nanoseconds. */
function nanosOf(image: string, unit: bigint): bigint {
  const [mantissa = '0', exponent = '0'] = image.toLowerCase().split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  const digits = BigInt(whole + fraction) * unit;
  const shift = Number(exponent) - fraction.length;
  // Nobody means more, and a power of ten of any size would take any time.
  if (Math.abs(shift) > 40) return shift > 0 ? 10n ** 40n : 0n;
  return shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift);
}

const NO_CLAUSES: Clauses = { by: null, where: null, after: null, last: null, limit: null, exclusive: null };

/**
 * One rule for each line of the grammar in docs/scowl.md. While Chevrotain learns the rules it goes through all of
 * them with tokens that stand for nothing, so no action may look at what is in a token.
 */
class ScowlParser extends EmbeddedActionsParser {
  constructor() {
    super(TOKENS, { errorMessageProvider: MESSAGES, maxLookahead: 2, recoveryEnabled: false });
    this.performSelfAnalysis();
  }

  readonly statement = this.RULE('statement', (): Statement => {
    return this.pick<Statement>([
      { ALT: () => this.SUBRULE(this.definition) },
      { ALT: () => this.SUBRULE(this.event) },
      { ALT: () => this.SUBRULE(this.userType) },
      { ALT: () => this.SUBRULE(this.entity) },
    ]);
  });

  readonly event = this.RULE('event', (): Statement => {
    const word = this.CONSUME(EventWord);
    const name = nameOf(this.CONSUME(Name));
    return { kind: 'event', name, ...spanOf(tokenSpan(word), name) };
  });

  readonly userType = this.RULE('userType', (): Statement => {
    const word = this.CONSUME(TypeWord);
    const name = nameOf(this.CONSUME(Name));
    const { fields, end } = this.SUBRULE(this.struct);
    return { kind: 'type', name, fields, start: word.startOffset, end };
  });

  readonly entity = this.RULE('entity', (): Statement => {
    const word = this.CONSUME(EntityWord);
    const name = nameOf(this.CONSUME(Name));
    let [last, types]: [Span, NameSpan[] | null] = [name, null];
    const keys: NameSpan[] = [];
    this.OPTION(() => {
      this.CONSUME(Colon);
      const key = this.SUBRULE(this.keyTypes);
      [types, last] = [key.types, key];
    });
    this.OPTION1(() => {
      this.CONSUME(By);
      this.AT_LEAST_ONE_SEP({
        SEP: Comma,
        DEF: () => {
          last = nameOf(this.CONSUME1(Name));
          keys.push(last as NameSpan);
        },
      });
    });
    return { kind: 'entity', name, types, keys, start: word.startOffset, end: last.end };
  });

  readonly keyTypes = this.RULE('keyTypes', (): Span & { types: NameSpan[] } => {
    const types: NameSpan[] = [];
    let last: Span = { start: 0, end: 0 };
    this.OR({
      DEF: [
        {
          ALT: () => {
            last = nameOf(this.CONSUME(Name));
            types.push(last as NameSpan);
          },
        },
        {
          ALT: () => {
            this.CONSUME(OpenSquare);
            this.AT_LEAST_ONE_SEP({ SEP: Comma, DEF: () => types.push(nameOf(this.CONSUME1(Name))) });
            last = tokenSpan(this.CONSUME(CloseSquare));
          },
        },
      ],
    });
    return { types, ...spanOf(types[0] ?? last, last) };
  });

  readonly definition = this.RULE('definition', (): Statement => {
    const name = nameOf(this.CONSUME(Name));
    this.CONSUME(Defines);
    return this.pick<Statement>([
      {
        ALT: () => {
          const path = this.CONSUME(PathToken);
          this.CONSUME(As);
          const slot = this.SUBRULE(this.slot);
          return {
            ...{ kind: 'input', name, path: { ...tokenSpan(path), text: path.image }, slot },
            ...spanOf(name, slot),
          };
        },
      },
      {
        ALT: () => {
          const expression = this.SUBRULE(this.expression);
          return { kind: 'feature', name, expression, ...spanOf(name, expression) };
        },
      },
    ]);
  });

  readonly slot = this.RULE('slot', (): SlotSpec => {
    const type = this.SUBRULE(this.type);
    let presence: SlotSpec['presence'] = 'required';
    let last: Span = type;
    this.OPTION(() => {
      last = tokenSpan(this.CONSUME(Question));
      presence = 'optional';
      this.OPTION1(() => {
        presence = this.SUBRULE(this.defaultLiteral);
        last = presence as Node;
      });
    });
    return { type, presence, ...spanOf(type, last) };
  });

  readonly type = this.RULE('type', (): TypeSpec => {
    return this.pick<TypeSpec>([
      {
        ALT: () => {
          const word = this.CONSUME(MapWord);
          this.CONSUME(OpenCurly);
          const key = nameOf(this.CONSUME(Word));
          this.CONSUME(Colon);
          const of = this.SUBRULE(this.slot);
          const close = this.CONSUME(CloseCurly);
          return { kind: 'map', key, of, ...spanOf(tokenSpan(word), tokenSpan(close)) };
        },
      },
      {
        ALT: () => {
          const { name, ...span } = nameOf(this.CONSUME(Name));
          return { kind: 'named', name, ...span };
        },
      },
      {
        ALT: () => {
          const open = this.CONSUME(OpenSquare);
          const of = this.SUBRULE1(this.slot);
          const close = this.CONSUME(CloseSquare);
          return { kind: 'list', of, ...spanOf(tokenSpan(open), tokenSpan(close)) };
        },
      },
      { ALT: () => ({ kind: 'struct', ...this.SUBRULE(this.struct) }) },
    ]);
  });

  readonly struct = this.RULE('struct', (): Span & { fields: FieldSpec[] } => {
    const fields: FieldSpec[] = [];
    const open = this.CONSUME(OpenCurly);
    fields.push(this.SUBRULE(this.structField));
    this.MANY(() => {
      this.CONSUME(Comma);
      fields.push(this.SUBRULE1(this.structField));
    });
    const close = this.CONSUME(CloseCurly);
    return { fields, ...spanOf(tokenSpan(open), tokenSpan(close)) };
  });

  readonly structField = this.RULE('structField', (): FieldSpec => {
    const name = nameOf(this.CONSUME(Word));
    let slot: SlotSpec | null = null;
    this.OPTION(() => {
      this.OR([{ ALT: () => this.CONSUME(Colon) }, { ALT: () => this.CONSUME(As) }]);
      slot = this.SUBRULE(this.slot);
    });
    return { name, slot, ...spanOf(name, (slot as SlotSpec | null) ?? name) };
  });

  readonly defaultLiteral = this.RULE('defaultLiteral', (): Node => {
    return this.pick<Node>([
      {
        ALT: () => {
          const minus = this.CONSUME(Minus);
          const of = this.SUBRULE(this.number);
          return { kind: 'unary', symbol: '-', of, ...spanOf(tokenSpan(minus), of) };
        },
      },
      { ALT: () => this.SUBRULE1(this.number) },
      { ALT: () => this.SUBRULE(this.word) },
    ]);
  });

  readonly number = this.RULE('number', (): Node => {
    return this.pick<Node>([
      {
        ALT: () => {
          const token = this.CONSUME(Whole);
          return { kind: 'literal', value: this.ACTION(() => BigInt(token.image)), ...tokenSpan(token) };
        },
      },
      {
        ALT: () => {
          const token = this.CONSUME(Real);
          return { kind: 'literal', value: Number(token.image), ...tokenSpan(token) };
        },
      },
    ]);
  });

  /** A text, or a word that is a value. */
  readonly word = this.RULE('word', (): Node => {
    return this.pick<Node>([
      {
        ALT: () => {
          const token = this.CONSUME(Text);
          return { kind: 'literal', value: unquote(token.image), ...tokenSpan(token) };
        },
      },
      { ALT: () => ({ kind: 'literal', value: true, ...tokenSpan(this.CONSUME(True)) }) },
      { ALT: () => ({ kind: 'literal', value: false, ...tokenSpan(this.CONSUME(False)) }) },
      { ALT: () => ({ kind: 'literal', value: null, ...tokenSpan(this.CONSUME(Null)) }) },
    ]);
  });

  readonly expression = this.RULE('expression', (): Node => {
    let left = this.SUBRULE(this.conjunction);
    this.MANY(() => {
      const operator = tokenSpan(this.CONSUME(Or));
      left = binary('or', operator, left, this.SUBRULE1(this.conjunction));
    });
    return left;
  });

  readonly conjunction = this.RULE('conjunction', (): Node => {
    let left = this.SUBRULE(this.negation);
    this.MANY(() => {
      const operator = tokenSpan(this.CONSUME(And));
      left = binary('and', operator, left, this.SUBRULE1(this.negation));
    });
    return left;
  });

  readonly negation = this.RULE('negation', (): Node => {
    const nots: IToken[] = [];
    this.MANY(() => nots.push(this.CONSUME(Not)));
    const of = this.SUBRULE(this.comparison);
    return prefixed(nots, 'not', of);
  });

  readonly comparison = this.RULE('comparison', (): Node => {
    let left = this.SUBRULE(this.sum);
    this.MANY(() => {
      left = this.pick<Node>([
        ...COMPARISONS.map((token, i) => ({
          ALT: () => {
            const operator = this.consume(i, token);
            const right = this.subrule(i + 1, this.sum);
            const symbol = operator.image === '==' ? '=' : operator.image;
            return binary(symbol as BinarySymbol, tokenSpan(operator), left, right);
          },
        })),
        {
          ALT: () => {
            const operator = tokenSpan(this.CONSUME(In));
            const list = this.SUBRULE(this.listed);
            return { kind: 'in', of: left, list, operator, negated: false, ...spanOf(left, list) };
          },
        },
        {
          ALT: () => {
            const not = tokenSpan(this.CONSUME(Not));
            const operator = spanOf(not, tokenSpan(this.CONSUME1(In)));
            const list = this.SUBRULE1(this.listed);
            return { kind: 'in', of: left, list, operator, negated: true, ...spanOf(left, list) };
          },
        },
        {
          ALT: () => {
            this.CONSUME(Is);
            const isNegated = this.OPTION(() => this.CONSUME1(Not)) !== undefined;
            const end = tokenSpan(this.CONSUME(Null));
            return { kind: 'isNull', of: left, negated: isNegated, ...spanOf(left, end) };
          },
        },
      ]);
    });
    return left;
  });

  /** `[a, b]`, `(a, b)`, or a list that has a name. */
  readonly listed = this.RULE('listed', (): Node => {
    return this.pick<Node>([
      {
        // What is in brackets here is a list, of one too.
        IGNORE_AMBIGUITIES: true,
        ALT: () => {
          const open = this.CONSUME(OpenRound);
          const items: Node[] = [];
          this.AT_LEAST_ONE_SEP({ SEP: Comma, DEF: () => items.push(this.SUBRULE(this.expression)) });
          const close = this.CONSUME(CloseRound);
          return { kind: 'list', items, ...spanOf(tokenSpan(open), tokenSpan(close)) };
        },
      },
      { ALT: () => this.SUBRULE(this.sum) },
    ]);
  });

  readonly sum = this.RULE('sum', (): Node => {
    let left = this.SUBRULE(this.product);
    this.MANY(() => {
      const operator = this.OR([{ ALT: () => this.CONSUME(Plus) }, { ALT: () => this.CONSUME(Minus) }]);
      left = binary(operator.image as BinarySymbol, tokenSpan(operator), left, this.SUBRULE1(this.product));
    });
    return left;
  });

  readonly product = this.RULE('product', (): Node => {
    let left = this.SUBRULE(this.negative);
    this.MANY(() => {
      const operator = this.OR([
        { ALT: () => this.CONSUME(Star) },
        { ALT: () => this.CONSUME(Slash) },
        { ALT: () => this.CONSUME(Percent) },
      ]);
      left = binary(operator.image as BinarySymbol, tokenSpan(operator), left, this.SUBRULE1(this.negative));
    });
    return left;
  });

  readonly negative = this.RULE('negative', (): Node => {
    const signs: IToken[] = [];
    this.MANY(() => signs.push(this.CONSUME(Minus)));
    const of = this.SUBRULE(this.member);
    return prefixed(signs, '-', of);
  });

  /** A value, and what is taken of it: fields, elements, methods. */
  readonly member = this.RULE('member', (): Node => {
    let node = this.SUBRULE(this.primary);
    this.MANY(() => {
      node = this.pick<Node>([
        {
          ALT: () => {
            this.CONSUME(Dot);
            const name = nameOf(this.CONSUME(Word));
            const of = node;
            const method = this.OPTION(() => this.SUBRULE(this.brackets));
            if (method) return called(name, null, [of, ...(method.args ?? [])], method, of.start);
            return { kind: 'field', of, name, ...spanOf(of, name) };
          },
        },
        {
          ALT: () => {
            const of = node;
            this.CONSUME(OpenSquare);
            const by = this.SUBRULE(this.expression);
            const close = this.CONSUME(CloseSquare);
            return { kind: 'index', of, by, ...spanOf(of, tokenSpan(close)) };
          },
        },
      ]);
    });
    return node;
  });

  readonly primary = this.RULE('primary', (): Node => {
    return this.pick<Node>([
      { GATE: () => this.isCall(), ALT: () => this.SUBRULE(this.call) },
      {
        ALT: () => {
          const { name, ...span } = nameOf(this.CONSUME(Name));
          return { kind: 'name', name, ...span };
        },
      },
      { ALT: () => this.SUBRULE(this.quantity) },
      { ALT: () => this.SUBRULE(this.word) },
      { ALT: () => ({ kind: 'path', ...tokenSpan(this.CONSUME(PathToken)) }) },
      {
        ALT: () => {
          const open = this.CONSUME(OpenSquare);
          const items: Node[] = [];
          this.MANY_SEP({ SEP: Comma, DEF: () => items.push(this.SUBRULE(this.expression)) });
          const close = this.CONSUME(CloseSquare);
          return { kind: 'list', items, ...spanOf(tokenSpan(open), tokenSpan(close)) };
        },
      },
      {
        ALT: () => {
          const open = this.CONSUME(OpenRound);
          const inner = this.SUBRULE1(this.expression);
          const close = this.CONSUME(CloseRound);
          return { ...inner, ...spanOf(tokenSpan(open), tokenSpan(close)) };
        },
      },
    ]);
  });

  /** A number, or with a unit behind it a duration. */
  readonly quantity = this.RULE('quantity', (): Node => {
    const number = this.SUBRULE(this.number);
    const unit = this.OPTION({ GATE: () => this.isUnit(1), DEF: () => this.CONSUME(Name) });
    if (!unit) return number;
    return this.ACTION(() => {
      const image = this.LA(-1).image;
      return { kind: 'duration', nanos: nanosOf(image, unitNanos(unit.image)!), ...spanOf(number, tokenSpan(unit)) };
    });
  });

  readonly call = this.RULE('call', (): Node => {
    const fn = nameOf(this.CONSUME(Name));
    const events = this.OPTION(() => {
      const names: NameSpan[] = [];
      this.CONSUME(Less);
      this.AT_LEAST_ONE_SEP({ SEP: Comma, DEF: () => names.push(nameOf(this.CONSUME1(Name))) });
      this.CONSUME(Greater);
      return names;
    });
    const inner = this.SUBRULE(this.brackets);
    return called(fn, events ?? null, inner.args, inner, fn.start);
  });

  readonly brackets = this.RULE('brackets', (): Brackets => {
    let args: Node[] = [];
    let clauses: Clauses = NO_CLAUSES;
    let cases: Brackets['cases'] = null;
    this.CONSUME(OpenRound);
    this.OR([
      {
        ALT: () => {
          cases = this.SUBRULE(this.cases);
        },
      },
      {
        ALT: () => {
          args = this.SUBRULE(this.values);
          clauses = this.SUBRULE(this.clauses);
        },
      },
    ]);
    const close = this.CONSUME(CloseRound);
    return { args, clauses, cases, end: close.startOffset + 1 };
  });

  readonly values = this.RULE('values', (): Node[] => {
    const args: Node[] = [];
    this.MANY_SEP({ SEP: Comma, DEF: () => args.push(this.SUBRULE(this.expression)) });
    return args;
  });

  readonly cases = this.RULE('cases', (): NonNullable<Brackets['cases']> => {
    const whens: { when: Node; value: Node }[] = [];
    this.AT_LEAST_ONE(() => {
      this.CONSUME(When);
      const when = this.SUBRULE(this.expression);
      this.CONSUME(Then);
      whens.push({ when, value: this.SUBRULE1(this.expression) });
      this.OPTION(() => this.CONSUME(Comma));
    });
    const otherwise = this.OPTION1(() => {
      this.CONSUME(Default);
      return this.SUBRULE2(this.expression);
    });
    return { whens, otherwise: otherwise ?? null };
  });

  /** In their order, each at most once. */
  readonly clauses = this.RULE('clauses', (): Clauses => {
    const clauses: Clauses = { ...NO_CLAUSES };
    this.OPTION(() => {
      this.CONSUME(By);
      const keys: KeySpec[] = [];
      this.AT_LEAST_ONE_SEP({ SEP: Comma, DEF: () => keys.push(this.SUBRULE(this.key)) });
      clauses.by = keys;
    });
    this.OPTION1(() => {
      const word = tokenSpan(this.CONSUME(Where));
      const value = this.SUBRULE(this.expression);
      clauses.where = { value, ...spanOf(word, value) };
    });
    this.OPTION2(() => {
      const word = tokenSpan(this.CONSUME(After));
      const value = this.SUBRULE1(this.expression);
      clauses.after = { value, ...spanOf(word, value) };
    });
    this.OPTION3(() => {
      const word = tokenSpan(this.CONSUME(Last));
      const length = this.SUBRULE(this.span);
      clauses.last = { value: length, ...spanOf(word, length) };
    });
    this.OPTION4(() => {
      const word = tokenSpan(this.CONSUME(Limit));
      const token = this.CONSUME(Whole);
      clauses.limit = { value: this.ACTION(() => BigInt(token.image)), ...spanOf(word, tokenSpan(token)) };
    });
    this.OPTION5(() => {
      clauses.exclusive = { value: true, ...tokenSpan(this.CONSUME(Exclusive)) };
    });
    return clauses;
  });

  readonly key = this.RULE('key', (): KeySpec => {
    const of = this.SUBRULE(this.expression);
    const as = this.OPTION(() => {
      this.CONSUME(As);
      return nameOf(this.CONSUME(Name));
    });
    return { of, as: as ?? null, ...spanOf(of, as ?? of) };
  });

  /** `hour`, `2.5 hours`, in nanoseconds. */
  readonly span = this.RULE('span', (): Length & Span => {
    let image = '1';
    let first: Span | null = null;
    this.OPTION(() => {
      const token = this.OR([{ ALT: () => this.CONSUME(Whole) }, { ALT: () => this.CONSUME(Real) }]);
      [image, first] = [token.image, tokenSpan(token)];
    });
    const unit = this.CONSUME(Name);
    const nanos = this.ACTION(() => {
      const each = unitNanos(unit.image);
      return each && nanosOf(image, each);
    });
    return { nanos, unit: nameOf(unit), ...spanOf(first ?? tokenSpan(unit), tokenSpan(unit)) };
  });

  /** One of several, whatever it is: the library would have it be one of their types. */
  pick<T>(alternatives: IOrAlt<T>[]): T {
    return this.OR(alternatives);
  }

  /** `Fn(`, or `Fn<event, ...>(`. */
  isCall(): boolean {
    return this.LA(2).tokenType === OpenRound || isGenericCall(offset => this.LA(1 + offset));
  }

  isUnit(i: number): boolean {
    return unitNanos(this.LA(i).image) !== null;
  }
}

const PARSER = new ScowlParser();

/** What stands in the brackets of a call. */
interface Brackets {
  args: Node[];
  clauses: Clauses;
  cases: { whens: { when: Node; value: Node }[]; otherwise: Node | null } | null;
  end: number;
}

function called(fn: NameSpan, events: NameSpan[] | null, args: Node[], inner: Brackets, start: number): Node {
  const span = { start, end: inner.end };
  if (inner.cases) return { kind: 'case', fn, isBare: args.length === 0 && !events, ...inner.cases, ...span };
  return { kind: 'call', fn, events, args, clauses: inner.clauses, ...span };
}

function binary(symbol: BinarySymbol, operator: Span, left: Node, right: Node): Node {
  return { kind: 'binary', symbol, operator, left, right, ...spanOf(left, right) };
}

function prefixed(tokens: IToken[], symbol: '-' | 'not', of: Node): Node {
  return tokens.reduceRight((inner, token) => {
    return { kind: 'unary', symbol, of: inner, start: token.startOffset, end: inner.end };
  }, of);
}
