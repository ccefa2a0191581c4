import { describe, expect, test } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import { patient } from '../../src/work/patient.ts';

/** Rows of a database that answers so often with these, and then does. */
function patientOf(faults: Error[]) {
  const told: string[] = [];
  const pauses: number[] = [];
  let tries = 0;
  const answer = async () => {
    tries++;
    const fault = faults.shift();
    if (fault) throw fault;
  };
  const note = (_fields: object, text: string) => told.push(text);
  const log = { debug() {}, info: note, warn: note, error: note };
  const rows = patient({ readRows: answer, writeRows: answer }, log, async ms => pauses.push(ms));
  return { rows, told, pauses, tries: () => tries };
}

const away = (count: number) => Array.from({ length: count }, () => new Fault('busy', 'nobody answers'));

describe('a database that is away', () => {
  test('is asked again until it answers, ever more seldom, and that is told once', async () => {
    const { rows, told, pauses, tries } = patientOf(away(9));
    await rows.writeRows([], { applied: 1n, stamp: 1n });
    expect(tries()).toBe(10);
    expect(pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    expect(told).toEqual(['the database does not answer: folding waits', 'the database answers again']);
    await rows.readRows(new Uint8Array(0), () => {});
    expect(told.length).toBe(2);
  });

  test('is not asked again where waiting does not help', async () => {
    for (const fault of [new Fault('config', 'no table'), new TypeError('a bug')]) {
      const { rows, tries } = patientOf([fault]);
      await expect(rows.readRows(new Uint8Array(0), () => {})).rejects.toBe(fault);
      expect(tries()).toBe(1);
    }
  });
});
