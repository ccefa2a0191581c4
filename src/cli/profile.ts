import type { State } from '../base/metrics.ts';
import { STAGES, type StageMs, type ThreadStages } from '../base/stages.ts';
import { tableText } from './table.ts';

/** What `--profile` tells: what was done, and where the time went. */
export type Profiled = Pick<State, 'recordsFolded' | 'rowsWritten' | 'rowsLoaded' | 'stages'>;

/** `--profile`, as every command that has it says it. */
export const PROFILE = ['--profile', 'at the end, where the time went, stage by stage, on standard error'] as const;

/**
 * Stages down, threads across, in seconds; and what the whole of it came to.
 *
 * @param seconds from the start to the end, by the wall
 */
export function profileText({ recordsFolded, rowsWritten, rowsLoaded, stages }: Profiled, seconds: number): string {
  const all = { thread: 'all', ms: summed(stages) };
  const columns = stages.length > 1 ? [...stages, all] : stages;
  const total = totalOf(all.ms);
  const known = STAGES.filter(stage => all.ms[stage] > 0);
  const rows = known.map(stage => {
    const cells = columns.map(({ ms }) => secondsText(ms[stage]));
    return [stage, ...cells, `${((100 * all.ms[stage]) / total).toFixed(1)}%`];
  });
  const sums = ['all', ...columns.map(({ ms }) => secondsText(totalOf(ms))), ''];
  const header = ['seconds', ...columns.map(({ thread }) => thread), 'share'];
  const perMillion = (count: number) => Math.round((count / recordsFolded) * 1e6);
  const rate = `${recordsFolded} events in ${seconds.toFixed(1)} s: ${Math.round(recordsFolded / seconds)} events/s`;
  const touched = `for each million events: ${perMillion(rowsWritten)} rows written, ${perMillion(rowsLoaded)} read back`;
  return [tableText([header, ...rows, sums]), '', rate, ...(recordsFolded > 0 ? [touched] : [])].join('\n');
}

function summed(stages: ThreadStages[]): StageMs {
  const sums = STAGES.map(stage => [stage, stages.reduce((sum, { ms }) => sum + ms[stage], 0)]);
  return Object.fromEntries(sums) as StageMs;
}

function totalOf(ms: StageMs): number {
  return STAGES.reduce((sum, stage) => sum + ms[stage], 0);
}

function secondsText(ms: number): string {
  return ms === 0 ? '-' : (ms / 1000).toFixed(2);
}
