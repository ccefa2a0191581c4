/**
 * Columns as wide as their widest cell, two spaces apart. A column is flush right where the cell below its header looks
 * like a number, else flush left.
 *
 * @param rows all of the same length, the header first
 */
export function tableText(rows: string[][]): string {
  const header = rows[0]!;
  const widths = header.map((_, column) => Math.max(...rows.map(row => Bun.stringWidth(row[column]!))));
  const isRight = header.map((_, column) => /^-?(\d|$)/.test(rows[1]?.[column] ?? ''));
  const padded = (cell: string, column: number) => {
    const gap = ' '.repeat(widths[column]! - Bun.stringWidth(cell));
    return isRight[column] ? gap + cell : cell + gap;
  };
  return rows.map(row => row.map(padded).join('  ').trimEnd()).join('\n');
}
