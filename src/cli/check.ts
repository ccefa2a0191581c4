import type { Command } from 'commander';
import { compileDefinitions } from './definitions.ts';

export function addCheck(program: Command) {
  program
    .command('check')
    .description('compile the definitions and report every fault of every file')
    .argument('[dir]', 'a folder of definitions, or one with a tilefold.yaml; by default what --config says')
    .action(async (dir: string | undefined, _options, command: Command) => {
      const { plan } = await compileDefinitions(dir ?? null, command.optsWithGlobals<{ config: string }>().config);
      const counts = [
        counted(plan.sets.length, 'feature set'),
        counted(plan.features.length, 'feature'),
        counted(plan.aggregates.length, 'stored aggregate'),
        counted(plan.events.length, 'event type'),
      ];
      console.log(`no faults: ${counts.join(', ')}`);
    });
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
