/** A feature's whole name, `set:alias_window`, is at most about this long; what is longer was not mistyped. */
const LENGTH_MAX = 300;

/** `; did you mean "x"?` for the known name nearest to a mistyped one, or nothing where none is near. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const nearest = nearestName(name, known);
  return nearest === null ? '' : `; did you mean "${nearest}"?`;
}

/** The same, and where none is near `; there are a, b`: for names that are few. */
export function orWhichThereAre(name: string, known: readonly string[]): string {
  return didYouMean(name, known) || `; there are ${known.join(', ') || 'none'}`;
}

/** The known name that takes the fewest edits to reach, if those are at most a third of its letters (one of two). */
function nearestName(name: string, known: Iterable<string>): string | null {
  if (name.length > LENGTH_MAX) return null;
  let best: string | null = null;
  let bestEdits = Math.min(Math.max(1, Math.floor(name.length / 3)), name.length - 1) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) >= bestEdits) continue;
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < bestEdits) [best, bestEdits] = [candidate, edits];
  }
  return best;
}

/** Letters to insert, delete, replace or swap with their neighbour to make one text of the other. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min(previous[j]! + 1, current[j - 1]! + 1, replaced);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) current[j] = Math.min(current[j]!, before[j - 2]! + 1);
    }
    [before, previous] = [previous, current];
  }
  return previous[b.length]!;
}
