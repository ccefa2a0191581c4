/** One wrong year must not become everybody's now. */
import { expect, test } from 'bun:test';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { parseLog } from '../oracle/log.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine } from '../sim/engine.ts';
import { valueAt } from '../sim/judge.ts';

const plan = flightsPlan();
const MINUTE_MICROS = 60_000_000n;
const ARRIVAL = 983_750_400_000_000n; // 2001-03-05T00:00:00Z

test.each(['event', 'wall'] as const)(
  'clock %s: an event far ahead of its arrival is bad, the first one too',
  async kind => {
    const lines = [
      '9999-01-01T00:00:00Z',
      '2001-03-05T00:10:00.000001Z',
      '2001-03-05T00:10:00Z',
      '2001-03-04T23:00:00Z',
    ].map(time => `{"type":"flight","time":"${time}","data":{"origin":"ATL","destination":"ORD"}}`);
    const clock = { ...EVENT_CLOCK, kind };
    const nowMicros = () => ARRIVAL;
    const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase(), clock, nowMicros });
    await engine.ingest.post(new TextEncoder().encode(lines.join('\n')), 'ndjson');
    engine.ingest.barrier();
    const errors = engine.meta.errors({ limit: 10 }).map(({ position, code }) => [position, code]);
    expect(errors).toEqual([
      [0, 'time_ahead'],
      [1, 'time_ahead'],
    ]);
    expect(engine.now()).toBe(kind === 'wall' ? ARRIVAL : ARRIVAL + 10n * MINUTE_MICROS);
    const features = ['origin_delays:flights_2h', 'origin_delays:flights_lifetime'];
    const answer = engine.reader.lookup({ features, entities: { origin: ['ATL'] }, at: null });
    expect(answer.entities[0]!.features.map(column => valueAt(column, 0))).toEqual([2n, 2n]);
    const arrivals = lines.map(() => ARRIVAL);
    const log = parseLog(lines.join('\n'), plan, { clock: kind, maxJumpMs: clock.maxJumpMs, arrivals });
    expect(log.records.map(({ bad }) => bad !== null)).toEqual([true, true, false, false]);
    await engine.close();
  },
);
