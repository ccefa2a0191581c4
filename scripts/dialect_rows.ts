/** The rows that other systems are asked about, and what each answered of them: fixtures beside test/compile are made of these. */
export interface Answer {
  sql: string;
  /** As the system writes it. */
  type?: string;
  /** As texts, by the row. */
  values?: (string | null)[];
  /** What it ends with, where it began. */
  error?: string;
  /** Why it did not begin. */
  refused?: string;
}

const BIG = 9007199254740993n;

export interface ArgumentRow {
  s: string | null;
  u: string | null;
  i: bigint | null;
  j: bigint | null;
  x: number | null;
  y: number | null;
  b: boolean | null;
  c: boolean | null;
  t: string | null;
  r: string | null;
  l: (bigint | null)[] | null;
}

/** Times before 1970 are two: those of `t` in rows 4 and 9. */
export const ROWS: ArgumentRow[] = (
  [
    ['hello', 'l', 7n, 2n, 2.5, 1.5, true, false, '2001-03-11 23:59:58.123456', '2001-03-12 00:00:01', [3n, 1n, 2n]],
    ['', '', 0n, 1n, 0, 0, false, false, '1970-01-01 00:00:00', '1970-01-01 00:00:00', []],
    [null, 'a', null, 3n, null, 1, null, true, null, '2001-01-01 00:00:00', null],
    ['a', null, 5n, null, 1, null, true, null, '2000-02-29 12:30:30.5', null, [null]],
    ['né😀Å', '😀', -7n, 2n, -2.5, 0.5, false, true, '1969-12-31 23:59:59.999', '1970-01-01 00:00:00', [5n, null, 2n]],
    ['  a b  ', ' ', -7n, -2n, -0.5, 3, true, true, '2020-12-31 23:59:59.999999', '2021-01-01 00:00:00', [-2n]],
    ['a,b,,c', ',', 9n, 4n, 3.5, -1, false, null, '2019-12-30 10:00:00', '2019-11-30 09:59:59.9', [4n, 4n]],
    ['100%_!x', '%', 100n, 7n, 1e15, 10, null, null, '2004-01-01 00:00:00', '2003-02-28 00:00:00', [9n, 8n, 7n]],
    [
      'HeLLo',
      'hello',
      BIG,
      10n,
      0.49999999999999994,
      2,
      true,
      false,
      '2001-01-31 08:30:15.000001',
      '2001-02-28 08:30:15',
      [0n],
    ],
    ['Ж ż ı', 'Ж', -1n, -1n, -1.5, -0.5, false, false, '1900-03-01 00:00:00.5', '1900-02-28 23:00:00', [100n, null]],
    [
      'line\nend\\\t',
      '\n',
      42n,
      5n,
      2251799813685247.5,
      0.1,
      true,
      false,
      '2099-12-31 23:59:59',
      '2038-01-19 03:14:08',
      [7n],
    ],
    [' 42 ', '4', 63n, 4n, -3.7, 1.1, false, true, '2024-02-29 00:00:00', '2023-02-28 00:00:00', [4n]],
    ['-12', '-', 2n, 3n, -1e300, 7, true, true, '2021-03-28 01:30:00.25', '2021-10-31 01:30:00.75', [1n, 2n]],
    ['é', 'e', 3n, 3n, 1e300, 1e300, false, false, '2005-01-02 03:04:05.0009', '2005-01-02 03:04:06', [3n]],
  ] as const
).map(([s, u, i, j, x, y, b, c, t, r, l]) => ({ s, u, i, j, x, y, b, c, t, r, l: l && [...l] }));

/** As JSON, whole numbers to the last digit. */
export function rowText(row: Record<string, unknown>): string {
  const text = JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? `n${value}` : value));
  return text.replaceAll(/"n(-?\d+)"/g, '$1');
}
