/** In a reply that a page shows, what stands for what differs from run to run. */
const ANY = '...';

/** Why what was found is not what is shown; null where it is. `"..."` stands for any value. */
export function jsonDifference(shown: unknown, found: unknown, path = '$'): string | null {
  if (shown === ANY) return null;
  if (typeof shown !== 'object' || shown === null || typeof found !== 'object' || found === null)
    return Object.is(shown, found)
      ? null
      : `${path}: found ${JSON.stringify(found)}, shown is ${JSON.stringify(shown)}`;
  const [left, right] = [shown as Record<string, unknown>, found as Record<string, unknown>];
  for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) {
    if (!(name in left) || !(name in right)) return `${path}.${name} is ${name in left ? 'only shown' : 'not shown'}`;
    const difference = jsonDifference(left[name], right[name], `${path}.${name}`);
    if (difference) return difference;
  }
  return null;
}

/** Why the lines found are not those shown; null where they are. `...` in a line stands for any text, alone for any lines. */
export function textDifference(shown: string, found: string): string | null {
  const pattern = shown
    .trimEnd()
    .split('\n')
    .map(line => (line.trim() === ANY ? '(?:.*\\n)*?.*' : line.split(ANY).map(escaped).join('.*')))
    .join('\\n');
  const lines = found.replace(/[ \t]+$/gm, '').trimEnd();
  return new RegExp(`^${pattern}$`).test(lines) ? null : `found:\n${lines}\nshown is:\n${shown}`;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
