/** A lookup's answer as a table. */
import { expect, test } from 'bun:test';
import { answerTable } from '../../src/cli/lookup.ts';

test('a table has every digit of a number, and the first few items of a list', () => {
  const features = {
    's:n': '[9007199254740993,0]',
    's:short': '[["a",null],[]]',
    's:long': '[[1,2,3,4,5,6,7],[1.0,2,3,4,-0]]',
    's:none': '[null,true]',
  };
  const columns = Object.entries(features).map(([name, values]) => `"${name}":{"values":${values}}`);
  const statuses = '"s:s":{"values":[[],null],"statuses":["NOT_FOUND","OVERFLOW"]}';
  const entities = `{"who":{"keys":["ann","bob"],"features":{${[...columns, statuses]}}}}`;
  expect(answerTable(`{"time":"2001-01-01T00:00:00Z","position":7,"entities":${entities}}`)).toBe(
    [
      'who                              ann                 bob',
      's:n                 9007199254740993                   0',
      's:short                       [a, -]                  []',
      's:long   [1, 2, 3, 4, 5, ... 2 more]  [1.0, 2, 3, 4, -0]',
      's:none                             -                true',
      's:s                     [] NOT_FOUND          - OVERFLOW',
      '',
      'at 2001-01-01T00:00:00Z, position 7',
    ].join('\n'),
  );
});
