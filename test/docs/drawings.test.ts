/** What docs/meaning.md draws of windows is what the kernel takes for them. */
import { expect, test } from 'bun:test';
import { compileSources } from '../../src/compile/compile.ts';
import { windowRanges } from '../../src/kernel/cover.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { layout } from '../kernel/columns.ts';
import { readPage } from './page.ts';

const NOW_MS = Date.parse('2026-03-02T15:37:20Z');
const NOON_MS = Date.parse('2026-03-02T12:00:00Z');
const HOUR_MS = 3_600_000;
/** Of the drawing: where noon stands, and how wide an hour is. */
const NOON_COLUMN = 2;
const HOUR_COLUMNS = 13;

function columnOf(ms: number): number {
  return NOON_COLUMN + Math.round(((ms - NOON_MS) / HOUR_MS) * HOUR_COLUMNS);
}

async function planOf(window: string): Promise<Plan> {
  const { plan, faults } = await compileSources(
    [
      {
        file: 'drawing.yaml',
        text: `events: { view: { user: string } }
entities: { user: string }
---
feature_set: views
entity: user
source: view
windows: [${window}]
sql: SELECT user, COUNT(*) AS n FROM view GROUP BY user
`,
      },
    ],
    { latenessMs: HOUR_MS },
  );
  expect([window, faults.map(({ message }) => message)]).toEqual([window, []]);
  return plan;
}

/** [start, end) of each window, the latest first. */
async function boundsOf(window: string): Promise<[number, number][]> {
  const { kernel, lookups } = await layout(await planOf(window));
  const answer = lookups.get('user')!;
  kernel.exports.coverAt(answer.index, BigInt(NOW_MS) * 1000n, 0);
  const ranges = windowRanges(kernel, answer);
  return answer.windows.map((_, i): [number, number] => {
    const own = ranges.filter(range => range.window === i);
    return [Math.min(...own.map(range => range.fromMs)), Math.max(...own.map(range => range.toMs))];
  });
}

const drawing = readPage('docs/meaning.md').fences.find(
  ({ text }) => text.includes('hopping 2h every 1h') && text.startsWith('12 pm'),
)!;

test('the hours of the drawing stand where they are', () => {
  const [hours, marks] = drawing.text.split('\n');
  for (const [i, text] of ['12 pm', '1 pm', '2 pm', '3 pm'].entries()) {
    expect(hours!.indexOf(text)).toBeGreaterThanOrEqual(0);
    expect([text, marks![columnOf(NOON_MS + i * HOUR_MS)]]).toEqual([text, '|']);
  }
  expect(marks![columnOf(NOW_MS)]).toBe('|');
});

test.each(drawing.text.trimEnd().split('\n').slice(2))('%s', async line => {
  expect(line[columnOf(NOW_MS)]).toBe('t');
  const bounds = await boundsOf(line.split(/ {5,}/).at(-1)!);
  // Where a filled stretch begins or ends.
  const edges = [...line.matchAll(/[|t](?=[=-])|(?<=[=-])[|t]/g)].map(match => match.index);
  const wanted = bounds.flatMap(([from, to]) => [columnOf(from), columnOf(Math.min(to, NOW_MS))]);
  expect([...new Set(edges)].sort((a, b) => a - b)).toEqual([...new Set(wanted)].sort((a, b) => a - b));
});
