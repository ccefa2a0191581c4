import type { Command } from 'commander';
import { openWork } from './cluster.ts';
import { loadConfig } from './config.ts';
import { exitCodeOf } from './exit.ts';
import { stopSignal } from './signal.ts';

interface Options {
  config: string;
}

/** `tilefold work`: a process of a cluster that tiles events and folds changes; as many as there are share the work. */
export function addWork(program: Command) {
  program
    .command('work')
    .description('tile events of Kafka and fold them into rows in Cassandra, sharing the work with all who do')
    .action(async (_options, command: Command) => {
      const { config: path } = command.optsWithGlobals<Options>();
      // Nothing is written on this way out: whoever takes over begins with what is committed.
      const end = (error: unknown) => process.exit(exitCodeOf(error));
      const work = await openWork(await loadConfig(path), path, end);
      const stopped = stopSignal();
      console.log(`tilefold works on ${work.what}`);
      const signal = await stopped;
      console.log(`${signal}: writing what is folded, then good-bye`);
      await work.close();
    });
}
