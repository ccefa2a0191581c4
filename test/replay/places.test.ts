/** Ids of events as the fast way finds them are those that parsing the event finds. */
import { expect, test } from 'bun:test';
import { addId, idOf, PackedRows } from '../../src/replay/places.ts';
import { Random } from '../sim/random.ts';

const ENCODER = new TextEncoder();

/** Members in any order, ids of any kind, with spaces and escapes, in either form of events. */
function randomLine(rng: Random): string {
  const blank = () => (rng.chance(0.1) ? ' ' : '');
  const text = () => rng.pick(['"a"', '""', '"né"', '"q\\"x"', '"\\u00e9"', '"id"', '"type"', '"x,y:{}"']);
  const value = () =>
    rng.pick([text, text, text, () => '17', () => 'null', () => '1.50', () => '{"id":"inner"}', () => '[]'])();
  const names = ['id', '_id', 'type', '_type', 'time', 'data', 'identity', 'i\\u0064'];
  const chosen = names.filter(() => rng.chance(0.5)).toSorted(() => rng.below(3) - 1);
  // No member comes twice.
  const some = chosen.includes('id') ? chosen.filter(name => name !== 'i\\u0064') : chosen;
  const members = some.map(name => `${blank()}"${name}"${blank()}:${blank()}${value()}${blank()}`);
  return `{${members.join(',')}}`;
}

test('an id is the one that parsing finds', () => {
  const rng = new Random(11);
  let found = 0;
  for (let i = 0; i < 4000; i++) {
    const line = ENCODER.encode(randomLine(rng));
    const bytes = new Uint8Array([...ENCODER.encode('{"id":"before","type":"x"}'), ...line, 0x7d, 0x22]);
    const from = bytes.length - line.length - 2;
    const rows = new PackedRows();
    addId(bytes, from, from + line.length, rows);
    const { values, nulls } = rows.take();
    const text = 'bytes' in values ? new TextDecoder().decode(values.bytes) : null;
    const wanted = idOf(line);
    expect([new TextDecoder().decode(line), nulls[0] ? null : text]).toEqual([new TextDecoder().decode(line), wanted]);
    if (wanted !== null) found++;
  }
  expect(found).toBeGreaterThan(500);
});

test('texts are packed one behind the other, nulls among them, and again from the start once they are taken', () => {
  const rows = new PackedRows();
  for (let round = 0; round < 2; round++) {
    rows.add(ENCODER.encode('é'.repeat(20_000)));
    rows.add(null);
    rows.add(ENCODER.encode('xabx'), 1, 3);
    const { values, nulls } = rows.take();
    expect([...nulls]).toEqual([0, 1, 0]);
    expect('ends' in values && [...values.ends]).toEqual([0, 40_000, 40_000, 40_002]);
  }
});
