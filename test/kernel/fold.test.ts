/** The fold by its changes: made, and read back, by @bufbuild/protobuf. */
import { describe, expect, test } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { sealer } from '../../src/kernel/sealing.ts';
import { keyAt, levelAt } from '../../src/store/address.ts';
import { ADDEND, PackWalk } from '../../src/store/pack.ts';
import { Random } from '../sim/random.ts';
import { oneByOne } from './back.ts';
import { bytesOf } from './columns.ts';
import { damage } from './json_text.ts';
import {
  changeBatch,
  count,
  extreme,
  mean,
  onlyRow,
  randomState,
  row,
  runRows,
  type State,
  statesOf,
  sum,
} from './rows.ts';

async function freshFold(): Promise<Fold> {
  return new Fold(await loadKernel(), () => null);
}

/** The row that states of one id leave behind, folded in this order. */
async function folded(...states: State[]): Promise<unknown> {
  const fold = await freshFold();
  for (const state of states) fold.apply(changeBatch([{}, row([1, state])]));
  return statesOf(onlyRow(fold))[0]![1];
}

function refusal(act: () => void): string {
  try {
    act();
    return 'none';
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}

test('of rows that were last used alike those leave first whose tile is over', async () => {
  const gone: number[] = [];
  const fold = new Fold(
    await loadKernel(),
    oneByOne((_entity, _key, levelMs, tileStartMs) => {
      gone.push(levelMs + tileStartMs);
      return null;
    }),
  );
  const level = 60_000n;
  const changes = Array.from({ length: 200 }, (_, i) => ({ key: `k${i}`, level, tileStart: i % 2 ? 0n : level }));
  fold.apply(changeBatch(...changes.map((change): Parameters<typeof changeBatch>[0] => [change, row([1, sum(5n)])])));
  fold.dirtyRows();
  fold.settle();
  // All that are of one rank leave together.
  fold.evict(fold.stateBytes - 1000);
  expect(fold.evicted).toBe(100);
  fold.apply(changeBatch(...changes.map((change): Parameters<typeof changeBatch>[0] => [change, row([1, sum(1n)])])));
  expect(gone).toEqual(Array.from({ length: 100 }, () => 60_000));
});

test('rows that are put away may leave, those in flight stay, and both change again', async () => {
  const away: string[] = [];
  const asked: string[] = [];
  const fold = new Fold(
    await loadKernel(),
    oneByOne((_entity, key, levelMs) => {
      asked.push(`${Buffer.from(key).toString()} ${levelMs}`);
      return null;
    }),
  );
  const change = (...keys: string[]) =>
    fold.apply(
      changeBatch(
        ...keys.flatMap(key =>
          [0n, 60_000n].map((level): Parameters<typeof changeBatch>[0] => [{ key, level }, row([1, sum(5n)])]),
        ),
      ),
    );
  const dirty = () => fold.dirtyRows().map(({ key, levelMs }) => `${Buffer.from(key).toString()} ${levelMs}`);
  change('a', 'b');
  fold.snapshot();
  // Of one that is in flight a level changes again.
  fold.apply(changeBatch([{ key: 'b', level: 60_000n }, row([1, sum(1n)])]));
  change('c');
  const rows = dirty();
  expect(rows).toEqual(['b 60000', 'c 0', 'c 60000']);
  fold.putAway((packs, rowCount) => {
    for (const { bytes } of packs) for (const row of rowsOfRun(unseal(bytes)!)) away.push(row);
    expect(rowCount).toBe(3);
  }, 1);
  expect(away).toEqual(['b 60000', 'c 0', 'c 60000']);
  expect([fold.dirtyCount, fold.dirtyBytes, dirty()]).toEqual([0, 0, []]);
  // One that has not left yet changes again, and is put away again.
  change('c');
  expect(dirty()).toEqual(['c 0', 'c 60000']);
  fold.putAway(
    packs => expect([...packs].flatMap(({ bytes }) => rowsOfRun(unseal(bytes)!))).toEqual(['c 0', 'c 60000']),
    1 << 20,
  );
  fold.evict(0);
  expect(fold.evicted).toBe(3);
  // What left is asked for, and what was in flight is there.
  change('b', 'c');
  expect(asked.sort()).toEqual(['b 60000', 'c 0', 'c 60000']);
  expect(dirty()).toEqual(['b 0', 'b 60000', 'c 0', 'c 60000']);
  fold.settle();
  expect(dirty()).toEqual(['b 0', 'b 60000', 'c 0', 'c 60000']);
});

test('of rows that are left unread only what has changed is put away, and they are gone from memory then', async () => {
  const stored = new Map<string, Uint8Array>();
  const asked: string[] = [];
  const fold = new Fold(
    await loadKernel(),
    oneByOne((_entity, key, levelMs, tileStartMs) => {
      asked.push(`${Buffer.from(key).toString()} ${levelMs}`);
      return stored.get([Buffer.from(key).toString(), levelMs, tileStartMs].join()) ?? null;
    }),
  );
  const change = (added: bigint, ...keys: string[]) => {
    const of = [0n, 60_000n].flatMap(level => keys.map(key => ({ key, level })));
    fold.apply(changeBatch(...of.map((each): Parameters<typeof changeBatch>[0] => [each, row([1, sum(added)])])));
    return asked.splice(0).sort();
  };
  /** What is put away: those that are marked have a + in front. */
  const putAway = () => {
    const seen: string[] = [];
    fold.putAway(packs => {
      for (const each of runRows([...packs].map(({ bytes }) => unseal(bytes)!))) {
        const key = Buffer.from(each.key).toString();
        const isMarked = each.value[0] === ADDEND;
        const value = isMarked ? each.value.subarray(1) : each.value;
        seen.push(`${isMarked ? '+' : ''}${key} ${each.levelMs} ${JSON.stringify(statesOf(value)[0]![1], asText)}`);
        if (!isMarked) stored.set([key, each.levelMs, each.tileStartMs].join(), each.value);
      }
    }, 1 << 20);
    return seen;
  };
  change(5n, 'a', 'b');
  expect(putAway()).toEqual(['a 0 {"sum":"5"}', 'a 60000 {"sum":"5"}', 'b 0 {"sum":"5"}', 'b 60000 {"sum":"5"}']);
  fold.evict(0);
  // Memory has all of this one from now on.
  expect(change(1n, 'b')).toEqual(['b 0', 'b 60000']);
  fold.beginGathering(true);
  expect(change(2n, 'a', 'b')).toEqual([]);
  expect(change(3n, 'a', 'b')).toEqual([]);
  expect([fold.unreadCount, fold.dirtyCount]).toEqual([2, 4]);
  expect(putAway()).toEqual(['+a 0 {"sum":"5"}', '+a 60000 {"sum":"5"}', 'b 0 {"sum":"11"}', 'b 60000 {"sum":"11"}']);
  expect([fold.unreadCount, fold.dirtyCount]).toEqual([0, 0]);
  // What it has put away is no part of what changes next.
  expect(change(7n, 'a', 'b')).toEqual([]);
  expect(putAway()).toEqual(['+a 0 {"sum":"7"}', '+a 60000 {"sum":"7"}', 'b 0 {"sum":"18"}', 'b 60000 {"sum":"18"}']);
  fold.endGathering();
  expect(change(1n, 'a', 'b')).toEqual(['a 0', 'a 60000']);
});

test('rows that were left unread count as read back: the next gathering will want as many', async () => {
  const fold = new Fold(await loadKernel(), () => null);
  const gather = (count: number) => {
    fold.beginGathering(true);
    const changes = Array.from({ length: count }, (_, i): [object, Uint8Array] => [
      { key: `k${i}` },
      row([1, sum(1n)]),
    ]);
    fold.apply(changeBatch(...changes));
    fold.putAway(packs => [...packs], 1 << 20);
    fold.endGathering();
    return fold.missesRows;
  };
  gather(1_500);
  fold.evict(0);
  // Nobody knows.
  expect([fold.missesRows, fold.hasMissedRows]).toEqual([true, false]);
  gather(1_500);
  expect(fold.hasMissedRows).toBe(true);
  expect([1_500, 1_500, 10].map(gather)).toEqual([true, true, false]);
});

const { unseal } = sealer();

const asText = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);

function rowsOfRun(part: Uint8Array): string[] {
  const walk = new PackWalk().open(part);
  const rows: string[] = [];
  while (walk.next())
    rows.push(`${Buffer.from(keyAt(walk.address, walk.length)).toString()} ${levelAt(walk.address, walk.length)}`);
  return rows;
}

test('of rows that are new since a gathering began only those are asked for whose key has lost one', async () => {
  const asked: string[] = [];
  const fold = new Fold(
    await loadKernel(),
    oneByOne((_entity, key, _levelMs, tileStartMs) => {
      asked.push(`${Buffer.from(key).toString()} ${tileStartMs}`);
      return null;
    }),
  );
  const touch = (key: string, tileStart: bigint) => {
    fold.apply(changeBatch([{ key, level: 60_000n, tileStart }, row([1, sum(5n)])]));
    return asked.splice(0);
  };
  const leave = () => {
    fold.putAway(packs => [...packs], 1 << 20);
    fold.evict(0);
  };
  fold.beginGathering(false);
  expect(touch('a', 0n)).toEqual([]);
  leave();
  fold.beginGathering(false);
  expect(touch('a', 60_000n)).toEqual([]);
  expect(touch('b', 60_000n)).toEqual([]);
  // Memory lacks it, as it does all that is not of a later tile.
  expect(touch('b', 0n)).toEqual(['b 0']);
  leave();
  expect(touch('c', 60_000n)).toEqual([]);
  expect(touch('a', 60_000n)).toEqual(['a 60000']);
  expect(touch('b', 120_000n)).toEqual([]);
  leave();
  fold.beginGathering(false);
  expect(touch('c', 60_000n)).toEqual(['c 60000']);
  expect(touch('d', 120_000n)).toEqual(['d 120000']);
  expect(touch('d', 180_000n)).toEqual([]);
});

test('whether rows are read back is told by the events that were gathered last', async () => {
  const fold = new Fold(
    await loadKernel(),
    oneByOne(() => null),
  );
  const touch = (count: number) => {
    for (let i = 0; i < count; i++) fold.apply(changeBatch([{ key: `k${i}` }, row([1, sum(5n)])]));
    fold.endGathering();
    return fold.missesRows;
  };
  const leave = () => {
    fold.dirtyRows();
    fold.settle();
    fold.evict(0);
  };
  expect(touch(2000)).toBe(false);
  leave();
  expect(fold.missesRows).toBe(true);
  expect(touch(900)).toBe(false);
  expect(touch(2000)).toBe(true);
  expect(touch(2000)).toBe(false);
  const begun = new Fold(
    await loadKernel(),
    oneByOne(() => null),
  );
  begun.resume([{ entity: 1, levelMs: 0, tileStartMs: 0 }]);
  expect(begun.missesRows).toBe(true);
});

describe('a changelog', () => {
  test('+I 3, -U 3, +U 5 is 5', async () => {
    expect(await folded(sum(3n), sum(-3n), sum(5n))).toEqual({ sum: 5n });
    expect(await folded(count(1n), count(-1n), count(1n))).toEqual({ count: 1n });
    expect(await folded(mean(3n, 1n), mean(-3n, -1n), mean(5n, 1n))).toEqual({ mean: { sum: 5n, count: 1n } });
  });

  test('a restarted job begins again with +I, a delta that adds', async () => {
    expect(await folded(sum(3n), sum(-3n), sum(5n), sum(7n))).toEqual({ sum: 12n });
  });

  test('what is all retracted is an entry of zero, not no entry', async () => {
    expect(await folded(sum(3n), sum(-3n))).toEqual({ sum: 0n });
    expect(await folded(mean(3n, 1n), mean(-3n, -1n))).toEqual({ mean: { sum: 0n, count: 0n } });
  });
});

test('sums go beyond int64 in both directions and come back', async () => {
  const [least, most] = [-(2n ** 63n), 2n ** 63n - 1n];
  expect(await folded(sum(most), sum(1n))).toEqual({ sum: 2n ** 63n });
  expect(await folded(sum(most), sum(1n), sum(-1n))).toEqual({ sum: most });
  expect(await folded(sum(least), sum(-1n))).toEqual({ sum: least - 1n });
  expect(await folded(sum(least), sum(-1n), sum(1n))).toEqual({ sum: least });
  expect(await folded(sum(2n ** 64n), sum(-(2n ** 64n) - 5n))).toEqual({ sum: -5n });
  expect(await folded(sum(2n ** 64n - 1n), sum(1n))).toEqual({ sum: 2n ** 64n });
  expect(await folded(...Array.from({ length: 40 }, () => mean(most, 1n)))).toEqual({
    mean: { sum: 40n * most, count: 40n },
  });
});

test('extremes of nothing but nulls stay empty, and any value beats them', async () => {
  expect(await folded(extreme('min', null), extreme('min', null))).toEqual({ min: null });
  expect(await folded(extreme('min', null), extreme('min', 2n ** 63n - 1n))).toEqual({ min: 2n ** 63n - 1n });
  expect(await folded(extreme('max', -(2n ** 63n)), extreme('max', null))).toEqual({ max: -(2n ** 63n) });
  expect(await folded(extreme('max', -1n), extreme('max', 0n), extreme('max', -5n))).toEqual({ max: 0n });
  expect(await folded(extreme('min', -1n), extreme('min', 0n), extreme('min', -5n))).toEqual({ min: -5n });
});

test.each([1, 2, 3])('merge is associative and commutative, byte for byte, seed %p', async seed => {
  const rng = new Random(seed);
  for (let round = 0; round < 150; round++) {
    const ids = Array.from({ length: 1 + rng.below(6) }, (_, i) => (i + 1) * (1 + rng.below(3)) + i * 200);
    const cases = new Map(ids.map(id => [id, 1 + rng.below(5)]));
    const rows = Array.from({ length: 4 }, () =>
      row(...ids.filter(() => rng.chance(0.7)).map(id => [id, randomState(cases.get(id)!, rng)] as [number, State])),
    );
    const fold = await sharedFold();
    const merged = (...parts: Uint8Array[]) => {
      fold.settle();
      fold.evict(0);
      fold.apply(changeBatch(...parts.map(part => [{}, part] as [object, Uint8Array])));
      return onlyRow(fold);
    };
    const [a, b, c, d] = rows as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    const whole = merged(a, b, c, d);
    const others = [merged(d, c, b, a), merged(merged(a, b), merged(c, d)), merged(b, merged(d, merged(a, c)))];
    for (const other of others) expect(Buffer.from(other).toString('hex')).toBe(Buffer.from(whole).toString('hex'));
    // As bigints say it, too.
    expect(statesOf(whole)).toEqual(byBigints(rows));
  }
});

let shared: Promise<Fold> | null = null;
function sharedFold(): Promise<Fold> {
  shared ??= freshFold();
  return shared;
}

type Plain = {
  count?: bigint;
  sum?: bigint;
  mean?: { sum: bigint; count: bigint };
  min?: bigint | null;
  max?: bigint | null;
};

function byBigints(rows: Uint8Array[]): [number, unknown][] {
  const merged = new Map<number, Plain>();
  for (const [id, from] of rows.flatMap(one => statesOf(one)) as [number, Plain][]) {
    const into = merged.get(id);
    merged.set(id, into ? bothPlain(into, from) : from);
  }
  return [...merged].sort(([a], [b]) => a - b);
}

function bothPlain(a: Plain, b: Plain): Plain {
  if (a.count !== undefined) return { count: a.count + b.count! };
  if (a.sum !== undefined) return { sum: a.sum + b.sum! };
  if (a.mean) return { mean: { sum: a.mean.sum + b.mean!.sum, count: a.mean.count + b.mean!.count } };
  const better = (x: bigint | null, y: bigint | null, least: boolean) =>
    x === null ? y : y === null || x < y === least ? x : y;
  return a.min !== undefined ? { min: better(a.min, b.min!, true) } : { max: better(a.max!, b.max!, false) };
}

test('rows are kept apart by entity, key, level and tile, and each is listed once', async () => {
  const fold = await freshFold();
  const addresses = [
    { entity: 1, key: 'a' },
    { entity: 2, key: 'a' },
    { entity: 1, key: '' },
    { entity: 1, key: 'a', level: 60_000n },
    { entity: 1, key: 'a', level: 60_000n, tileStart: 60_000n },
    { entity: 1, key: 'a', level: 60_000n, tileStart: -60_000n },
    { entity: 2 ** 31 - 1, key: 'k'.repeat(300), level: 2n ** 40n, tileStart: -(2n ** 45n) },
  ];
  const rng = new Random(5);
  const applied = addresses.map(() => 0n);
  for (let i = 0; i < 300; i++) {
    const at = rng.below(addresses.length);
    fold.apply(changeBatch([addresses[at]!, row([3, count(1n)])]));
    applied[at]!++;
  }
  const rows = fold
    .dirtyRows()
    .map(({ entity, key, levelMs, tileStartMs, value }) => [
      `${entity} ${new TextDecoder().decode(key)} ${levelMs} ${tileStartMs}`,
      statesOf(value),
    ]);
  const wanted = addresses.map(({ entity, key, level = 0n, tileStart = 0n }, i) => [
    `${entity} ${key} ${level} ${tileStart}`,
    [[3, { count: applied[i] }]],
  ]);
  expect(new Map(rows as [string, unknown][])).toEqual(new Map(wanted as [string, unknown][]));
  expect(rows.length).toBe(addresses.length);
});

test('rows that have left memory are read back before they change', async () => {
  const stored = new Map<string, Uint8Array>();
  const asked: string[] = [];
  const readBack = oneByOne((entity, key, levelMs, tileStartMs) => {
    asked.push(`${entity} ${new TextDecoder().decode(key)} ${levelMs} ${tileStartMs}`);
    return stored.get(new TextDecoder().decode(key)) ?? null;
  });
  const fold = new Fold(await loadKernel(), readBack);
  fold.apply(changeBatch([{ key: 'a' }, row([1, sum(5n)], [2, count(1n)])], [{ key: 'b' }, row([1, sum(7n)])]));
  for (const { key, value } of fold.dirtyRows()) stored.set(new TextDecoder().decode(key), value.slice());
  fold.settle();
  fold.evict(0);
  expect(fold.stateBytes).toBe(0);
  const delta = row([1, sum(1n)]);
  fold.apply(changeBatch([{ key: 'a' }, delta], [{ key: 'c' }, delta], [{ key: 'a' }, delta]));
  // Touched twice, it is read once.
  expect(asked).toEqual(['1 a 0 0', '1 c 0 0']);
  const states = new Map(fold.dirtyRows().map(({ key, value }) => [new TextDecoder().decode(key), statesOf(value)]));
  expect(states).toEqual(
    new Map([
      [
        'a',
        [
          [1, { sum: 7n }],
          [2, { count: 1n }],
        ],
      ],
      ['c', [[1, { sum: 1n }]]],
    ] as [string, [number, unknown][]][]),
  );
});

/** Length-delimited field. */
function field(tag: number[], body: Uint8Array | number[]): number[] {
  expect(body.length).toBeLessThan(128);
  return [...tag, body.length, ...body];
}

/** An entry of a row around the bytes of a FeatureValue. */
function entry(id: number[], value: number[]): number[] {
  return field([0x0a], [0x08, ...id, ...field([0x12], value)]);
}

describe('an aggregate that this version has never heard of', () => {
  // FeatureValue { state: field 14 (message), 15 (varint), 16 (message, a tag of two bytes), 200 }
  const unknowns = [
    [0x72, 1, 7],
    [0x78, 5],
    [0x82, 0x01, 2, 8, 1],
    [0xc2, 0x0c, 0],
  ];

  test.each(unknowns)('%p %p %p %p is carried while only one side has it', async (...bytes) => {
    const unknown = Uint8Array.from(
      entry(
        [9],
        bytes.filter(byte => byte !== undefined),
      ),
    );
    const fold = await freshFold();
    fold.apply(changeBatch([{}, unknown]));
    fold.apply(changeBatch([{}, row([4, count(2n)], [300, sum(1n)])]));
    fold.apply(changeBatch([{}, row([4, count(3n)])]));
    const wanted = new Uint8Array([...row([4, count(5n)]), ...unknown, ...row([300, sum(1n)])]);
    expect(Buffer.from(onlyRow(fold)).toString('hex')).toBe(Buffer.from(wanted).toString('hex'));
    expect(refusal(() => fold.apply(changeBatch([{}, unknown])))).toBe('unsupported');
  });
});

describe('malformed', () => {
  const good = row(
    [1, count(1n)],
    [2, sum(2n ** 70n)],
    [3, mean(5n, 2n)],
    [4, extreme('min', 4n)],
    [5, extreme('max', null)],
  );
  const value = (state: State) => [...row([1, state])].slice(6);

  const rows: [string, number[]][] = [
    ['ids descend', [...row([2, count(1n)]), ...row([1, count(1n)])]],
    ['an id twice', [...row([2, count(1n)]), ...row([2, count(1n)])]],
    ['id 0', entry([0], [8, 2])],
    ['an id above int32', entry([0x80, 0x80, 0x80, 0x80, 0x08], [8, 2])],
    ['an id below 0', entry([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], [8, 2])],
    ['an overlong id', entry([0x81, 0x00], [8, 2])],
    ['an overlong length', [0x0a, 0x86, 0x00, 8, 1, 0x12, 2, 8, 2]],
    ['a length beyond the end', [0x0a, 7, 8, 1, 0x12, 2, 8, 2]],
    ['a length of 2^32 and some', [0x0a, 0x86, 0x80, 0x80, 0x80, 0x10, 8, 1, 0x12, 2, 8, 2]],
    ['a length of 2^64 - 1', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 8, 1, 0x12, 2, 8, 2]],
    ['a value longer than its entry', [0x0a, 6, 8, 1, 0x12, 3, 8, 2]],
    ['a value shorter than its entry', [0x0a, 6, 8, 1, 0x12, 1, 8, 2]],
    ['another field in an entry', [...entry([1], [8, 2]), 0x0a, 2, 0x18, 1]],
    ['another field in a row', [0x12, 6, 8, 2, 0x12, 2, 8, 2]],
    ['an entry without a value', [0x0a, 2, 8, 1]],
    ['an entry without an id', [0x0a, 4, 0x12, 2, 8, 2]],
    ['an empty entry', [0x0a, 0]],
    ['the value before the id', [0x0a, 6, 0x12, 2, 8, 2, 8, 1]],
  ];

  test.each(rows)('row: %s', async (_, bytes) => {
    const fold = await freshFold();
    expect(refusal(() => fold.apply(changeBatch([{}, Uint8Array.from(bytes)])))).toBe('corrupt');
  });

  test('row: cut anywhere', async () => {
    for (let at = 1; at < good.length; at++) {
      const cut = good.slice(0, at);
      const isWhole = [1, 2, 3, 4].some(entries => statesOfFirst(good, entries) === at);
      const fold = await sharedFold();
      reset(fold);
      expect([at, refusal(() => fold.apply(changeBatch([{}, cut])))]).toEqual([at, isWhole ? 'none' : 'corrupt']);
    }
  });

  /** Only where both sides have an id is a state looked at. */
  const states: [string, State, number[]][] = [
    ['count: overlong', count(1n), [8, 0x82, 0x00]],
    ['count: eleven bytes', count(1n), [8, ...Array(10).fill(0x80), 1]],
    ['count: beyond 64 bits', count(1n), [8, ...Array(9).fill(0xff), 2]],
    ['count: cut', count(1n), [8]],
    ['count: with more behind it', count(1n), [8, 2, 8, 2]],
    ['count under the id of a sum', sum(1n), [8, 2]],
    ['sum under the id of a count', count(1n), value(sum(1n))],
    ['min under the id of a max', extreme('max', 1n), value(extreme('min', 1n))],
    ['an empty value', count(1n), []],
    ['sum: empty', sum(1n), [0x12, 0]],
    [
      'sum: wide where narrow would do',
      sum(1n),
      [0x12, 18, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x19, 0, 0, 0, 0, 0, 0, 0, 0],
    ],
    ['sum: wide -1', sum(1n), [0x12, 18, 0x11, ...Array(8).fill(255), 0x19, ...Array(8).fill(255)]],
    ['sum: low alone', sum(1n), [0x12, 9, 0x11, 1, 0, 0, 0, 0, 0, 0, 0]],
    ['sum: a length too long', sum(1n), [0x12, 3, 8, 2]],
    ['sum: an overlong length', sum(1n), [0x12, 0x82, 0, 8, 2]],
    ['mean: without a count', mean(1n, 1n), [0x1a, 4, 0x0a, 2, 8, 2]],
    ['mean: without a sum', mean(1n, 1n), [0x1a, 2, 0x10, 2]],
    ['mean: a sum longer than it', mean(1n, 1n), [0x1a, 6, 0x0a, 9, 8, 2, 0x10, 2]],
    ['mean: empty', mean(1n, 1n), [0x1a, 0]],
    ['mean: more behind it', mean(1n, 1n), [0x1a, 8, 0x0a, 2, 8, 2, 0x10, 2, 0x10, 2]],
    ['min: cut', extreme('min', 1n), [0x22, 1, 8]],
    ['min: another field', extreme('min', 1n), [0x22, 2, 0x20, 2]],
    ['min: overlong', extreme('min', 1n), [0x22, 3, 8, 0x82, 0]],
  ];

  test.each(states)('state: %s', async (_, known, bytes) => {
    const other = Uint8Array.from(entry([1], bytes));
    const left = await freshFold();
    left.apply(changeBatch([{}, row([1, known])]));
    expect(refusal(() => left.apply(changeBatch([{}, other])))).toBe('corrupt');
    const right = await freshFold();
    right.apply(changeBatch([{}, other]));
    expect(refusal(() => right.apply(changeBatch([{}, row([1, known])])))).toMatch(
      bytes.length === 0 ? /unsupported|corrupt/ : 'corrupt',
    );
  });

  const batches: [string, number[]][] = [
    ['not a change', [0x12, 0]],
    ['a length beyond the end', [0x0a, 3, 8, 1]],
    ['a key beyond the change', [0x0a, 4, 8, 1, 0x12, 1]],
    ['a key that reaches into the next change', [0x0a, 4, 8, 1, 0x12, 3, 0x0a, 2, 8, 1]],
    ['an unknown field', [0x0a, 2, 0x30, 1]],
    ['a field number above 15', [0x0a, 3, 0x88, 0x01, 1]],
    ['an overlong number', [0x0a, 3, 8, 0x81, 0]],
    ['a field of another wire type', [0x0a, 5, 0x0d, 0, 0, 0, 0]],
    ['a lone tag', [0x0a, 1, 8]],
    ['a cut length', [0x0a, 0x80]],
    ['nothing but 0xff', Array(40).fill(0xff)],
    ['zeros', Array(40).fill(0)],
  ];

  test.each(batches)('batch: %s', async (_, bytes) => {
    const fold = await freshFold();
    expect(refusal(() => fold.apply(Uint8Array.from(bytes)))).toBe('corrupt');
    // And the same where rows have to be read back first.
    const reading = new Fold(await loadKernel(), () => null);
    reading.resume([{ entity: 1, levelMs: 0, tileStartMs: 0 }]);
    expect(refusal(() => reading.apply(Uint8Array.from(bytes)))).toBe('corrupt');
  });

  test('a row read back that is not canonical is corrupt', async () => {
    const bad = Uint8Array.from([...row([2, count(1n)]), ...row([1, count(1n)])]);
    const fold = new Fold(await loadKernel(), (_, take) => take(0, bad, 0, bad.length));
    fold.resume([{ entity: 1, levelMs: 0, tileStartMs: 0 }]);
    expect(refusal(() => fold.apply(changeBatch([{}, row([1, count(1n)])])))).toBe('corrupt');
  });

  test('nor do two rows become one that are disordered alike', async () => {
    for (const ids of [
      [2, 1],
      [1, 1],
    ]) {
      const bad = Uint8Array.from(ids.flatMap(id => [...row([id, count(1n)])]));
      const fold = new Fold(await loadKernel(), (_, take) => take(0, bad, 0, bad.length));
      fold.resume([{ entity: 1, levelMs: 0, tileStartMs: 0 }]);
      expect(refusal(() => fold.apply(changeBatch([{}, bad])))).toBe('corrupt');
    }
  });

  test.each([11, 12, 13, 14])(
    'thousands of damaged batches: a fault, or a row that protobuf reads alike, seed %p',
    async seed => {
      const rng = new Random(seed);
      const fold = await sharedFold();
      const whole = changeBatch(
        [{ key: 'a', level: 60_000n, tileStart: -60_000n }, good],
        [{ key: 'b' }, good],
        [{ key: 'a', level: 60_000n, tileStart: -60_000n }, good],
      );
      const outcomes: { [code: string]: number } = {};
      for (let round = 0; round < 2500; round++) {
        const bytes = rng.chance(0.9)
          ? damage(whole, rng)
          : Uint8Array.from({ length: rng.below(80) }, () => rng.below(256));
        reset(fold);
        // The second time every entry meets itself, so that all of them are looked at.
        const outcome = refusal(() => {
          fold.apply(bytes);
          fold.apply(bytes);
        });
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        expect(['none', 'corrupt', 'unsupported']).toContain(outcome);
        if (outcome !== 'none') continue;
        for (const { value: bytesOfRow } of fold.dirtyRows()) {
          const read = statesOf(bytesOfRow);
          const ids = read.map(([id]) => id);
          expect(ids).toEqual(ids.toSorted((a, b) => a - b));
        }
      }
      expect(outcomes.corrupt).toBeGreaterThan(1000);
      expect(outcomes.none).toBeGreaterThan(20);
    },
  );
});

/** Forgets all rows, those of a fold that has failed too. */
function reset(fold: Fold): void {
  fold.settle();
  fold.evict(0);
}

/** Where the first entries of a row end. */
function statesOfFirst(bytes: Uint8Array, entries: number): number {
  let at = 0;
  for (let i = 0; i < entries; i++) at += 2 + bytes[at + 1]!;
  return at;
}

test('keys hash alike wherever their bytes stand', async () => {
  const { exports, put } = await loadKernel();
  const key = bytesOf('größe');
  const first = exports.hashKey(1, put(key), key.length);
  expect(exports.hashKey(1, put(Uint8Array.of(1, ...key)) + 1, key.length)).toBe(first);
  expect(exports.hashKey(2, put(key), key.length)).not.toBe(first);
});
