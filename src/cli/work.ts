import type { Command } from 'commander';
import type { LogLevel } from '../base/log.ts';
import { formatDuration } from '../base/time.ts';
import { openWork } from './cluster.ts';
import { loadConfig } from './config.ts';
import { graceOf, logLevelOption } from './daemon.ts';
import { EXIT, exitCodeOf } from './exit.ts';
import { stopSignal } from './signal.ts';

interface Options {
  config: string;
  logLevel: LogLevel;
  grace: number;
}

/** Supervisors kill after 30 s. */
const GRACE_DEFAULT_MS = 20_000;

/** `tilefold work`: a process of a cluster that tiles events and folds changes; as many as there are share the work. */
export function addWork(program: Command) {
  program
    .command('work')
    .description('tile events of Kafka and fold them into rows in Cassandra, sharing the work with all who do')
    .option(
      '--grace <duration>',
      'how long it may take to write what is folded, once it is told to stop',
      graceOf,
      GRACE_DEFAULT_MS,
    )
    .addOption(logLevelOption())
    .action(async (_options, command: Command) => {
      const { config: path, logLevel, grace } = command.optsWithGlobals<Options>();
      // Nothing is written on this way out: whoever takes over begins with what is committed.
      const end = (error: unknown) => process.exit(exitCodeOf(error));
      const { openLog } = await import('./logger.ts');
      const work = await openWork(await loadConfig(path), path, { log: openLog(logLevel), onFailure: end });
      const stopped = stopSignal();
      console.log(`tilefold works on ${work.what}`);
      const signal = await stopped;
      console.log(`${signal}: writing what is folded, then good-bye`);
      const isClosed = await Promise.race([work.close().then(() => true), Bun.sleep(grace).then(() => false)]);
      if (!isClosed)
        console.error(`tilefold: not done after ${formatDuration(grace)}: others go on from what is committed`);
      // Drivers that still try to reach somebody do not keep it.
      process.exit(isClosed ? EXIT.ok : EXIT.stopped);
    });
}
