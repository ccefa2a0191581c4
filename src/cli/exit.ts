import { existsSync, readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { Fault, Faults, faultLine } from '../base/fault.ts';
import { formatFaults } from '../compile/listing.ts';
import { faultOf, isOfKafka } from '../source/broker_error.ts';

export const EXIT = { ok: 0, fault: 1, changes: 2, usage: 64, bug: 70, stopped: 130 } as const;

/** The one table of what they mean. */
const MEANINGS: Record<keyof typeof EXIT, string> = {
  ok: 'done',
  fault:
    'faults were found: in definitions, the configuration, the input, by the file system, or by the server that was asked',
  changes:
    'of `plan`: the definitions change what is in force; of `branch diff`: they differ; of `shadow diff`: values do',
  usage: 'wrong usage of the command line',
  bug: 'a bug in tilefold; what was acknowledged is in the log, and another start takes it up from there',
  stopped: 'stopped at once, by a second signal or because closing took too long; what was acknowledged is in the log',
};

/** What `--help` says of them. */
export const EXIT_HELP = `\nExit codes:\n${Object.entries(MEANINGS)
  .map(([name, meaning]) => `  ${String(EXIT[name as keyof typeof EXIT]).padEnd(3)}  ${meaning}`)
  .join('\n')}`;

/** The one place where failures become exit codes. What is no Fault is our bug: its trace goes to whoever can mend it. */
export function exitCodeOf(error: unknown): number {
  // Commander has written its message already; --help and --version come here too.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof Faults) {
    console.error(formatFaults(error.faults, textOf));
    console.error(`${error.faults.length} ${error.faults.length === 1 ? 'fault' : 'faults'}`);
    return EXIT.fault;
  }
  const reason = reasonOf(error);
  if (reason !== null) {
    console.error(`tilefold: ${reason}`);
    return EXIT.fault;
  }
  // Of what is nothing but output.
  if (isPipeBroken(error)) return EXIT.ok;
  console.error(error);
  return EXIT.bug;
}

/** For what goes wrong where nobody waits for it: it is said, nothing more is written, and the process ends. */
export function endWith(error: unknown): never {
  process.exit(exitCodeOf(error));
}

/** What went wrong, in a line, where that is no bug of ours: a fault, or what the system or Kafka refused. Null of all else. */
export function reasonOf(error: unknown): string | null {
  const fault = isOfKafka(error) ? faultOf(error, 'Kafka was asked') : error;
  return fault instanceof Fault ? faultLine(fault) : refusalOf(error);
}

/** Whoever reads our output has seen enough. */
export function isPipeBroken(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EPIPE';
}

/** Faults may stand in what is no file: an option. */
function textOf(file: string): string | null {
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

/** What a file system says no for, without its being our fault: a folder in a file's place, rights, room, a broken disk. */
const REFUSALS = [
  'EISDIR',
  'ENOTDIR',
  'EEXIST',
  'ENOENT',
  'ELOOP',
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOSPC',
  'EDQUOT',
  'EFBIG',
  'EMFILE',
  'EIO',
];

/** What the system refused and for which file, where it says that; null where the error is another. */
function refusalOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { code, path, message } = error as NodeJS.ErrnoException;
  if (code === undefined || !REFUSALS.includes(code)) return null;
  return path === undefined || message.includes(path) ? message : `${path}: ${message}`;
}
