import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dir, '../..');

/** Made by scripts, and tested with them. */
const GENERATED = ['docs/functions.md', 'docs/aggregates.md', 'docs/scowl_functions.md'];

/** A fenced block: what is between the fences, and what stands behind the first of them. */
export interface Fence {
  /** `README.md:31`, for messages. */
  place: string;
  language: string;
  /** The word behind the language, which says what the block is of its kind; empty where there is none. */
  kind: string;
  text: string;
}

export interface Page {
  /** From the root of the repository. */
  path: string;
  text: string;
  fences: Fence[];
}

/** README.md and every page of docs/ that is written by hand. */
export function pages(): Page[] {
  const names = readdirSync(join(ROOT, 'docs')).filter(name => name.endsWith('.md'));
  const paths = ['README.md', ...names.sort().map(name => `docs/${name}`)];
  return paths.filter(path => !GENERATED.includes(path)).map(readPage);
}

export function readPage(path: string): Page {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return { path, text, fences: fencesOf(path, text) };
}

function fencesOf(path: string, text: string): Fence[] {
  const fences: Fence[] = [];
  let open: { fence: Fence; lines: string[] } | null = null;
  for (const [i, line] of text.split('\n').entries()) {
    const info = /^```(.*)$/.exec(line)?.[1];
    if (open && info === undefined) open.lines.push(line);
    else if (open) {
      fences.push({ ...open.fence, text: open.lines.map(each => `${each}\n`).join('') });
      open = null;
    } else if (info !== undefined) {
      const [language = '', kind = ''] = info.trim().split(/\s+/);
      open = { fence: { place: `${path}:${i + 1}`, language, kind, text: '' }, lines: [] };
    }
  }
  if (open) throw new Error(`${open.fence.place}: the block has no end`);
  return fences;
}
