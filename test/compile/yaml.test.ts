import { describe, expect, test } from 'bun:test';
import type { Fault } from '../../src/base/fault.ts';
import { readYaml } from '../../src/compile/yaml.ts';
import { lineOf, unmark } from './marked.ts';

/** Where each word of the text at `sql:` is found, as it stands in the file. */
function placesOf(text: string): string[] {
  const faults: Fault[] = [];
  const [document] = readYaml('a.yaml', text, 'definition', faults);
  expect(faults.map(lineOf)).toEqual([]);
  const located = document!.textAt(['sql'])!;
  const lines = text.split('\n');
  return [...located.text.matchAll(/\S+/g)].map(({ 0: word, index }) => {
    const { line, column, length } = located.at(index, index + word.length);
    return `${line}:${lines[line - 1]!.slice(column - 1, column - 1 + length)}`;
  });
}

const STYLES: [name: string, text: string, places: string[]][] = [
  ['literal', 'sql: |\n  a b\n\n    c  d\n  e\n', ['2:a', '2:b', '4:c', '4:d', '5:e']],
  ['literal with a header', 'x: 1\nsql: |2- # why\n    a\n\n  b', ['3:a', '5:b']],
  ['literal with CRLF', 'sql: |\r\n  a b\r\n   c\r\n', ['2:a', '2:b', '3:c']],
  ['literal, tabs and astral characters', 'sql: |\n  a\t😀é b\n', ['2:a', '2:😀é', '2:b']],
  ['folded', 'sql: >\n  a b\n  c\n\n\n  d\n   e\n', ['2:a', '2:b', '3:c', '6:d', '7:e']],
  ['plain', 'sql: a  b\n  c\n\n  d # no\n', ['1:a', '1:b', '2:c', '4:d']],
  ['single quotes', "sql: 'a ''b'' c\n\n  d'\n", ['1:a', "1:''b''", '1:c', '3:d']],
  [
    'double quotes',
    'sql: "a \\"b\\" \\x41\\u00e9 \\U0001F600 c\\\n   d\\ne\n  f"\n',
    ['1:a', '1:\\"b\\"', '1:\\x41\\u00e9', '1:\\U0001F600', '1:c\\', '2:e', '3:f'],
  ],
];

describe('a text knows its places in the file', () => {
  for (const [name, text, places] of STYLES) test(name, () => expect(placesOf(text)).toEqual(places));
});

const REFUSED: [marked: string, ...messages: string[]][] = [
  ['a: 1\n«a»: 2\nb: { c: 1, «c»: 2 }\n', 'the key a is here twice', 'the key c is here twice'],
  ['a: «*x»\n', 'aliases are not read: write out what *x stands for'],
  ['a: 1\n«__proto__»: { b: 1 }\n', '"__proto__" cannot be a name'],
  ['? «[a]»\n: 1\n', 'a key has to be a name'],
  ['a: «!thing» 1\n', 'not YAML: Unresolved tag: !thing'],
  ['a: "b\n«»', 'not YAML: Missing closing "quote'],
];

describe('what is not YAML', () => {
  for (const [marked, ...messages] of REFUSED)
    test(marked, () => {
      const { text, expected } = unmark('a.yaml', marked, messages);
      const faults: Fault[] = [];
      readYaml('a.yaml', text, 'definition', faults);
      expect(faults.map(lineOf)).toEqual(expected);
    });
  test('an empty file is no document', () => {
    for (const text of ['', '# nothing\n', '---\n']) expect(readYaml('a.yaml', text, 'definition', [])).toEqual([]);
  });
  test('a file has a largest size', () => {
    const faults: Fault[] = [];
    readYaml('a.yaml', ' '.repeat(1024 * 1024 + 1), 'definition', faults);
    expect(faults.map(lineOf)).toEqual(['a.yaml:1:1+1: 1048577 characters, and at most 1048576 are read']);
  });
});
