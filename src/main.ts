#!/usr/bin/env bun
import { EXIT } from './cli/exit.ts';
import { run } from './cli/program.ts';

process.exitCode = await run(process.argv.slice(2));
// After a bug nothing is closed: threads and timers that are left would keep the process for ever.
if (process.exitCode === EXIT.bug) process.exit();
