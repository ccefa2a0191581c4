import { existsSync } from 'node:fs';
import { Fault, Faults } from '../base/fault.ts';
import { versionText } from '../base/version.ts';
import { compileSources } from '../compile/compile.ts';
import { type Changes, changesOf, type DefinitionChange } from '../plan/changes.ts';
import type { Plan } from '../plan/plan.ts';
import { typeName } from '../plan/value.ts';
import { branchPlan, folderTexts, LIVE } from './branches.ts';
import type { Config } from './config.ts';
import { servedPlan } from './in_force.ts';
import { tableText } from './table.ts';

/** What a diff says, for people and for programs. */
export interface Compared {
  text: string;
  changed: boolean;
  /** What was compared: `risk@2`, `live`, `./features`. */
  before: string;
  after: string;
  events: Changes['events'];
  features: (Omit<DefinitionChange, 'type' | 'descriptionWas'> & { type: string; description_was: string | null })[];
}

/**
 * Two of them: `NAME`, `NAME@VERSION`, `live`, or a folder, whose name has a slash or is `.` or `..`.
 *
 * @param after the selected branch where it is left out
 * @throws Fault `not_found`; Faults where one of them does not compile
 */
export async function compareSides(config: Config, before: string, after: string | undefined): Promise<Compared> {
  const [was, now] = [await sideOf(config, before), await sideOf(config, after)];
  const changes = changesOf(was.plan, now.plan);
  return {
    ...{ before: was.name, after: now.name, text: changesText(changes), events: changes.events },
    changed: changes.events.length + changes.features.length > 0,
    features: changes.features.map(({ type, descriptionWas, ...change }) => {
      return { ...change, type: typeName(type), description_was: descriptionWas };
    }),
  };
}

async function sideOf(config: Config, name: string | undefined): Promise<{ name: string; plan: Plan }> {
  if (name === LIVE) return { name, plan: servedPlan(config) };
  if (name !== undefined && (name.includes('/') || /^\.{1,2}$/.test(name))) return folderSide(config, name);
  const { version, plan } = await branchPlan(config, name).catch((error: unknown) => {
    throw name !== undefined && existsSync(name) ? folderMeant(error, name) : error;
  });
  return { name: versionText(version), plan };
}

async function folderSide(config: Config, dir: string): Promise<{ name: string; plan: Plan }> {
  const { texts, settings } = await folderTexts(dir, config);
  const { plan, faults } = await compileSources(texts, settings);
  if (faults.length > 0) throw new Faults(faults);
  return { name: dir, plan };
}

function folderMeant(error: unknown, name: string): unknown {
  if (!(error instanceof Fault) || error.code !== 'not_found') return error;
  return new Fault('not_found', `${error.message}; the folder of this name is ./${name}`);
}

const SIGNS: Record<DefinitionChange['change'], string> = {
  added: '+',
  deleted: '-',
  renamed: '>',
  redefined: '~',
  dirtied: '*',
};

/** For people: a table of event types, one of features, and what it comes to. */
function changesText({ events, features }: Changes): string {
  if (events.length + features.length === 0) return 'no changes';
  const eventRows = events.flatMap(({ change, name, what }) =>
    (what.length > 0 ? what : ['']).map((each, i) => (i === 0 ? [SIGNS[change], name, each] : ['', '', each])),
  );
  const featureRows = features.map(one => [SIGNS[one.change], one.name, typeName(one.type), isText(one)]);
  return [
    ...(eventRows.length > 0 ? [tableText([['', 'event', 'is'], ...eventRows])] : []),
    ...(featureRows.length > 0 ? [tableText([['', 'feature', 'type', 'is'], ...featureRows])] : []),
    [...countsText('events', events), ...countsText('features', features)].join('\n'),
  ].join('\n\n');
}

function isText({ change, was, description, descriptionWas, chain }: DefinitionChange): string {
  switch (change) {
    case 'renamed':
      return `was ${was}`;
    case 'dirtied':
      return chain.join(' <- ');
    case 'redefined':
      return description === descriptionWas
        ? `${description}, of other events or in other tiles`
        : `${description}, was ${descriptionWas}`;
    default:
      return description;
  }
}

function countsText(what: string, changes: { change: string }[]): string[] {
  const counted = Object.keys(SIGNS).flatMap(change => {
    const count = changes.filter(one => one.change === change).length;
    return count > 0 ? `${count} ${change}` : [];
  });
  return counted.length > 0 ? [`${what}: ${counted.join(', ')}`] : [];
}
