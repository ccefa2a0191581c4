import { expect, test } from 'bun:test';
import { Inference } from '../../src/cli/infer.ts';
import { topologyText } from '../../src/cli/samples.ts';

async function inferred(...records: object[]): Promise<string> {
  const inference = new Inference();
  for (const record of records) inference.add(record);
  return topologyText(inference.result());
}

const time = '2001-01-01T00:00:00Z';

test('a topology of samples: types, what may be missing, nested types with names, names that are words', async () => {
  const text = await inferred(
    {
      ...{ type: 'order', time },
      data: {
        last: 1,
        user: { name: 'a', age: 3 },
        items: [{ sku: 'a', n: 1, 'odd-name': 2 }, { sku: 'b' }],
        'odd name': true,
        tags: ['a', null],
        nested: [[1, 2], null],
        empty: [],
      },
    },
    { type: 'order', time, data: { last: 2.5, user: { name: 'a' }, items: [], at: time } },
    { type: 'page-view', time, data: { a: 2 } },
    { type: 'odd', time, data: { items: [{ 'odd-name': 2, inner: [{ 'odd-x': 1 }] }] } },
  );
  expect(text).toBe(`event order  -- 2 of the samples
last_value := $.last as float
user_name  := $.user.name as string
user_age   := $.user.age as int?  -- seen in 1 of 2
items      := $.items as [order_items]
odd_name   := $["odd name"] as bool?  -- seen in 1 of 2
tags       := $.tags as [string?]?    -- seen in 1 of 2
nested     := $.nested as [[int]?]?   -- seen in 1 of 2
at         := $.at as time?           -- seen in 1 of 2
-- empty: left out, a list that is always empty

type order_items {
  -- odd-name: left out
  sku: string,
  n: int?
}

-- "page-view" is no name that a topology has: declare it in YAML

-- odd has no inputs
-- items: left out, objects with nothing to declare
`);
});
