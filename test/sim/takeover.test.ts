import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { EVENTS, lineOf, takeoverEvents } from '../../scripts/takeover.ts';
import { composeReplay } from '../../src/cli/compose.ts';
import { compileFolder } from '../../src/compile/compile.ts';
import { cellJson } from '../../src/http/columnar.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';

const EXAMPLE = join(import.meta.dir, '../../examples/takeover');
const LOG = join(EXAMPLE, 'events.ndjson.gz');
const CLOCK = { kind: 'event', maxJumpMs: 31 * 86_400_000 } as const;

/** Values of each event by its position, of the features that are asked for, as JSON. */
async function replayed(features: string[]): Promise<Map<number, string[]>> {
  const plan = await compileFolder(join(EXAMPLE, 'features'), { latenessMs: 3_600_000 });
  const source = await ndjsonFiles([LOG], CLOCK);
  const fail = (one: object) => {
    throw new Error(JSON.stringify(one));
  };
  const around = { onRejected: fail, onBad: fail };
  const replay = await composeReplay(plan, source, { memoryBytes: 2 ** 30, path: '' }, around);
  const rows = new Map<number, string[]>();
  for await (const { count, positions, columns } of replay.batches) {
    const cells = features.map(name => cellJson(columns.find(column => column.name === name)!));
    for (let row = 0; row < count; row++)
      rows.set(
        Number(positions[row]),
        cells.map(cell => cell(row)),
      );
  }
  replay.close();
  return rows;
}

test('the log of the example is what its script makes', async () => {
  const lines = takeoverEvents().map(lineOf).join('');
  expect(gunzipSync(await readFile(LOG)).toString()).toBe(lines);
});

test('what the example holds back are the payments of the attack, and nothing else', async () => {
  const rows = await replayed(['payment.hold', 'payment.score', 'login.suspicious', 'payout_change.risky']);
  const events = takeoverEvents();
  expect(rows.size).toBe(EVENTS);
  const found = (type: string, cell: number) =>
    events.flatMap((event, i) => (event.type === type && rows.get(i)![cell] === 'true' ? [i] : []));
  const planted = (type: string) => events.flatMap((event, i) => (event.type === type && event.isFraud ? [i] : []));
  expect(found('payment', 0)).toEqual(planted('payment'));
  expect(found('payout_change', 3)).toEqual(planted('payout_change'));
  for (const login of planted('login')) expect(found('login', 2)).toContain(login);
});
