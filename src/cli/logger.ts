import { pino } from 'pino';
import { isRecord } from '../compile/yaml.ts';
import type { Log, LogLevel } from '../base/log.ts';

/**
 * Writes to standard error: a JSON object a line, or where that is a terminal a line for people. At once and in this
 * thread: what was logged before a crash is there after it.
 */
export function openLog(level: LogLevel): Log {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (!process.stderr.isTTY) return pino(options, pino.destination({ fd: 2, sync: true }));
  return pino(options, { write: line => process.stderr.write(lineForPeople(line)) });
}

/** `12:00:00.000 INFO request method=GET path=/ status=200`. */
export function lineForPeople(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries(fields).map(
    ([name, value]) => ` ${name}=${isRecord(value) ? JSON.stringify(value) : value}`,
  );
  return `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${msg}${pairs.join('')}\n`;
}
