/**
 * chart.ts [RESULT...] [--out SVG]: the ratios of a run of the benchmark as horizontal bars, on a log scale. RESULT is what
 * bench.ts has written, .cache/bench.json by default: several where its parts were run one by one. SVG is docs/bench.svg by
 * default.
 *
 * Bars to the right of 1 are work that tilefold does faster (or in less), to the left what the peer does. The picture is
 * read on light and on dark pages: it has no background, and its texts take the page's side by the reader's preference.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Row, ratioOf } from './measure.ts';

const ROOT = join(import.meta.dir, '../..');

/** What bench.ts writes. */
export interface BenchResult {
  machine: string[];
  rows: Row[];
}

const WIDTH = 960;
/** Of the texts left of the bars, and of the numbers right of them. */
const LABEL_WIDTH = 400;
const NUMBER_WIDTH = 130;
const ROW_HEIGHT = 30;
const BAR_HEIGHT = 14;
const AXIS_HEIGHT = 34;
const LINE_HEIGHT = 16;
/** Pixels of a character of the small texts, about: longer lines are broken. */
const CHARACTER_WIDTH = 5.6;

const STYLE = `
    text { font: 12px system-ui, sans-serif; fill: #24292f; }
    .small { font-size: 10.5px; fill: #57606a; }
    .grid { stroke: #d0d7de; }
    .one { stroke: #57606a; }
    .better { fill: #1a7f37; }
    .worse { fill: #bc4c00; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .small { fill: #9198a1; }
      .grid { stroke: #3d444d; }
      .one { stroke: #9198a1; }
      .better { fill: #3fb950; }
      .worse { fill: #f0883e; }
    }
  `;

interface Bar {
  row: Row;
  ratio: number;
}

/** @throws Error where no row has a peer */
export function chartSvg({ machine, rows }: BenchResult): string {
  const bars = rows.flatMap((row): Bar[] => {
    const ratio = ratioOf(row);
    return ratio === null ? [] : [{ row, ratio }];
  });
  if (bars.length === 0) throw new Error('no row of this run has a peer to be compared with');
  const scale = scaleOf(bars.map(({ ratio }) => ratio));
  const bottom = AXIS_HEIGHT + bars.length * ROW_HEIGHT;
  const notes = ['Ratios, on a log scale: right of 1 tilefold is better.', ...machine].flatMap(brokenLines);
  const height = bottom + 8 + notes.length * LINE_HEIGHT + 8;
  const summary = bars.map(({ row, ratio }) => `${row.work}: ${ratioText(ratio)} of ${row.peer!.name}`).join('; ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `  <title>tilefold beside others</title>`,
    `  <desc>${escaped(summary)}</desc>`,
    `  <style>${STYLE}</style>`,
    ...scale.ticks.flatMap(tick => tickLines(tick, scale.at(tick), bottom)),
    ...bars.flatMap((bar, i) => barLines(bar, AXIS_HEIGHT + i * ROW_HEIGHT, scale.at)),
    ...notes.map((text, i) => textLine(8, bottom + 8 + (i + 1) * LINE_HEIGHT, text, 'class="small"')),
    '</svg>',
    '',
  ].join('\n');
}

/** From the power of ten below the least ratio to the one above the greatest; 1 is always on it. */
function scaleOf(ratios: number[]): { ticks: number[]; at: (ratio: number) => number } {
  const from = Math.min(-1, Math.floor(Math.log10(Math.min(...ratios))));
  const to = Math.max(1, Math.ceil(Math.log10(Math.max(...ratios))));
  const width = WIDTH - LABEL_WIDTH - NUMBER_WIDTH;
  const at = (ratio: number) => LABEL_WIDTH + (width * (Math.log10(ratio) - from)) / (to - from);
  return { ticks: Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i)), at };
}

function tickLines(tick: number, x: number, bottom: number): string[] {
  const kind = tick === 1 ? 'one' : 'grid';
  return [
    textLine(x, AXIS_HEIGHT - 14, `${Number(tick.toPrecision(1))}x`, 'class="small" text-anchor="middle"'),
    `  <line class="${kind}" x1="${px(x)}" x2="${px(x)}" y1="${AXIS_HEIGHT - 6}" y2="${bottom}"/>`,
  ];
}

function barLines({ row, ratio }: Bar, top: number, at: (ratio: number) => number): string[] {
  const [from, to] = [Math.min(at(1), at(ratio)), Math.max(at(1), at(ratio))];
  const middle = top + ROW_HEIGHT / 2;
  const place = `x="${px(from)}" y="${middle - BAR_HEIGHT / 2}" width="${px(to - from)}" height="${BAR_HEIGHT}"`;
  return [
    textLine(LABEL_WIDTH - 10, middle - 2, row.work, 'text-anchor="end"'),
    textLine(LABEL_WIDTH - 10, middle + 11, `beside ${row.peer!.name}`, 'class="small" text-anchor="end"'),
    `  <rect class="${ratio >= 1 ? 'better' : 'worse'}" ${place} rx="2"/>`,
    textLine(Math.max(to, at(1)) + 6, middle + 4, ratioText(ratio), ''),
  ];
}

/** Two digits that count. */
function ratioText(ratio: number): string {
  return `${ratio >= 10 ? Math.round(ratio).toLocaleString('en') : Number(ratio.toPrecision(2))}x`;
}

function brokenLines(text: string): string[] {
  const charactersMax = Math.floor((WIDTH - 16) / CHARACTER_WIDTH);
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1) ?? ''} ${word}`;
    if (lines.length > 0 && longer.length <= charactersMax) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function textLine(x: number, y: number, text: string, attributes: string): string {
  return `  <text x="${px(x)}" y="${px(y)}" ${attributes}>${escaped(text)}</text>`;
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** What one run would have written. What is said of the machine is said once. */
function joined(results: BenchResult[]): BenchResult {
  return {
    machine: [...new Set(results.flatMap(({ machine }) => machine))],
    rows: results.flatMap(({ rows }) => rows),
  };
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string', default: join(ROOT, 'docs/bench.svg') } },
  });
  const paths = positionals.length > 0 ? positionals : [join(ROOT, '.cache/bench.json')];
  const results = await Promise.all(paths.map(async path => (await Bun.file(path).json()) as BenchResult));
  await Bun.write(values.out, chartSvg(joined(results)));
  console.log(`wrote ${values.out}`);
}
