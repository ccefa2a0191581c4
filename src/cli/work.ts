import type { Command } from 'commander';
import type { LogLevel } from '../base/log.ts';
import { vitals } from '../http/vitals.ts';
import { loadConfig } from './config.ts';
import { graceOption, leave, listen, logLevelOption, portOf, SHUTTING_DOWN } from './daemon.ts';
import { endWith } from './exit.ts';
import { stopSignal } from './signal.ts';
import { openWork } from './cluster/working.ts';

interface Options {
  config: string;
  logLevel: LogLevel;
  grace: number;
  host: string;
  port?: number;
}

/** `tilefold work`: a process of a cluster that tiles events and folds changes; as many as there are share the work. */
export function addWork(program: Command) {
  program
    .command('work')
    .description('tile events of Kafka and fold them into rows in Cassandra, sharing the work with all who do')
    .addOption(graceOption('write what is folded'))
    .option('--host <address>', 'where it answers what --port is for; 0.0.0.0 lets other machines in', '127.0.0.1')
    .option('--port <port>', 'where it answers /metrics, /healthz and /readyz; 0 takes a free one', portOf)
    .addOption(logLevelOption())
    .action(async (_options, command: Command) => {
      const { config: path, logLevel, grace, host, port } = command.optsWithGlobals<Options>();
      const { openLog } = await import('./logger.ts');
      const { WorkMetrics } = await import('../base/work_metrics.ts');
      const watcher = new WorkMetrics(() => work.state());
      const work = await openWork(await loadConfig(path), path, {
        log: openLog(logLevel),
        onFailure: endWith,
        watcher,
      });
      const stopped = stopSignal();
      let unready: string | null = null;
      const server = port === undefined ? null : listen(host, port, vitals(() => unready, watcher).fetch);
      console.log(`tilefold works on ${work.what}${server ? `, and says how on ${server.url.origin}` : ''}`);
      const signal = await stopped;
      unready = SHUTTING_DOWN;
      console.log(`${signal}: writing what is folded, then good-bye`);
      await leave(() => work.close(), grace);
    });
}
