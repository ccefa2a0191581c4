/** A random trial in parts: a seed makes it, a shrinker takes parts away, a folder keeps what is left. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_JUMP_DEFAULT_MS } from '../../src/source/source.ts';
import { Random } from '../sim/random.ts';
import { type Definitions, definitionsText, randomDefinitions } from './definitions.ts';
import { randomLines, type Temper } from './stream.ts';
import type { Trial } from './trial.ts';

export interface Case extends Omit<Trial, 'definitions' | 'latenessMs'> {
  definitions: Definitions;
}

/** Enough for tiles to fill, merge and expire; few enough for the oracle to answer everything. */
const LINES_MIN = 30;
const LINES_MAX = 220;

export async function randomCase(seed: number, temper: Temper = 'wild'): Promise<Case> {
  const random = new Random(seed);
  const definitions = await randomDefinitions(random);
  const lines = randomLines(definitions, LINES_MIN + random.below(LINES_MAX - LINES_MIN), temper, random);
  const isWall = temper === 'wild' && random.chance(0.15);
  const maxJumpMs = random.pick([MAX_JUMP_DEFAULT_MS, MAX_JUMP_DEFAULT_MS, 2 * 86_400_000]);
  return {
    definitions,
    lines,
    clock: { kind: isWall ? 'wall' : 'event', maxJumpMs },
    arrivalsMs: isWall ? arrivals(lines, random) : null,
    runSeed: random.below(2 ** 31),
  };
}

/** About when the events say that they happened, and never backward. */
function arrivals(lines: string[], random: Random): number[] {
  let lastMs = 0;
  return lines.map(line => {
    const saidMs = Date.parse(/"_?time":"([^"]*)"/.exec(line)?.[1] ?? '');
    const ms = Number.isNaN(saidMs) || saidMs > Date.UTC(2005, 0) ? lastMs : saidMs + random.below(900_000) - 600_000;
    lastMs = Math.max(lastMs, ms);
    return lastMs;
  });
}

export function trialOf({ definitions, ...rest }: Case): Trial {
  return { definitions: definitionsText(definitions), latenessMs: definitions.latenessMs, ...rest };
}

/** Failures that were found once, shrunk: they are tried before anything else. */
export const REGRESSIONS = join(import.meta.dir, '../regressions');

const DEFINITIONS = 'definitions.yaml';
const EVENTS = 'events.ndjson';
const SETTINGS = 'case.json';

/** Why a trial is kept. */
export interface Reason {
  /** What was wrong. */
  found: string;
  seed: number | null;
  commit: string | null;
}

export function keepTrial(folder: string, { definitions, lines, ...settings }: Trial, reason: Reason): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, DEFINITIONS), definitions);
  writeFileSync(join(folder, EVENTS), lines.map(line => `${line}\n`).join(''));
  writeFileSync(join(folder, SETTINGS), `${JSON.stringify({ ...reason, ...settings }, null, 2)}\n`);
}

export function keptTrial(folder: string): Trial {
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const { latenessMs, clock, arrivalsMs, runSeed } = JSON.parse(read(SETTINGS)) as Trial;
  const lines = read(EVENTS).split('\n').slice(0, -1);
  return { definitions: read(DEFINITIONS), lines, latenessMs, clock, arrivalsMs, runSeed };
}

export function keptFolders(): string[] {
  const names = (existsSync(REGRESSIONS) ? readdirSync(REGRESSIONS, { withFileTypes: true }) : []).filter(entry =>
    entry.isDirectory(),
  );
  return names.map(({ name }) => join(REGRESSIONS, name)).sort();
}
