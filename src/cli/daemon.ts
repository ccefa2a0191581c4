/** Options of commands that go on until they are told to stop. */
import { InvalidArgumentError, Option } from 'commander';
import { LOG_LEVELS } from '../base/log.ts';
import { parseDuration } from '../base/time.ts';

/** `--log-level`, which every one of them has. */
export function logLevelOption(): Option {
  return new Option('--log-level <level>', 'what is logged to standard error, as JSON lines where that is no terminal')
    .choices(LOG_LEVELS)
    .env('LOG_LEVEL')
    .default('info');
}

/** `--grace`: milliseconds. */
export function graceOf(text: string): number {
  const graceMs = parseDuration(text);
  if (graceMs === null) throw new InvalidArgumentError('wanted a duration like 500ms or 10s');
  return graceMs;
}
