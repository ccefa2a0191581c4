export function bytesOf(lines: string[]): Uint8Array {
  return new TextEncoder().encode(lines.map(line => `${line}\n`).join(''));
}

/** The lines of a block, whose last one may lack its newline. */
export function linesOf(bytes: Uint8Array): string[] {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
