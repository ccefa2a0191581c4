import { compileRegex, REGEX_GROUPS_MAX, readReplacement } from '../plan/regex.ts';

/** What assembly/regex.ts runs over texts, as bytes. */

/** @param isWhole has all of a text to be like the pattern? */
export function programOf(pattern: string, isWhole = false): Uint8Array {
  return new Uint8Array(compileRegex(pattern, isWhole).words.buffer);
}

/** Stands where a group would. */
const NO_GROUP = 0xffffffff;

/** A row of parts: the group that stands there, the bytes of the text behind it, and that text. */
export function replacementOf(text: string): Uint8Array {
  // The compiler has held it against the groups of its pattern.
  const parts = readReplacement(text, REGEX_GROUPS_MAX);
  return Buffer.concat(
    parts.flatMap(part => {
      const bytes = new TextEncoder().encode(typeof part === 'string' ? part : '');
      return [new Uint8Array(Uint32Array.of(typeof part === 'number' ? part : NO_GROUP, bytes.length).buffer), bytes];
    }),
  );
}
