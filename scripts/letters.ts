import { join } from 'node:path';

/**
 * Writes assembly/letters.ts: which code point each letter becomes in LOWER and UPPER, after JavaScript's own mapping,
 * which is Unicode's. Only what maps one code point to one is in it; the 102 that grow (upper case of ß is SS) or that
 * look at their neighbours stay as they are.
 */
const LAST_CODE_POINT = 0x10ffff;

/** Letters first, first + stride ... last, each of which becomes itself + delta. */
interface Run {
  first: number;
  last: number;
  stride: number;
  delta: number;
}

function mapped(codePoint: number, fold: (text: string) => string): number {
  const characters = [...fold(String.fromCodePoint(codePoint))];
  return characters.length === 1 ? characters[0]!.codePointAt(0)! : codePoint;
}

function runsOf(fold: (text: string) => string): Run[] {
  const runs: Run[] = [];
  for (let codePoint = 0; codePoint <= LAST_CODE_POINT; codePoint++) {
    if (codePoint >= 0xd800 && codePoint < 0xe000) continue;
    const delta = mapped(codePoint, fold) - codePoint;
    if (delta === 0) continue;
    const run = runs.at(-1);
    const stride = run ? codePoint - run.last : 0;
    // Letters stand side by side, or capital and small in turn.
    if (run?.delta === delta && stride <= 2 && (run.first === run.last || stride === run.stride))
      Object.assign(run, { last: codePoint, stride });
    else runs.push({ first: codePoint, last: codePoint, stride: 1, delta });
  }
  return runs;
}

function table(name: string, runs: Run[]): string {
  const rows = runs.map(({ first, last, stride, delta }) => `  ${first}, ${last}, ${stride}, ${delta},\n`).join('');
  return `export const ${name}_COUNT: i32 = ${runs.length};\nexport const ${name}: usize = memory.data<i32>([\n${rows}], 4);\n`;
}

export function lettersSource(): string {
  const head =
    '/** Made by scripts/letters.ts: first and last letter of a run, their distance, and what is added to each. */\n';
  return (
    head +
    table(
      'LOWER',
      runsOf(text => text.toLowerCase()),
    ) +
    table(
      'UPPER',
      runsOf(text => text.toUpperCase()),
    )
  );
}

if (import.meta.main) await Bun.write(join(import.meta.dir, '..', 'assembly', 'letters.ts'), lettersSource());
