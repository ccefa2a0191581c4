import { describe, expect, test } from 'bun:test';
import { crewLog, crewPlan } from './fixtures/crew.ts';
import { RISK_LOG, riskPlan } from './fixtures/risk.ts';
import { parseLog } from './log.ts';
import { eventRow } from './naive.ts';

const CLOCK = { clock: 'event', maxJumpMs: 31 * 86_400_000 } as const;

describe('an aggregate whose condition is an aggregate of a third event', () => {
  const plan = riskPlan();
  const log = parseLog(RISK_LOG, plan, CLOCK);
  const row = (p: number) => eventRow(plan, log, p)!;

  test('the condition is read as of the event that writes', () => {
    // Resets of a stand at 0, 1, 3 and 7: logins at 2, 4, 8 and 11 see those before them. The last is late (00:03:30),
    // and a lifetime has no time but its place in the log.
    expect([2, 4, 6, 8, 11].map(p => row(p).fails)).toEqual([2n, 3n, 0n, 4n, 4n]);
  });

  test('payments see the logins with fails > 2', () => {
    const payments = [5, 9, 10, 12, 13].map(p => {
      const { risky, risky_3m, risky_since, nth, before, spent } = row(p);
      return [risky, risky_3m, risky_since, nth, before, spent];
    });
    expect(payments).toEqual([
      // 00:05: the login at 00:04. No `since`, so nothing is known of what is after it. 10 of a risky payment.
      [1n, 1n, null, 1n, 0n, 10n],
      // 00:09: 00:04 and 00:08; the last three minutes have 00:08, and only that is after 00:04. 10 + 20.
      [2n, 1n, 1n, 2n, 1n, 30n],
      // 00:10, b: its one login had no reset before it. Its 30 are not risky.
      [0n, 0n, 0n, 1n, 0n, 0n],
      // 00:11: 00:04, 00:08 and the late 00:03:30. 00:08 is three minutes ago, which an exact window holds; 00:03:30
      // is not after itself. 10 + 20 + 40.
      [3n, 1n, 2n, 3n, 2n, 70n],
      // A null key reads null.
      [null, null, null, null, null, null],
    ]);
  });

  test('a null key is a fault of its value alone', () => {
    expect(log.records[13]!.bad).toBeNull();
    expect(log.records[13]!.faults).toEqual([{ input: 'email', path: 'email', text: 'required input is null' }]);
  });
});

describe('a nested optional list of structs', () => {
  const none = { lead: null, lead_hours: null, lead_base: null, second: null };
  const cases: [data: string, row: object, fault: string | null][] = [
    [
      '{"staff":{"crew":[{"name":"Ann","hours":7.5,"base":{"airport":"ATL"}},{"name":"Bob"}]},"tags":{"bags":3}}',
      { lead: 'Ann', lead_hours: 7.5, lead_base: 'ATL', second: 'Bob', bags: 3n },
      null,
    ],
    // A struct that is there fills in its default; one that is not is null as a whole.
    [
      '{"staff":{"crew":[{"name":"Cy","hours":null,"base":{}}]},"tags":{"bags":null}}',
      { ...none, lead: 'Cy', lead_base: 'ZZZ', bags: null },
      null,
    ],
    ['{"staff":{"crew":[{"name":"Ann","base":null}]}}', { ...none, lead: 'Ann', bags: null }, null],
    ['{"staff":{"crew":[]},"tags":{}}', { ...none, bags: null }, null],
    ['{"staff":{"crew":null}}', { ...none, bags: null }, null],
    ['{"staff":null}', { ...none, bags: null }, null],
    ['{}', { ...none, bags: null }, null],
    [
      '{"staff":{"crew":[{"name":"Ann"},null]}}',
      { ...none, lead: 'Ann', bags: null },
      'staff.crew[1]: required, but null',
    ],
    [
      '{"staff":{"crew":[{"hours":3}]}}',
      { ...none, lead_hours: 3, bags: null },
      'staff.crew[0].name: required, but missing',
    ],
    [
      '{"staff":{"crew":[{"name":"Ann","hours":"x"}]}}',
      { ...none, lead: 'Ann', bags: null },
      'staff.crew[0].hours: expected double',
    ],
    ['{"staff":{"crew":{"name":"Ann"}}}', { ...none, bags: null }, 'staff.crew: expected list'],
    ['{"staff":[]}', { ...none, bags: null }, 'staff.crew: a step of the path is not an object'],
    ['{"tags":{"bags":1.5}}', { ...none, bags: null }, "tags['bags']: expected int64"],
  ];
  const ndjson = crewLog(cases.map(([data]) => data));

  /** The same fault, in the words that users see where its event counts all the same. */
  const toldOf = (fault: string) =>
    fault
      .replace('required, but missing', 'required input missing')
      .replace('required, but null', 'required input is null')
      .replace('a step of the path is not an object', 'expected list')
      .replace('int64', 'int')
      .replace('double', 'float');

  test('with onFault null: field and index of null are null, and a fault names its path', () => {
    const plan = crewPlan('null');
    const log = parseLog(ndjson, plan, CLOCK);
    const columns = cases.map((_, p) => {
      const { crew: _crew, tags: _tags, ...rest } = eventRow(plan, log, p)!;
      return rest;
    });
    expect(columns).toEqual(cases.map(([, row]) => ({ ...row }) as (typeof columns)[number]));
    const faults = log.records.map(r => r.faults.map(({ path, text }) => `${path}: ${text}`));
    expect(faults).toEqual(cases.map(([, , fault]) => (fault === null ? [] : [toldOf(fault)])));
  });

  test('with onFault reject: any fault makes the event bad', () => {
    const plan = crewPlan('reject');
    const log = parseLog(ndjson, plan, CLOCK);
    expect(log.records.map(r => r.bad)).toEqual(cases.map(([, , fault]) => fault));
    const rows = log.records.map((_, p) => eventRow(plan, log, p));
    expect(rows.map(row => row === null)).toEqual(cases.map(([, , fault]) => fault !== null));
  });

  test('null as a whole is another thing than an empty list', () => {
    const plan = crewPlan('reject');
    const log = parseLog(ndjson, plan, CLOCK);
    expect([3, 4].map(p => eventRow(plan, log, p)!.crew === null)).toEqual([false, true]);
  });
});
