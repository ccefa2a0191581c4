import { expect, test } from 'bun:test';
import { exitCodeOf, EXIT } from '../../src/cli/exit.ts';
import { askAgain, isCoordinatorComing } from '../../src/source/broker_error.ts';
import { committed } from '../../src/source/group.ts';

/** As the driver throws what a broker has refused. */
const refusal = (type: string) =>
  Object.assign(new Error(`the broker says ${type}`), { name: 'KafkaJSProtocolError', type });

/** The client of a broker that says no first, each time with another reason, and then how far a group has come. */
function adminRefusing(types: string[]) {
  const left = [...types];
  return {
    async fetchOffsets() {
      const type = left.shift();
      if (type !== undefined) throw refusal(type);
      const of = (partition: number, offset: string) => ({ partition, offset, metadata: `note ${partition}` });
      return [{ topic: 'events', partitions: [of(0, '17'), of(1, '-1')] }];
    },
  };
}

test('a coordinator that has only just begun is asked again', async () => {
  const admin = adminRefusing([
    'NOT_COORDINATOR_FOR_GROUP',
    'GROUP_LOAD_IN_PROGRESS',
    'GROUP_COORDINATOR_NOT_AVAILABLE',
  ]);
  expect([...(await committed(admin, 'tile', 'events'))]).toEqual([[0, { next: 17n, note: 'note 0' }]]);
});

test('what another try does not help against is thrown at once', async () => {
  const asked = committed(adminRefusing(['GROUP_AUTHORIZATION_FAILED']), 'tile', 'events');
  await expect(asked).rejects.toThrow('the broker says GROUP_AUTHORIZATION_FAILED');
});

test('what does not pass is asked for until its time is over, and thrown then', async () => {
  let asked = 0;
  const ask = async () => {
    throw refusal(++asked > 100 ? 'asked for ever' : 'NOT_COORDINATOR_FOR_GROUP');
  };
  const again = askAgain({ everyMs: 1, forMs: 20 }, ask, isCoordinatorComing);
  await expect(again).rejects.toThrow('NOT_COORDINATOR_FOR_GROUP');
  expect(asked).toBeWithin(2, 21);
});

test('a command that Kafka does not answer says so in a line, and is no bug', () => {
  const told: unknown[] = [];
  const { error } = console;
  console.error = (text: unknown) => told.push(text);
  try {
    expect(exitCodeOf(refusal('NOT_COORDINATOR_FOR_GROUP'))).toBe(EXIT.fault);
    expect(exitCodeOf(refusal('GROUP_AUTHORIZATION_FAILED'))).toBe(EXIT.fault);
  } finally {
    console.error = error;
  }
  expect(told).toEqual([
    'tilefold: Kafka does not answer: NOT_COORDINATOR_FOR_GROUP the broker says NOT_COORDINATOR_FOR_GROUP',
    expect.stringContaining('Kafka refuses it with GROUP_AUTHORIZATION_FAILED'),
  ]);
});
