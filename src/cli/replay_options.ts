import { type Command, InvalidArgumentError } from 'commander';
import type { Order } from '../replay/stream.ts';
import { parseTime } from './tiles.ts';

/** What every replay is told, in jobs or not. */
export interface AskedOptions {
  timelines?: string;
  order?: Order;
  start?: bigint;
  end?: bigint;
}

/** Options of all replays. Where `replay` has them beside one of its own commands, they are parsed as that one's: none is required. */
export function asked(command: Command): Command {
  return command
    .option('--timelines <names>', 'timelines, separated by commas: NAME, or NAME@VERSION')
    .option(
      '--order <order>',
      '`log`, or `time`: by the times of events, which is another stream; log by default',
      orderOf,
    )
    .option('--start <time>', 'give out rows of events from then on, by their time; all before is read too', parseTime)
    .option('--end <time>', 'give out rows of events before then', parseTime);
}

function orderOf(text: string): Order {
  if (text === 'log' || text === 'time') return text;
  throw new InvalidArgumentError('wanted log or time');
}
