import type { Plan } from './plan.ts';

/**
 * What the author of a definition wrote of it, in the words of the plan: names stand for what else there is. An aggregate
 * that it reads is a part of it, which has no name of its own.
 */
export function writtenText(tree: unknown, plan: Plan): string {
  return JSON.stringify(tree, (member, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (member === 'at' || member === 'type') return undefined;
    if (member !== 'aggregate') return value;
    const { keys, where, fn, tiles, event } = plan.aggregates.find(({ name }) => name === value)!;
    return { keys, where, fn, tiles, event };
  });
}
