import { cellJson } from '../../http/columnar.ts';
import type { FeatureColumn } from '../../kernel/feature_column.ts';
import { isList } from '../../kernel/feature_column.ts';
import type { Frame, FrameShape } from './frame.ts';

/**
 * A table as CSV (RFC 4180, lines ending in a newline alone): a header, then a row a line. Nulls are empty, texts as they are and an empty one in quotes, lists and
 * the like as JSON.
 */
export function csvFrame(shapes: FrameShape[]): Frame {
  const header = `${shapes.map(({ name }) => quoted(name)).join(',')}\n`;
  let isFirst = true;
  return {
    batch({ count, columns }) {
      const cells = columns.map(column => cellText(column as FeatureColumn));
      let text = isFirst ? header : '';
      isFirst = false;
      for (let row = 0; row < count; row++) text += `${cells.map(cell => cell(row)).join(',')}\n`;
      return [new TextEncoder().encode(text)];
    },
    end: () => (isFirst ? [new TextEncoder().encode(header)] : []),
  };
}

function cellText(column: FeatureColumn): (row: number) => string {
  const { values, nulls, type } = column;
  const json = cellJson(column);
  if (type.kind === 'string' && !isList(values))
    return row => (nulls[row] ? '' : quoted((values as string[])[row]!) || '""');
  if (type.kind === 'time') return row => (nulls[row] ? '' : json(row).slice(1, -1));
  return row => (nulls[row] ? '' : quoted(json(row)));
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
