/** Random regular expressions, and the text of each with a matcher that goes back and tries again. */
import type { Random } from '../sim/random.ts';

type Tree =
  | { kind: 'one'; text: string; fits: (letter: string) => boolean }
  | { kind: 'edge'; text: string; fits: (text: string[], at: number) => boolean }
  | { kind: 'join' | 'either'; of: Tree[] }
  | { kind: 'group'; of: Tree; index: number }
  | Repeat;

interface Repeat {
  kind: 'repeat';
  of: Tree;
  min: number;
  max: number;
  lazy: boolean;
  sign: string;
}

export interface Pattern {
  text: string;
  groups: number;
  /** A repetition of what may be empty and repeats itself. */
  isOdd: boolean;
  /** Where the first match begins and ends in the letters of a text, then the same of each group. */
  match(letters: string[]): (number | null)[] | null;
}

const isWord = (letter: string | undefined) => letter !== undefined && /[0-9A-Za-z_]/.test(letter);
const isEdge = (text: string[], at: number) => isWord(text[at - 1]) !== isWord(text[at]);

const ONES: [string, (letter: string) => boolean][] = [
  ...['a', 'b', 'é', '😀', ' '].map((one): [string, (letter: string) => boolean] => [one, letter => letter === one]),
  ['.', letter => letter !== '\n'],
  ['[ab]', letter => 'ab'.includes(letter)],
  ['[^a]', letter => letter !== 'a'],
  ['[^b-é]', letter => letter < 'b' || letter > 'é'],
  ['[à-😀_]', letter => letter === '_' || letter.codePointAt(0)! >= 0xe0],
  ['\\d', letter => /[0-9]/.test(letter)],
  ['\\w', isWord],
  ['\\W', letter => !isWord(letter)],
  ['\\s', letter => /[ \t\n\f\r]/.test(letter)],
  ['[\\d\\s]', letter => /[0-9 \t\n\f\r]/.test(letter)],
  ['[[:alpha:]_]', letter => /[A-Za-z_]/.test(letter)],
  ['(?i:a)', letter => /a/i.test(letter)],
  ['(?i:[k-é])', letter => (letter >= 'k' && letter <= 'é') || /[k-é]/iu.test(letter)],
  ['(?s:.)', () => true],
  ['\\x{e9}', letter => letter === 'é'],
  ['\\.', letter => letter === '.'],
];

const EDGES: [string, (text: string[], at: number) => boolean][] = [
  ['^', (_, at) => at === 0],
  ['$', (text, at) => at === text.length],
  ['\\b', isEdge],
  ['\\B', (text, at) => !isEdge(text, at)],
  ['(?m:^)', (text, at) => at === 0 || text[at - 1] === '\n'],
  ['(?m:$)', (text, at) => at === text.length || text[at] === '\n'],
];

const SIGNS: [string, number, number][] = [
  ['*', 0, Infinity],
  ['+', 1, Infinity],
  ['?', 0, 1],
  ['{2}', 2, 2],
  ['{1,3}', 1, 3],
  ['{2,}', 2, Infinity],
  ['{0,2}', 0, 2],
];

/** Letters that the texts to match are made of. */
export const PATTERN_LETTERS = [...'aaabbbAKkſ é😀\n1._\t\u212a'];

/** @param isByBytes without `\\B`, which RE2 also finds between the bytes of a code point */
export function randomPattern(rng: Random, isByBytes = false): Pattern {
  let groups = 0;
  const grow = (depth: number): Tree => {
    const kind = depth === 0 ? 0 : rng.below(10);
    if (kind < 4) {
      if (rng.chance(0.12)) {
        const [text, fits] = rng.pick(isByBytes ? EDGES.filter(([text]) => text !== '\\B') : EDGES);
        return { kind: 'edge', text, fits };
      }
      const [text, fits] = rng.pick(ONES);
      return { kind: 'one', text, fits };
    }
    const few = () => Array.from({ length: rng.below(4) }, () => grow(depth - 1));
    if (kind < 6) return { kind: 'join', of: few() };
    if (kind < 7) return { kind: 'either', of: [...few(), grow(depth - 1)] };
    if (kind < 8 && groups < 9) {
      const index = ++groups;
      return { kind: 'group', of: grow(depth - 1), index };
    }
    const [sign, min, max] = rng.pick(SIGNS);
    return { kind: 'repeat', of: grow(depth - 1), min, max, lazy: rng.chance(0.3), sign };
  };
  const tree = grow(4);
  return { text: spell(tree), groups, isOdd: isOdd(tree), match: letters => first(tree, letters, groups) };
}

function isOdd(tree: Tree): boolean {
  if (tree.kind === 'join' || tree.kind === 'either') return tree.of.some(isOdd);
  if (tree.kind === 'group') return isOdd(tree.of);
  return tree.kind === 'repeat' && ((isEmptyable(tree.of) && repeats(tree.of)) || isOdd(tree.of));
}

function repeats(tree: Tree): boolean {
  if (tree.kind === 'join' || tree.kind === 'either') return tree.of.some(repeats);
  return tree.kind === 'repeat' || (tree.kind === 'group' && repeats(tree.of));
}

function isEmptyable(tree: Tree): boolean {
  switch (tree.kind) {
    case 'one':
      return false;
    case 'edge':
      return true;
    case 'join':
      return tree.of.every(isEmptyable);
    case 'either':
      return tree.of.some(isEmptyable);
    case 'group':
      return isEmptyable(tree.of);
    case 'repeat':
      return tree.min === 0 || isEmptyable(tree.of);
  }
}

function spell(tree: Tree): string {
  switch (tree.kind) {
    case 'one':
    case 'edge':
      return tree.text;
    case 'join':
      return `(?:${tree.of.map(spell).join('')})`;
    case 'either':
      return `(?:${tree.of.map(spell).join('|')})`;
    case 'group':
      return `(${spell(tree.of)})`;
    case 'repeat':
      return `${tree.of.kind === 'repeat' || tree.of.kind === 'edge' ? `(?:${spell(tree.of)})` : spell(tree.of)}${tree.sign}${tree.lazy ? '?' : ''}`;
  }
}

type Marks = (number | null)[];
type Then = (at: number, marks: Marks) => Marks | null;

/** More turns than this are not to be waited for. */
const TURNS_MAX = 200_000;

/** Tries all there is to try, in the order of preference. Throws where that is too much. */
function first(tree: Tree, text: string[], groups: number): Marks | null {
  let turns = 0;
  const go = (node: Tree, at: number, marks: Marks, then: Then): Marks | null => {
    if (++turns > TURNS_MAX) throw new RangeError('too many turns');
    switch (node.kind) {
      case 'one':
        return at < text.length && node.fits(text[at]!) ? then(at + 1, marks) : null;
      case 'edge':
        return node.fits(text, at) ? then(at, marks) : null;
      case 'join': {
        const from =
          (i: number): Then =>
          (now, found) =>
            i === node.of.length ? then(now, found) : go(node.of[i]!, now, found, from(i + 1));
        return from(0)(at, marks);
      }
      case 'either':
        for (const one of node.of) {
          const found = go(one, at, marks, then);
          if (found) return found;
        }
        return null;
      case 'group':
        return go(node.of, at, marks.with(2 * node.index, at), (now, found) =>
          then(now, found.with(2 * node.index + 1, now)),
        );
      case 'repeat':
        return turn(node, node.min, node.max, at, marks, then);
    }
  };
  const turn = (node: Repeat, min: number, max: number, at: number, marks: Marks, then: Then): Marks | null => {
    if (max === Infinity && min <= 1) {
      const more = () => go(node.of, at, marks, (now, found) => loop(node, now, null, found, then));
      if (min === 1) return more();
      return node.lazy ? (then(at, marks) ?? more()) : (more() ?? then(at, marks));
    }
    if (max === 0) return then(at, marks);
    const more = () =>
      go(node.of, at, marks, (now, found) => turn(node, Math.max(0, min - 1), max - 1, now, found, then));
    if (min > 0) return more();
    return node.lazy ? (then(at, marks) ?? more()) : (more() ?? then(at, marks));
  };
  /** Behind a turn without end: where the turn before ended here too, this leads nowhere. */
  const loop = (node: Repeat, at: number, last: number | null, marks: Marks, then: Then): Marks | null => {
    if (at === last) return null;
    const more = () => go(node.of, at, marks, (now, found) => loop(node, now, at, found, then));
    return node.lazy ? (then(at, marks) ?? more()) : (more() ?? then(at, marks));
  };
  for (let at = 0; at <= text.length; at++) {
    const empty: Marks = Array<null>(2 * groups + 2).fill(null);
    const found = go(tree, at, empty.with(0, at), (end, marks) => marks.with(1, end));
    if (found) return found;
  }
  return null;
}

export function randomText(rng: Random): string {
  return Array.from({ length: rng.below(rng.chance(0.1) ? 30 : 9) }, () => rng.pick(PATTERN_LETTERS)).join('');
}
