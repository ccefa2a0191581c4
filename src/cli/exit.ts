import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { Fault, Faults, faultLine } from '../base/fault.ts';
import { formatFaults } from '../compile/listing.ts';

export const EXIT = { ok: 0, fault: 1, usage: 2 } as const;

/** What `--help` says of them. */
export const EXIT_HELP = `
Exit codes:
  0  done
  1  faults were found: in definitions, the configuration, the input, or by the server that was asked
  2  wrong usage of the command line`;

/** The one place where failures become exit codes. What is no Fault is our bug, and ends the process as such. */
export function exitCodeOf(error: unknown): number {
  // Commander has written its message already; --help and --version come here too.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof Faults) {
    console.error(formatFaults(error.faults, file => readFileSync(file, 'utf8')));
    console.error(`${error.faults.length} ${error.faults.length === 1 ? 'fault' : 'faults'}`);
    return EXIT.fault;
  }
  if (error instanceof Fault) {
    console.error(`tilefold: ${faultLine(error)}`);
    return EXIT.fault;
  }
  throw error;
}
