import { join } from 'node:path';

/**
 * Writes src/plan/folds.ts: which letters are one where case does not count, after Unicode's simple case folding, as
 * JavaScript's regular expressions with the flags `iu` have it.
 */
const LAST_CODE_POINT = 0x10ffff;

function orbits(): string[] {
  const byUpper = new Map<string, Set<string>>();
  for (let point = 0; point <= LAST_CODE_POINT; point++) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const letter = String.fromCodePoint(point);
    const others = [letter.toLowerCase(), letter.toUpperCase(), letter.toLowerCase().toUpperCase()];
    if (others.every(other => other === letter)) continue;
    const key = [...letter.toUpperCase().toLowerCase()].length === 1 ? letter.toUpperCase().toLowerCase() : letter;
    const orbit = byUpper.get(key) ?? new Set();
    for (const other of [letter, ...others]) if ([...other].length === 1 && isOne(key, other)) orbit.add(other);
    byUpper.set(key, orbit);
  }
  return merged([...byUpper.values()]).map(orbit =>
    [...orbit].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!).join(''),
  );
}

function isOne(letter: string, other: string): boolean {
  return new RegExp(`^\\u{${letter.codePointAt(0)!.toString(16)}}$`, 'iu').test(other);
}

/** Sets that share a letter are one. */
function merged(sets: Set<string>[]): Set<string>[] {
  const byLetter = new Map<string, Set<string>>();
  for (const set of sets) {
    const whole = new Set(set);
    for (const letter of set) for (const other of byLetter.get(letter) ?? []) whole.add(other);
    for (const letter of whole) byLetter.set(letter, whole);
  }
  return [...new Set(byLetter.values())].filter(set => set.size > 1);
}

const LINE_LENGTH = 96;

export function foldsSource(): string {
  const lines: string[] = [];
  for (const orbit of orbits().sort()) {
    const last = lines.at(-1);
    if (last === undefined || [...last].length + orbit.length >= LINE_LENGTH) lines.push(orbit);
    else lines[lines.length - 1] += ` ${orbit}`;
  }
  const rows = lines.map(line => `  '${line}',\n`).join('');
  return `/** Letters that are one where case does not count, side by side. Made by scripts/folds.ts: do not edit. */
export const FOLDS = [
${rows}].join(' ');
`;
}

if (import.meta.main) await Bun.write(join(import.meta.dir, '..', 'src', 'plan', 'folds.ts'), foldsSource());
