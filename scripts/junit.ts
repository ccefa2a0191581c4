import { readFile } from 'node:fs/promises';

/** junit.ts REPORT: writes `PASSED FAILED`, counted over the test cases of a JUnit report; skipped ones are neither. */
export function countCases(xml: string): { passed: number; failed: number } {
  const root = /<testsuites\b([^>]*)>/.exec(xml)?.[1];
  if (root === undefined) throw new Error('this is no JUnit report');
  const count = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0);
  const failed = count('failures') + count('errors');
  return { passed: count('tests') - failed - count('skipped'), failed };
}

if (import.meta.main) {
  const { passed, failed } = countCases(await readFile(process.argv[2]!, 'utf8'));
  console.log(`${passed} ${failed}`);
}
