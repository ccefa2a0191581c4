import { afterAll } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder for each call, all gone after the test file. */
export function folders(): () => string {
  const root = mkdtempSync(join(tmpdir(), 'tilefold-test-'));
  afterAll(() => rmSync(root, { recursive: true }));
  let count = 0;
  return () => join(root, String(count++));
}
