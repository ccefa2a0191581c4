/** The grammar for editors: it tells tokens apart as the lexer does, and knows the same words. */
import { describe, expect, test } from 'bun:test';
import { lex, RESERVED, SOFT } from '../../src/compile/scowl/lexer.ts';
import { UNITS } from '../../src/compile/scowl/parser.ts';
import { SCALARS } from '../../src/compile/scowl/slot.ts';
import { placeIn } from '../../src/compile/place.ts';
import { conformanceCases, caseText } from '../cases/conformance.ts';
import grammar from '../../editors/scowl.tmLanguage.json' with { type: 'json' };

interface Rule {
  name?: string;
  match: string;
  captures?: Record<string, { name: string }>;
}

const RULES = grammar.patterns.map(({ include }) => grammar.repository[include.slice(1) as 'name'] as Rule);
const PATTERNS = RULES.map(({ match }) => new RegExp(match, 'dmy'));

/** The spans of a text that the grammar gives a scope, as an editor does: at each place the first rule that is there. */
function scopesOf(text: string): { start: number; end: number; scope: string }[] {
  const found: { start: number; end: number; scope: string }[] = [];
  for (let at = 0; at < text.length; ) {
    const i = PATTERNS.findIndex(pattern => {
      pattern.lastIndex = at;
      return pattern.test(text);
    });
    if (i < 0) {
      at++;
      continue;
    }
    PATTERNS[i]!.lastIndex = at;
    const match = PATTERNS[i]!.exec(text)!;
    const { name, captures = {} } = RULES[i]!;
    if (name) found.push({ start: at, end: at + match[0].length, scope: name });
    for (const [group, { name: scope }] of Object.entries(captures)) {
      const place = match.indices![Number(group)];
      if (place) found.push({ start: place[0], end: place[1], scope });
    }
    at += Math.max(1, match[0].length);
  }
  return found;
}

describe('the grammar for editors', () => {
  test('words are all there', () => {
    const { clause, word, constant, number, type, declaration } = grammar.repository;
    const words = (match: string): string[] => Array.from(match.matchAll(/[a-z]{2,}/g), ([word]) => word);
    const reserved = [...words(clause.match), ...words(word.match), ...words(constant.match)];
    expect(reserved.sort()).toEqual([...RESERVED].sort());
    expect(words(number.match)).toEqual(UNITS);
    expect(words(type.match).sort()).toEqual([...SCALARS.keys(), 'map'].sort());
    expect([...words(declaration.match), 'map'].sort()).toEqual([...SOFT].sort());
  });

  test.each(conformanceCases())('%s: every token of the lexer but brackets and commas is one span', folder => {
    const text = caseText(folder, 'topology.scowl');
    const scopes = scopesOf(text);
    const { all, comments } = lex(text, placeIn('a.scowl', text), []);
    for (const { startOffset, image } of [...all, ...comments]) {
      if (/^([()[\]{},:.]|\r?\n)$/.test(image)) continue;
      const scope = scopes.find(({ start, end }) => start === startOffset && end === startOffset + image.length);
      expect([folder, startOffset, image, scope !== undefined]).toEqual([folder, startOffset, image, true]);
    }
    for (const { startOffset } of comments)
      expect(scopes.find(({ start }) => start === startOffset)?.scope).toBe('comment.line.double-dash.scowl');
  });
});
