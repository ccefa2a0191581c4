import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { readCases } from './cases.ts';
import { loadConfig, parseConfig } from './config.ts';
import { EXIT } from './exit.ts';
import { type Difference, type Outcome, runCase, writeExpected } from './outcome.ts';

interface Options {
  config: string;
  update?: true;
  json?: true;
}

/** `tilefold test`: users' own cases, each in a moment and without a server. */
export function addTest(program: Command) {
  program
    .command('test')
    .description('run definitions over the events of test cases, and compare features with what is expected of them')
    .argument('[dir]', 'a folder of cases, or one case; by default `tests` beside the configuration')
    .option('--update', 'write what came out where something else, or nothing, was expected')
    .option('--json', 'outcomes as one JSON object')
    .action(async (dir: string | undefined, _options, command: Command) => {
      const { config: path, update, json } = command.optsWithGlobals<Options>();
      const config = existsSync(path) ? await loadConfig(path) : parseConfig(path, '');
      const outcomes: Outcome[] = [];
      for (const one of await readCases(dir ?? join(dirname(path), 'tests'), config)) {
        const outcome = await runCase(one);
        if (update && outcome.differences.length > 0) await writeExpected(one, outcome);
        outcomes.push(outcome);
        if (!json) console.log(outcomeText(outcome, update ?? false));
      }
      const failed = outcomes.filter(({ differences }) => differences.length > 0).length;
      if (json) console.log(JSON.stringify({ cases: outcomes.map(told) }));
      else console.log(`${outcomes.length - failed} passed, ${failed} ${update ? 'updated' : 'failed'}`);
      if (failed > 0 && !update) process.exitCode = EXIT.fault;
    });
}

function outcomeText({ name, events, values, differences }: Outcome, isUpdated: boolean): string {
  if (differences.length === 0) return `ok      ${name}: ${events} events, ${values} values`;
  const lines = [`${isUpdated ? 'updated' : 'FAILED '} ${name}`];
  for (const [of, some] of Map.groupBy(differences, difference => difference.of)) {
    lines.push(`  ${of} (${placeText(some[0]!)})`);
    const width = Math.max(...some.map(({ name: feature }) => feature.length));
    for (const { name: feature, expected, got } of some)
      lines.push(`    ${feature.padEnd(width)}  expected ${expected}`, `    ${' '.repeat(width)}  got      ${got}`);
  }
  return lines.join('\n');
}

function placeText({ at }: Difference): string {
  return `${at.file}:${at.line}`;
}

function told({ name, events, values, differences }: Outcome) {
  return { name, events, values, differences };
}
