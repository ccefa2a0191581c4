import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { Faults } from '../base/fault.ts';
import { compileSources, readSources, type SourceFile } from '../compile/compile.ts';
import type { AppliedJson, ApplyFiles, PlanState } from '../http/plan.ts';
import type { Beginning } from '../plan/transition.ts';
import { NOT_IN_FORCE, type Parts } from './compose.ts';
import { type Config, loadConfig } from './config.ts';
import { withParts } from './held.ts';
import type { Applied } from './live.ts';
import { LINE_EVERY_MS } from './progress.ts';
import { askServer } from './remote.ts';

interface Options {
  config: string;
  sinceNow?: true;
  backfill?: true;
  detach?: true;
  json?: true;
}

/** How often a server is asked how far it has come. */
const ASK_EVERY_MS = 200;

/** `tilefold apply`: other definitions come into force, here or in the server that holds the data folder. */
export function addApply(program: Command) {
  program
    .command('apply')
    .description('bring the definitions of the folder into force, beside a server without a stop')
    .argument('[dir]', 'a folder of definitions, or one with a tilefold.yaml; by default what --config says')
    .addOption(
      new Option(
        '--backfill',
        'what is new is computed from the log first; until then the old definitions go on',
      ).conflicts('sinceNow'),
    )
    .option('--since-now', 'what is new answers at once, with what comes from now on: lifetimes, redefined names too')
    .option('--detach', 'with --backfill: a server goes on alone; GET /v1/plan says how far it is')
    .option('--json', 'what has changed, as one JSON object')
    .action(async (dir: string | undefined, _options, command: Command) => {
      const { config: path, sinceNow, backfill, detach = false, json } = command.optsWithGlobals<Options>();
      const config = await loadConfig(path);
      const files = await readSources(await definitionsIn(dir ?? null, config));
      const beginning: Beginning = backfill ? 'whole' : sinceNow ? 'since-now' : 'warm';
      const ways = {
        open: (parts: Parts) => applyHere(config, parts, files, beginning),
        held: (url: string) => applyThere(url, files, beginning, detach),
      };
      // That the folder's definitions are not in force yet is why it was called.
      const note = (text: string) => {
        if (text !== NOT_IN_FORCE) console.error(text);
      };
      const applied = await withParts(config, ways, true, note);
      console.log(json ? JSON.stringify(applied) : appliedText(applied));
    });
}

async function definitionsIn(dir: string | null, config: Config): Promise<string> {
  if (dir === null) return config.definitions;
  const path = join(dir, 'tilefold.yaml');
  return existsSync(path) ? (await loadConfig(path)).definitions : dir;
}

async function applyHere(
  config: Config,
  parts: Parts,
  files: SourceFile[],
  beginning: Beginning,
): Promise<AppliedJson> {
  const applied = await filesApplied(config, parts.apply)(files, beginning);
  if (applied.position !== null) return applied;
  const tell = teller();
  const timer = setInterval(() => tell(planState(parts)), ASK_EVERY_MS);
  await parts.backfilled();
  clearInterval(timer);
  return { ...applied, position: planState(parts).position };
}

async function applyThere(
  url: string,
  files: SourceFile[],
  beginning: Beginning,
  detach: boolean,
): Promise<AppliedJson> {
  const body = JSON.stringify({ definitions: files, beginning });
  const applied = JSON.parse(await askServer(url, '/v1/plan', { method: 'POST', body })) as AppliedJson;
  if (applied.position !== null || detach) return applied;
  const tell = teller();
  for (;;) {
    const state = JSON.parse(await askServer(url, '/v1/plan')) as PlanState;
    if (!state.computing) return { ...applied, position: state.position };
    tell(state);
    await Bun.sleep(ASK_EVERY_MS);
  }
}

/** A line now and then. */
function teller(): (state: PlanState) => void {
  let lineMs = performance.now();
  return ({ computing }) => {
    if (!computing || performance.now() - lineMs < LINE_EVERY_MS) return;
    lineMs = performance.now();
    const { folded, end, merged } = computing;
    const percent = end === 0 ? 100 : Math.floor((100 * folded) / end);
    console.error(`apply: ${percent}% of the log, ${folded} of ${end} records folded, ${merged} rows merged`);
  };
}

export function planState({ meta, backfilling }: Parts): PlanState {
  return { position: meta.currentPlan()!.position, computing: backfilling() };
}

/** Files are compiled as those of the configured folder are. */
export function filesApplied({ latenessMs, dialect }: Config, apply: Parts['apply']): ApplyFiles {
  return async (files: SourceFile[], beginning: Beginning) => {
    const { plan, faults } = await compileSources(files, { latenessMs, dialect });
    if (faults.length > 0) throw new Faults(faults);
    return appliedJson(await apply(plan, beginning));
  };
}

function appliedJson({ waitedMs, ...applied }: Applied): AppliedJson {
  return { ...applied, waited_ms: waitedMs };
}

/** What has changed, a line for each aggregate, as a diff writes it. */
export function appliedText({ position, added, redefined, removed, renamed, extended, kept }: AppliedJson): string {
  const lines = [
    ...added.map(name => `+ ${name}`),
    ...redefined.map(name => `~ ${name}`),
    ...removed.map(name => `- ${name}`),
    ...renamed.map(({ from, to }) => `= ${from} is called ${to}`),
    ...extended.map(name => `> ${name} keeps more tiles`),
  ];
  const goOn = `${kept} stored ${kept === 1 ? 'aggregate goes' : 'aggregates go'} on`;
  const since = position === null ? 'in force when it is computed' : `in force from record ${position} on`;
  return [...lines, `${since}; ${goOn}`].join('\n');
}
