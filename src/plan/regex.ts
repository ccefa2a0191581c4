import { FOLDS } from './folds.ts';

/**
 * Regular expressions with RE2's syntax and meaning -> a program for assembly/regex.ts.
 *
 *     text     a(b|c)*d
 *     tree     join(set a, repeat(group 1(either(set b, set c))), set d)
 *     program  1: set a -> 2    2: split 3, 7    3: save 2 -> 4    4: split 5, 6 ...
 *
 * 1. The pattern becomes a tree; what RE2 refuses is refused, and so are `\p` and `\C`.
 * 2. The tree becomes a nondeterministic automaton after Thompson, written out from its end to its beginning: a
 *    node is given the state that comes behind it. Repetitions with numbers are written out.
 * 3. The kernel holds all states that a text can be in at once, the one preferred first (Pike), so that it takes at
 *    most the length of the text times that of the program, whatever the pattern.
 */
export interface Regex {
  /** The program, as `pack` lays it out. */
  words: Uint32Array;
  /** Groups in parentheses, the whole match not counted. */
  groups: number;
  /** What the pattern is made of beyond literals, groups, alternatives and greedy repetitions: construct -> index. */
  constructs: Map<Construct, number>;
}

/** Parts of patterns that other engines read otherwise, by how they are written. */
export type Construct =
  | '.'
  | '$'
  | '^'
  | '\\d'
  | '\\s'
  | '\\w'
  | '\\b'
  | '\\A'
  | '\\z'
  | '\\Q'
  | '\\x'
  | '[[:class:]]'
  | '[ in a class'
  | '(?flags)'
  | '(?P<name>)'
  | '*?'
  | '{';

/** A pattern that is none. */
export class RegexError extends Error {
  constructor(
    message: string,
    /** UTF-16 index in the pattern. */
    readonly index: number,
  ) {
    super(message);
  }
}

/** A text takes at most this many steps for each of its code points. */
export const REGEX_STATES_MAX = 2048;
/** As in RE2: a repetition is written out so many times. */
export const REGEX_REPEAT_MAX = 1000;
/** Each is two words that every state carries along. */
export const REGEX_GROUPS_MAX = 32;
/** A pattern is read by recursion, and no longer one can nest deeper. */
export const REGEX_LENGTH_MAX = 1024;

/** Ranges of code points, both ends included: [from, to, from, to, ...], ascending and apart. */
type Ranges = number[];

type Tree =
  | { kind: 'empty' }
  | { kind: 'set'; ranges: Ranges }
  | { kind: 'assert'; what: number }
  | { kind: 'join' | 'either'; of: Tree[] }
  | { kind: 'repeat'; of: Tree; min: number; max: number; greedy: boolean }
  | { kind: 'group'; of: Tree; index: number };

/** Operations of the kernel's program, as assembly/regex.ts numbers them. */
export enum State {
  MATCH,
  SET,
  SPLIT,
  SAVE,
  ASSERT,
}

/** What an ASSERT asks of the place it is at. */
export enum Assertion {
  TEXT_START,
  TEXT_END,
  LINE_START,
  LINE_END,
  WORD_EDGE,
  NO_WORD_EDGE,
}

/**
 * A program: its head, its states, the ranges of its sets.
 *
 *   head    states, slots (two for each group and the whole), where it starts, 1 if it matches at the start of the text only,
 *           and 256 bits: can a match begin with this byte?
 *   state   operation, next, other (of SPLIT; the slot of SAVE; what of ASSERT; the first range of SET), ranges of SET,
 *           and of SET 128 bits: is this ASCII character in it?
 */
const REGEX_HEAD_WORDS = 12;
const REGEX_STATE_WORDS = 8;

const LAST_POINT = 0x10ffff;
const ANY: Ranges = [0, LAST_POINT];

/** @throws RegexError */
export function compileRegex(pattern: string, isWhole = false): Regex {
  if (pattern.length > REGEX_LENGTH_MAX)
    throw new RegexError(`${pattern.length} characters, and at most ${REGEX_LENGTH_MAX} are read`, 0);
  const parser = new Parser(pattern);
  const tree = parser.read();
  const text = (what: Assertion): Tree => ({ kind: 'assert', what });
  const whole: Tree = { kind: 'join', of: [text(Assertion.TEXT_START), tree, text(Assertion.TEXT_END)] };
  const groups = parser.groups;
  return { words: assemble(isWhole ? whole : tree, groups), groups, constructs: parser.constructs };
}

interface Flags {
  /** i: letters of either case */
  folds: boolean;
  /** s: `.` is a line's end too */
  dotAll: boolean;
  /** m: ^ and $ are at lines */
  lines: boolean;
  /** U: repetitions are lazy, and greedy with a ? */
  ungreedy: boolean;
}

class Parser {
  private at = 0;
  private flags: Flags = { folds: false, dotAll: false, lines: false, ungreedy: false };
  private readonly names = new Set<string>();
  groups = 0;
  readonly constructs = new Map<Construct, number>();

  constructor(private readonly pattern: string) {}

  read(): Tree {
    const tree = this.either();
    if (this.at < this.pattern.length) throw this.fault('a ) closes nothing');
    return tree;
  }

  private fault(message: string, at = this.at): RegexError {
    return new RegexError(message, at);
  }

  private saw(construct: Construct, at: number): void {
    if (!this.constructs.has(construct)) this.constructs.set(construct, at);
  }

  private peek(text: string): boolean {
    return this.pattern.startsWith(text, this.at);
  }

  private skip(text: string): boolean {
    if (!this.peek(text)) return false;
    this.at += text.length;
    return true;
  }

  /** One code point; a lone surrogate is read as what JSON makes of it. */
  private take(): number {
    const point = this.pattern.codePointAt(this.at)!;
    this.at += point > 0xffff ? 2 : 1;
    return point >= 0xd800 && point < 0xe000 ? 0xfffd : point;
  }

  private either(): Tree {
    const of = [this.join()];
    while (this.skip('|')) of.push(this.join());
    return of.length === 1 ? of[0]! : { kind: 'either', of };
  }

  private join(): Tree {
    const of: Tree[] = [];
    while (this.at < this.pattern.length && !this.peek('|') && !this.peek(')')) {
      const start = this.at;
      if (this.skip('\\Q')) {
        this.saw('\\Q', start);
        of.push(...this.quoted());
        const last = of.pop();
        if (last) of.push(this.repeated(last));
      } else {
        const atom = this.atom();
        if (atom) of.push(this.repeated(atom));
      }
    }
    return of.length === 1 ? of[0]! : { kind: 'join', of };
  }

  /** \Q...\E, or to the end; a repetition behind it is that of its last character. */
  private quoted(): Tree[] {
    const of: Tree[] = [];
    while (this.at < this.pattern.length && !this.skip('\\E')) of.push(this.literal(this.take()));
    return of;
  }

  private literal(point: number): Tree {
    return { kind: 'set', ranges: this.flags.folds ? folded([point, point]) : [point, point] };
  }

  /** Null for flags that stand alone. */
  private atom(): Tree | null {
    const start = this.at;
    const assertion = (what: Assertion): Tree => ({ kind: 'assert', what });
    switch (this.pattern[start]) {
      case '(':
        return this.group();
      case '[':
        return this.charClass();
      case '.':
        this.at++;
        this.saw('.', start);
        return { kind: 'set', ranges: this.flags.dotAll ? ANY : inverted([10, 10]) };
      case '^':
        this.at++;
        this.saw('^', start);
        return assertion(this.flags.lines ? Assertion.LINE_START : Assertion.TEXT_START);
      case '$':
        this.at++;
        this.saw('$', start);
        return assertion(this.flags.lines ? Assertion.LINE_END : Assertion.TEXT_END);
      case '*':
      case '+':
      case '?':
        throw this.fault(`${this.pattern[start]} has nothing before it to repeat`);
      case '\\':
        return this.escape();
      default:
        if (this.peek('{') || this.peek('}') || this.peek(']')) this.saw('{', start);
        return this.literal(this.take());
    }
  }

  private repeated(of: Tree): Tree {
    const start = this.at;
    const range = this.repetition();
    if (!range) return of;
    const lazy = this.skip('?');
    if (lazy) this.saw('*?', start);
    const behind = this.at;
    if (this.repetition()) throw this.fault('a repetition cannot be repeated; put it into (?: )', behind);
    this.at = behind;
    return { kind: 'repeat', of, ...range, greedy: lazy === this.flags.ungreedy };
  }

  /** * + ? {n} {n,} {n,m}; braces of any other kind are literals. */
  private repetition(): { min: number; max: number } | null {
    const start = this.at;
    if (this.skip('*')) return { min: 0, max: Infinity };
    if (this.skip('+')) return { min: 1, max: Infinity };
    if (this.skip('?')) return { min: 0, max: 1 };
    const [whole, least, comma, most] = /^\{(\d+)(,?)(\d*)\}/.exec(this.pattern.slice(start)) ?? [];
    if (whole === undefined || (!comma && most)) return null;
    this.at += whole.length;
    const min = Number(least);
    const max = !comma ? min : most ? Number(most) : Infinity;
    const isIn = min <= REGEX_REPEAT_MAX && (max <= REGEX_REPEAT_MAX || max === Infinity);
    if (!isIn) throw this.fault(`${whole}: at most ${REGEX_REPEAT_MAX} repetitions are written out`, start);
    if (min > max) throw this.fault(`${whole}: the greater number stands first`, start);
    return { min, max };
  }

  private group(): Tree | null {
    const start = this.at++;
    const outer = { ...this.flags };
    let index: number | null = null;
    if (this.skip('?')) {
      const named = this.peek('P<');
      if (named || this.peek('<')) index = this.name(start, named);
      else if (this.inlineFlags(start)) return null;
    } else index = this.open(start);
    const of = this.either();
    if (!this.skip(')')) throw this.fault('a ( is never closed', start);
    this.flags = outer;
    return index === null ? of : { kind: 'group', of, index };
  }

  private open(start: number): number {
    if (++this.groups > REGEX_GROUPS_MAX)
      throw this.fault(`more than ${REGEX_GROUPS_MAX} groups; (?: ) is one that is not kept`, start);
    return this.groups;
  }

  private name(start: number, isPython: boolean): number {
    if (this.peek('<=') || this.peek('<!'))
      throw this.fault('look-behind is not supported: no linear time is known for it', start);
    if (!isPython) throw this.fault('a name is written (?P<name> )', start);
    const [whole, name] = /^P<(\w+)>/.exec(this.pattern.slice(this.at)) ?? [];
    if (whole === undefined) throw this.fault('a name of a group is letters, digits and _', start);
    if (this.names.has(name!)) throw this.fault(`two groups are called ${name}`, start);
    this.names.add(name!);
    this.at += whole.length;
    this.saw('(?P<name>)', start);
    return this.open(start);
  }

  /** (?i) (?s-m:...): true where there is no group behind them. */
  private inlineFlags(start: number): boolean {
    if (/^[=!]/.test(this.pattern.slice(this.at)))
      throw this.fault('look-ahead is not supported: no linear time is known for it', start);
    const [whole, on, minus, off = '', end] = /^([imsU]*)(-([imsU]+))?([:)])/.exec(this.pattern.slice(this.at)) ?? [];
    if (whole === undefined) throw this.fault('(? wants : or the flags i, m, s or U', start);
    this.at += whole.length;
    if (on !== '' || minus) this.saw('(?flags)', start);
    for (const [flags, value] of [
      [on!, true],
      [off, false],
    ] as const)
      for (const flag of flags) this.flags[FLAGS[flag as 'i']] = value;
    return end === ')';
  }

  private escape(): Tree {
    const start = this.at;
    const letter = this.pattern[start + 1];
    const edges: Record<string, [Assertion, Construct]> = {
      A: [Assertion.TEXT_START, '\\A'],
      z: [Assertion.TEXT_END, '\\z'],
      b: [Assertion.WORD_EDGE, '\\b'],
      B: [Assertion.NO_WORD_EDGE, '\\b'],
    };
    const edge = letter === undefined ? undefined : edges[letter];
    if (edge) {
      this.at += 2;
      this.saw(edge[1], start);
      return { kind: 'assert', what: edge[0] };
    }
    const ranges = this.perlClass();
    return ranges ? { kind: 'set', ranges } : this.literal(this.escaped());
  }

  /** \d \D \s \S \w \W */
  private perlClass(): Ranges | null {
    const letter = this.pattern[this.at] === '\\' ? (this.pattern[this.at + 1] ?? '') : '';
    const ranges = PERL_CLASSES[letter.toLowerCase()];
    if (letter === '' || !ranges) return null;
    this.saw(`\\${letter.toLowerCase()}` as '\\d', this.at);
    this.at += 2;
    return this.classOf(ranges, letter !== letter.toLowerCase());
  }

  /** The code point that an escape stands for. */
  private escaped(): number {
    const start = this.at++;
    const [code, digits] = /^(?:x([0-9A-Fa-f]{2})|x\{[0-9A-Fa-f]+\})/.exec(this.pattern.slice(this.at)) ?? [];
    if (code !== undefined) {
      this.at += code.length;
      this.saw('\\x', start);
      const point = Number.parseInt(digits ?? code.slice(2, -1), 16);
      if (point <= LAST_POINT) return point;
      throw this.fault(`\\${code} is no code point`, start);
    }
    const [octal] = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(this.pattern.slice(this.at)) ?? [];
    if (octal !== undefined) {
      this.at += octal.length;
      this.saw('\\x', start);
      return Number.parseInt(octal, 8);
    }
    const letter = this.pattern[this.at] ?? '';
    const control = CONTROLS[letter];
    if (control !== undefined) {
      this.at++;
      if (letter === 'a' || letter === 'v') this.saw('\\x', start);
      return control;
    }
    // Any ASCII character that is neither letter nor digit stands for itself.
    if (letter !== '' && letter <= '\x7f' && !/[0-9A-Za-z]/.test(letter)) return this.take();
    throw this.fault(
      ESCAPE_HINTS[letter] ?? (/\d/.test(letter) ? ESCAPE_HINTS.digit! : `\\${letter} means nothing`),
      start,
    );
  }

  private charClass(): Tree {
    const start = this.at++;
    const isNegated = this.skip('^');
    let ranges: Ranges = [];
    // A ] that comes first is one of its characters.
    for (let isFirst = true; isFirst || !this.peek(']'); isFirst = false) {
      if (this.at >= this.pattern.length) throw this.fault('a [ is never closed', start);
      const known = this.namedClass() ?? this.perlClass();
      ranges = ranges.concat(known ?? this.classRange());
    }
    this.at++;
    const merged = normalised(ranges);
    return { kind: 'set', ranges: isNegated ? inverted(merged) : merged };
  }

  /** [:alpha:], [:^alpha:] */
  private namedClass(): Ranges | null {
    if (!this.peek('[:')) return null;
    const [whole, not, name] = /^\[:(\^?)(\w+):\]/.exec(this.pattern.slice(this.at)) ?? [];
    if (whole === undefined) return null;
    const ranges = NAMED_CLASSES[name!];
    if (!ranges) throw this.fault(`[:${name}:] is no class; there are ${Object.keys(NAMED_CLASSES).join(', ')}`);
    this.saw('[[:class:]]', this.at);
    this.at += whole.length;
    return this.classOf(ranges, not !== '');
  }

  /** What is not in a class is not in it in either case. */
  private classOf(ranges: Ranges, isNegated: boolean): Ranges {
    const all = this.flags.folds ? folded(ranges) : ranges;
    return isNegated ? inverted(all) : all;
  }

  private classRange(): Ranges {
    const start = this.at;
    const from = this.classPoint();
    let to = from;
    if (this.peek('-') && !this.peek('-]') && this.at + 1 < this.pattern.length) {
      this.at++;
      to = this.classPoint();
      if (to < from) throw this.fault(`${this.pattern.slice(start, this.at)}: the greater end stands first`, start);
    }
    return this.flags.folds ? folded([from, to]) : [from, to];
  }

  private classPoint(): number {
    if (this.at >= this.pattern.length) throw this.fault('a [ is never closed');
    if (this.peek('\\')) return this.escaped();
    // Some engines nest and cut classes by these.
    if (this.peek('[') || this.peek('&&') || this.peek('--') || this.peek('~~')) this.saw('[ in a class', this.at);
    return this.take();
  }
}

const FLAGS = { i: 'folds', m: 'lines', s: 'dotAll', U: 'ungreedy' } as const;

const CONTROLS: Record<string, number> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

const ESCAPE_HINTS: Record<string, string> = {
  '': 'a \\ at the end escapes nothing',
  digit: 'references to groups are not supported: no linear time is known for them',
  k: 'references to groups are not supported: no linear time is known for them',
  p: '\\p is not supported: write letters as ranges, like [a-zà-ÿ]',
  P: '\\P is not supported: write letters as ranges, like [^a-zà-ÿ]',
  C: '\\C is not supported: texts are code points',
  Z: '\\Z is not supported: \\z is the end of the text',
  E: '\\E has no \\Q before it',
  x: '\\x wants two hexadecimal digits, or some in braces',
};

const PERL_CLASSES: Record<string, Ranges> = {
  d: [48, 57],
  s: [9, 10, 12, 13, 32, 32],
  w: [48, 57, 65, 90, 95, 95, 97, 122],
};

const NAMED_CLASSES: Record<string, Ranges> = {
  alnum: [48, 57, 65, 90, 97, 122],
  alpha: [65, 90, 97, 122],
  ascii: [0, 127],
  blank: [9, 9, 32, 32],
  cntrl: [0, 31, 127, 127],
  digit: [48, 57],
  graph: [33, 126],
  lower: [97, 122],
  print: [32, 126],
  punct: [33, 47, 58, 64, 91, 96, 123, 126],
  space: [9, 13, 32, 32],
  upper: [65, 90],
  word: PERL_CLASSES.w!,
  xdigit: [48, 57, 65, 70, 97, 102],
};

/** Ascending, and merged where they touch. */
function normalised(ranges: Ranges): Ranges {
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i]!, ranges[i + 1]!]);
  const merged: Ranges = [];
  for (const [from, to] of pairs.sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last + 1) merged[merged.length - 1] = Math.max(last, to);
    else merged.push(from, to);
  }
  return merged;
}

function inverted(ranges: Ranges): Ranges {
  const others: Ranges = [];
  let next = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    if (ranges[i]! > next) others.push(next, ranges[i]! - 1);
    next = ranges[i + 1]! + 1;
  }
  return next <= LAST_POINT ? [...others, next, LAST_POINT] : others;
}

/** Each letter -> all that are one with it where case does not count. */
let orbits: Map<number, number[]> | null = null;

function orbitsOf(): Map<number, number[]> {
  if (orbits) return orbits;
  orbits = new Map();
  for (const orbit of FOLDS.split(' ')) {
    const points = [...orbit].map(letter => letter.codePointAt(0)!);
    for (const point of points) orbits.set(point, points);
  }
  return orbits;
}

/** Ranges with the letters of the other case. */
function folded(ranges: Ranges): Ranges {
  const all = [...ranges];
  for (const [point, orbit] of orbitsOf())
    if (isWithin(point, ranges)) all.push(...orbit.flatMap(other => [other, other]));
  return normalised(all);
}

function isWithin(point: number, ranges: Ranges): boolean {
  return ranges.some((from, i) => i % 2 === 0 && from <= point && point <= ranges[i + 1]!);
}

interface Draft {
  op: State;
  next: number;
  other: number;
  ranges: Ranges;
}

function assemble(tree: Tree, groups: number): Uint32Array {
  const states: Draft[] = [];
  const add = (op: State, next: number, other = 0, ranges: Ranges = []): number => {
    if (states.length >= REGEX_STATES_MAX)
      throw new RegexError(`it comes to more than ${REGEX_STATES_MAX} states when repetitions are written out`, 0);
    return states.push({ op, next, other, ranges }) - 1;
  };
  const end = add(State.SAVE, add(State.MATCH, 0), 1);
  const start = add(State.SAVE, emit(tree, end, add, states), 0);
  return pack(states, start, 2 * (groups + 1), isAnchored(tree));
}

type Add = (op: State, next: number, other?: number, ranges?: Ranges) => number;

/** Adds the states of a tree that `next` comes behind. @returns where they begin */
function emit(tree: Tree, next: number, add: Add, states: Draft[]): number {
  switch (tree.kind) {
    case 'empty':
      return next;
    case 'set':
      return add(State.SET, next, 0, tree.ranges);
    case 'assert':
      return add(State.ASSERT, next, tree.what);
    case 'join':
      return tree.of.reduceRight((behind, part) => emit(part, behind, add, states), next);
    case 'either': {
      const starts = tree.of.map(part => emit(part, next, add, states));
      return starts.reduceRight((others, one) => add(State.SPLIT, one, others));
    }
    case 'group':
      return add(State.SAVE, emit(tree.of, add(State.SAVE, next, 2 * tree.index + 1), add, states), 2 * tree.index);
    case 'repeat':
      return emitRepeat(tree, next, add, states);
  }
}

function emitRepeat(tree: Tree & { kind: 'repeat' }, next: number, add: Add, states: Draft[]): number {
  const { of, min, max, greedy } = tree;
  const split = (inner: number, outer: number) =>
    greedy ? add(State.SPLIT, inner, outer) : add(State.SPLIT, outer, inner);
  let behind = next;
  if (max === Infinity) {
    // x{n,} is x{n-1}x+; x* of what can be empty is (x+)?, so that an empty turn ends it, as in RE2.
    const loop = split(0, next);
    const body = emit(of, loop, add, states);
    states[loop]![greedy ? 'next' : 'other'] = body;
    if (min === 0) return isNullable(of) ? split(body, next) : loop;
    behind = body;
    for (let i = 1; i < min; i++) behind = emit(of, behind, add, states);
    return behind;
  }
  for (let i = min; i < max; i++) behind = split(emit(of, behind, add, states), next);
  for (let i = 0; i < min; i++) behind = emit(of, behind, add, states);
  return behind;
}

function isNullable(tree: Tree): boolean {
  switch (tree.kind) {
    case 'set':
      return false;
    case 'join':
      return tree.of.every(isNullable);
    case 'either':
      return tree.of.some(isNullable);
    case 'group':
      return isNullable(tree.of);
    case 'repeat':
      return tree.min === 0 || isNullable(tree.of);
    default:
      return true;
  }
}

/** Can it begin at the start of the text only? */
function isAnchored(tree: Tree): boolean {
  switch (tree.kind) {
    case 'assert':
      return tree.what === Assertion.TEXT_START;
    case 'join':
      return tree.of.length > 0 && isAnchored(tree.of[0]!);
    case 'either':
      return tree.of.every(isAnchored);
    case 'group':
      return isAnchored(tree.of);
    case 'repeat':
      return tree.min > 0 && isAnchored(tree.of);
    default:
      return false;
  }
}

function pack(states: Draft[], start: number, slots: number, anchored: boolean): Uint32Array {
  const rangesAt = REGEX_HEAD_WORDS + states.length * REGEX_STATE_WORDS;
  const ranges: number[] = [];
  const body = states.flatMap(({ op, next, other, ranges: own }) => {
    if (op !== State.SET) return [op, next, other, 0, 0, 0, 0, 0];
    const first = rangesAt + ranges.length;
    const wide = own.flatMap((from, i) => (i % 2 === 0 && own[i + 1]! > 0x7f ? [from, own[i + 1]!] : []));
    ranges.push(...wide);
    return [op, next, first, wide.length / 2, ...bitsOf(own, 0x7f)];
  });
  const head = [states.length, slots, start, anchored ? 1 : 0, ...firstBytes(states, start)];
  return Uint32Array.from([...head, ...body, ...ranges]);
}

/** A bit for each number up to `last` that is in the ranges. */
function bitsOf(ranges: Ranges, last: number): number[] {
  const words = Array<number>((last + 1) / 32).fill(0);
  for (let i = 0; i < ranges.length; i += 2)
    for (let point = ranges[i]!; point <= Math.min(ranges[i + 1]!, last); point++)
      words[point >> 5]! |= 1 << (point & 31);
  return words.map(word => word >>> 0);
}

/** The bytes a match can begin with: all where it can be empty. Beyond ASCII it is any that begins a code point. */
function firstBytes(states: Draft[], start: number): number[] {
  const seen = new Set<number>();
  const waiting = [start];
  let ranges: Ranges = [];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    const { op, next, other, ranges: own } = states[at]!;
    if (op === State.MATCH) return bitsOf([0, 0xff], 0xff);
    if (op === State.SET) ranges = ranges.concat(own);
    else waiting.push(next, ...(op === State.SPLIT ? [other] : []));
  }
  const bytes = normalised(ranges).flatMap((from, i, all) => {
    const to = all[i + 1]!;
    if (i % 2 === 1) return [];
    return to > 0x7f ? [Math.min(from, 0xc0), 0x7f, 0xc0, 0xff] : [from, to];
  });
  return bitsOf(bytes, 0xff);
}

// What stands for a match.

/** Parts of a replacement: a text, or the number of the group that stands there. */
export type ReplacementPart = string | number;

/** `\0` to `\9` stand for groups, and `\\` for a backslash. @throws RegexError */
export function readReplacement(text: string, groups: number): ReplacementPart[] {
  const parts: ReplacementPart[] = [];
  for (let at = 0; at < text.length; at++) {
    const isSign = text[at] === '\\';
    const sign = isSign ? (text[++at] ?? '') : text[at]!;
    if (isSign && /^\d$/.test(sign)) {
      if (Number(sign) > groups)
        throw new RegexError(`the replacement wants group ${sign}, and the pattern has ${groups}`, at);
      parts.push(Number(sign));
    } else if (isSign && sign !== '\\')
      throw new RegexError('a \\ in a replacement stands before a digit, or before another one', at);
    else if (typeof parts.at(-1) === 'string') parts[parts.length - 1] += sign;
    else parts.push(sign);
  }
  return parts;
}

/** The pattern that matches a text as it is written. */
export function quoteRegex(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$-]/g, '\\$&');
}
