import { itemsMax } from '../plan/plan.ts';
import type { Kernel } from './instance.ts';
import type { AnswerFeature, AnswerLayout } from './layout.ts';

/** What the lists of an answer's frame may come to, texts included: so many fewer rows are answered at once. */
const LIST_BYTES_MAX = 64 << 20;

/** How many rows of an answer with these features are finished together. */
export function rowsAtOnce(
  kernel: Kernel,
  features: { answer: AnswerLayout; features: Pick<AnswerFeature, 'cells'>[] }[],
): number {
  const { ANSWER_ROWS, RECENT_TEXT_MAX_BYTES } = kernel.exports;
  const cellBytes = (answer: AnswerLayout, member: number): number => {
    const { fn } = answer.members[member]!.aggregate;
    const textBytes = fn.args[0]?.type.kind === 'string' ? RECENT_TEXT_MAX_BYTES.value : 0;
    return itemsMax(fn) * (NESTED_ITEM_SIZE + textBytes);
  };
  const rowBytes = features.flatMap(of =>
    of.features.flatMap(({ cells }) => cells.map(({ member }) => cellBytes(of.answer, member))),
  );
  // A program makes the series of all features, asked for or not.
  const seriesBytes = features.flatMap(({ answer }) => [...answer.features.values()].map(seriesSize));
  const most = Math.floor(LIST_BYTES_MAX / [...rowBytes, ...seriesBytes].reduce((sum, bytes) => sum + bytes, 1));
  return Math.max(1, Math.min(ANSWER_ROWS.value, most));
}

/** A series of windows is a list, too. */
function seriesSize({ feature: { expression } }: AnswerFeature): number {
  return expression.kind === 'call' && expression.fn === 'list' ? (expression.args.length + 2) * NESTED_ITEM_SIZE : 0;
}

/** A cell and its null byte. */
const NESTED_ITEM_SIZE = 9;
