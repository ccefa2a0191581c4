import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { Fault, Faults } from '../base/fault.ts';
import { formatMicros } from '../base/time.ts';
import { compileSources, readSources, type SourceFile } from '../compile/compile.ts';
import type { AbortedJson, AppliedJson, ApplyFiles, PlanState } from '../http/plan.ts';
import type { AppliedPlan } from '../meta/meta.ts';
import type { Start } from '../plan/transition.ts';
import { succeedingIn } from './cluster/asking.ts';
import { isClustered } from './cluster/cluster.ts';
import { NOT_IN_FORCE } from './alone/beginning.ts';
import type { Parts } from './alone/compose.ts';
import { type Config, loadConfig } from './config.ts';
import { withParts } from './alone/held.ts';
import type { Applied } from './alone/live.ts';
import { type BackfillTeller, backfillTeller } from './progress.ts';
import { askServer } from './remote.ts';

interface Options extends Starting {
  config: string;
  abort?: true;
  status?: true;
  json?: true;
}

/** How often a server is asked how far it has come. */
const ASK_EVERY_MS = 200;
/** And a cluster, by its database. */
const ASK_CLUSTER_EVERY_MS = 500;

/** How what is new begins. */
export interface Starting {
  sinceNow?: true;
  backfill?: true;
  whenWarm?: true;
  detach?: true;
}

function startOf({ backfill, whenWarm, sinceNow }: Starting): Start {
  return backfill ? 'whole' : whenWarm ? 'when-warm' : sinceNow ? 'since-now' : 'warm';
}

export function addStarting(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--backfill',
        'what is new is computed from earlier events first; until then the old definitions go on',
      ).conflicts(['sinceNow', 'whenWarm']),
    )
    .addOption(
      new Option(
        '--when-warm',
        'what is new counts from now on, beside the old definitions, and takes over when its windows are whole',
      ).conflicts('sinceNow'),
    )
    .option('--since-now', 'what is new answers at once, with what comes from now on: lifetimes, redefined names too')
    .option('--detach', 'with --backfill, and in a cluster: others go on alone; apply --status says how far it is');
}

/** `tilefold apply`: other definitions come into force, here or in the server that holds the data folder. */
export function addApply(program: Command) {
  const apply = program
    .command('apply')
    .description('bring the definitions of the folder into force, beside a server without a stop')
    .argument('[dir]', 'a folder of definitions, or one with a tilefold.yaml; by default what --config says');
  addStarting(apply)
    .addOption(
      new Option('--abort', 'give up what is being computed or waits: the definitions in force stay').conflicts([
        ...['sinceNow', 'backfill', 'whenWarm', 'status'],
      ]),
    )
    .addOption(
      new Option('--status', 'say what is in force, and how far what is to come has come').conflicts([
        ...['sinceNow', 'backfill', 'whenWarm'],
      ]),
    )
    .option('--json', 'what has changed, or how it stands, as one JSON object')
    .action(async (dir: string | undefined, _options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const { config: path, abort, status, json } = options;
      const config = await loadConfig(path);
      if (abort) return tellAborted(await abortPlan(config, path), json);
      if (status) return tellStatus(await statusOf(config, path), json);
      const files = await readSources(await definitionsIn(dir ?? null, config));
      const applied = await broughtIntoForce(config, path, files, options);
      console.log(json ? JSON.stringify(applied) : appliedText(applied));
    });
}

/** Files as definitions: here, by the server that holds the data folder, or in a cluster. @throws Fault, Faults all that is refused */
export function broughtIntoForce(
  config: Config,
  path: string,
  files: SourceFile[],
  starting: Starting,
): Promise<AppliedJson> {
  if (isClustered(config)) return broughtIntoCluster(config, path, files, starting);
  const start = startOf(starting);
  const ways = {
    open: (parts: Parts) => applyHere(config, parts, files, start),
    held: (url: string) => applyThere(url, files, start, starting.detach ?? false),
  };
  return withParts(config, ways, true, note);
}

/** That the folder's definitions are not in force yet is why it was called. */
function note(text: string): void {
  if (text !== NOT_IN_FORCE) console.error(text);
}

function abortPlan(config: Config, path: string): Promise<AbortedJson> {
  if (isClustered(config)) return succeedingIn(config, path, one => one.abort());
  const held = async (url: string) =>
    JSON.parse(await askServer(url, '/v1/plan/abort', { method: 'POST' })) as AbortedJson;
  return withParts(config, { open: aborted, held }, true, note);
}

/** Gives up what is to come into force. */
export async function aborted(parts: Pick<Parts, 'abort' | 'meta' | 'waiting'>): Promise<AbortedJson> {
  const isAborted = await parts.abort();
  return { aborted: isAborted, position: inForceOf(parts).position };
}

function tellAborted(state: AbortedJson, json: boolean | undefined): void {
  const what = state.aborted ? 'given up' : 'nothing was to come';
  console.log(json ? JSON.stringify(state) : `${what}; the definitions in force stay`);
}

function statusOf(config: Config, path: string): Promise<PlanState> {
  if (isClustered(config)) return succeedingIn(config, path, one => one.state());
  const held = async (url: string) => JSON.parse(await askServer(url, '/v1/plan')) as PlanState;
  return withParts(config, { open: planState, held }, true, note);
}

function tellStatus(state: PlanState, json: boolean | undefined): void {
  console.log(json ? JSON.stringify(state) : statusText(state));
}

function statusText({ position, computing, waiting, taken_up: takenUp }: PlanState): string {
  const lines = [`in force from record ${position} on`];
  if (takenUp) lines.push(takenUpText(takenUp));
  // Before all have taken it up nobody knows how many records there are to compute.
  if (computing && (!takenUp || takenUp.partitions === takenUp.of)) {
    const { doing, folded, end, rate, merged } = computing;
    const share = end === 0 ? 100 : Math.floor((100 * folded) / end);
    const done = `computing: ${doing}, ${share}% of the log, ${folded} of ${end} records`;
    // In a cluster rows are merged as they are made, and who asks once has seen no rate.
    lines.push(takenUp ? done : `${done} at ${rate}/s, ${merged} rows merged`);
  }
  if (waiting) lines.push(`waiting: others take over at ${waiting.until}, when their windows are whole`);
  if (!computing && !waiting && !takenUp) lines.push('nothing is to come');
  return lines.join('\n');
}

function takenUpText({ partitions, of }: PlanState['taken_up'] & {}): string {
  return `being taken up: ${partitions} of ${of} partitions of events go by it`;
}

export async function definitionsIn(dir: string | null, config: Config): Promise<string> {
  if (dir === null) return config.definitions;
  const path = join(dir, 'tilefold.yaml');
  return existsSync(path) ? (await loadConfig(path)).definitions : dir;
}

/** Processes that work take the definitions up; with `when-warm` it is known by then for how long they wait. */
async function broughtIntoCluster(
  config: Config,
  path: string,
  files: SourceFile[],
  starting: Starting,
): Promise<AppliedJson> {
  return succeedingIn(config, path, async ({ apply, look, state }) => {
    const { latenessMs, dialect } = config;
    const { plan, faults } = await compileSources(files, { latenessMs, dialect });
    if (faults.length > 0) throw new Faults(faults);
    const { number, ...applied } = await apply(plan, startOf(starting));
    const waiting = waitingTeller();
    try {
      while (applied.position === null && !starting.detach) {
        const { plan, coming } = await look();
        if (plan.number >= number) return appliedJson({ ...applied, position: plan.position });
        if (coming?.number !== number) throw new Fault('conflict', GIVEN_UP);
        if (coming.untilMicros !== null) return appliedJson({ ...applied, untilMicros: coming.untilMicros });
        waiting.tell(await state());
        await Bun.sleep(ASK_CLUSTER_EVERY_MS);
      }
    } finally {
      waiting.end();
    }
    return appliedJson(applied);
  });
}

const GIVEN_UP =
  'given up, by apply --abort or since events that were to be read are gone: then the log of those who work says which';

/** Tells what a cluster waits for; mostly it is done within a second or two, and nothing is told. */
function waitingTeller() {
  let told: string | null = null;
  let teller: BackfillTeller | null = null;
  return {
    tell({ taken_up, computing }: PlanState) {
      const text = takenUpText(taken_up ?? { partitions: 0, of: 0 });
      if (told !== null && text !== told) console.error(text);
      told = text;
      if (!computing || taken_up?.partitions !== taken_up?.of) return;
      teller ??= backfillTeller();
      teller.tell(computing);
    },
    end: () => teller?.end(),
  };
}

async function applyHere(config: Config, parts: Parts, files: SourceFile[], start: Start): Promise<AppliedJson> {
  const applied = await filesApplied(config, parts.apply)(files, start);
  if (applied.position !== null || applied.until !== null) return applied;
  const teller = backfillTeller();
  const timer = setInterval(() => tell(teller, planState(parts)), ASK_EVERY_MS);
  await parts.backfilled().finally(() => {
    clearInterval(timer);
    teller.end();
  });
  return { ...applied, position: planState(parts).position };
}

async function applyThere(url: string, files: SourceFile[], start: Start, detach: boolean): Promise<AppliedJson> {
  const body = JSON.stringify({ definitions: files, beginning: start });
  const applied = JSON.parse(await askServer(url, '/v1/plan', { method: 'POST', body })) as AppliedJson;
  if (applied.position !== null || applied.until !== null || detach) return applied;
  const teller = backfillTeller();
  let before: string | null = null;
  try {
    for (;;) {
      const state = JSON.parse(await askServer(url, '/v1/plan')) as PlanState;
      if (!state.computing && state.applied_at === before) throw new Fault('conflict', 'given up by apply --abort');
      if (!state.computing) return { ...applied, position: state.position };
      before = state.applied_at;
      tell(teller, state);
      await Bun.sleep(ASK_EVERY_MS);
    }
  } finally {
    teller.end();
  }
}

function tell(teller: BackfillTeller, { computing }: PlanState): void {
  if (computing) teller.tell(computing);
}

export function planState(parts: Pick<Parts, 'meta' | 'backfilling' | 'waiting'>): PlanState {
  const waiting = parts.waiting();
  const { position, appliedAtMicros } = inForceOf(parts);
  return {
    position,
    applied_at: formatMicros(appliedAtMicros),
    computing: parts.backfilling(),
    waiting: waiting && { until: formatMicros(waiting.untilMicros) },
  };
}

/** The plan that what waits was applied to is in force as far as anybody sees. */
function inForceOf({ meta, waiting }: Pick<Parts, 'meta' | 'waiting'>): AppliedPlan {
  return meta.plans().at(waiting() ? -2 : -1)!;
}

/** Files are compiled as those of the configured folder are. */
export function filesApplied({ latenessMs, dialect }: Config, apply: Parts['apply']): ApplyFiles {
  return async (files: SourceFile[], start: Start) => {
    const { plan, faults } = await compileSources(files, { latenessMs, dialect });
    if (faults.length > 0) throw new Faults(faults);
    return appliedJson(await apply(plan, start));
  };
}

function appliedJson({ waitedMs, untilMicros, ...applied }: Applied): AppliedJson {
  return { ...applied, until: untilMicros === null ? null : formatMicros(untilMicros), waited_ms: waitedMs };
}

/** What has changed, a line for each aggregate, as a diff writes it. */
export function appliedText(applied: AppliedJson): string {
  const { position, until, added, redefined, removed, renamed, extended, kept } = applied;
  const lines = [
    ...added.map(name => `+ ${name}`),
    ...redefined.map(name => `~ ${name}`),
    ...removed.map(name => `- ${name}`),
    ...renamed.map(({ from, to }) => `= ${from} is called ${to}`),
    ...extended.map(name => `> ${name} keeps more tiles`),
  ];
  const goOn = `${kept} stored ${kept === 1 ? 'aggregate goes' : 'aggregates go'} on`;
  const later = until === null ? 'in force when it is computed' : `in force at ${until}, when it is whole`;
  const since = position === null ? later : `in force from record ${position} on`;
  return [...lines, `${since}; ${goOn}`].join('\n');
}
