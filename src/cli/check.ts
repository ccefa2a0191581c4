import type { Command } from 'commander';
import { Fault, Faults } from '../base/fault.ts';
import type { Plan } from '../plan/plan.ts';
import { compileDefinitions } from './definitions.ts';
import { EXIT } from './exit.ts';

interface Options {
  config: string;
  json?: true;
}

/** `tilefold check`: nothing is opened, only definitions are read. */
export function addCheck(program: Command) {
  program
    .command('check')
    .description('compile the definitions and report every fault of every file')
    .argument('[dir]', 'a folder of definitions, or one with a tilefold.yaml; by default what --config says')
    .option('--json', 'faults and counts as one JSON object')
    .action(async (dir: string | undefined, _options, command: Command) => {
      const { config, json } = command.optsWithGlobals<Options>();
      if (json) return printJson(dir ?? null, config);
      console.log(`no faults: ${countsText((await compileDefinitions(dir ?? null, config)).plan)}`);
    });
}

/** Faults are what is asked for here: they go to standard output, and the exit code says that there are some. */
async function printJson(dir: string | null, config: string) {
  try {
    const { plan } = await compileDefinitions(dir, config);
    console.log(JSON.stringify({ faults: [], ...countsOf(plan) }));
  } catch (error) {
    if (!(error instanceof Fault) && !(error instanceof Faults)) throw error;
    const faults = error instanceof Faults ? error.faults : [error];
    console.log(JSON.stringify({ faults: faults.map(({ code, message, at }) => ({ code, message, at })) }));
    process.exitCode = EXIT.fault;
  }
}

function countsOf({ sets, features, aggregates, events }: Plan) {
  const counts = { sets: sets.length, features: features.length, aggregates: aggregates.length, events: events.length };
  return { ...counts, event_features: events.reduce((sum, event) => sum + (event.features?.length ?? 0), 0) };
}

export function countsText(plan: Plan): string {
  const { sets, features, aggregates, events, event_features: answered } = countsOf(plan);
  return [
    counted(sets, 'feature set'),
    counted(features, 'feature'),
    counted(aggregates, 'stored aggregate'),
    counted(events, 'event type'),
    ...(answered > 0 ? [`${counted(answered, 'feature')} of events`] : []),
  ].join(', ');
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
