import { InvalidArgumentError } from 'commander';
import type { Order } from '../replay/stream.ts';

/** Of all replays. */
export const ORDER: [flags: string, description: string, parse: (text: string) => Order] = [
  '--order <order>',
  '`log`, or `time`: by the times of events, which is another stream; `log` by default',
  text => {
    if (text === 'log' || text === 'time') return text;
    throw new InvalidArgumentError('wanted log or time');
  },
];
