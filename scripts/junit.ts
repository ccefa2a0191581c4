import { readFile } from 'node:fs/promises';

/**
 * junit.ts REPORT: writes `PASSED FAILED`, counted over the test cases of a JUnit report; skipped ones are neither.
 * junit.ts --failures REPORT: writes the file, the name and the error of each that failed.
 */
export function countCases(xml: string): { passed: number; failed: number } {
  const root = /<testsuites\b([^>]*)>/.exec(xml)?.[1];
  if (root === undefined) throw new Error('this is no JUnit report');
  const count = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0);
  const failed = count('failures') + count('errors');
  return { passed: count('tests') - failed - count('skipped'), failed };
}

/** As Bun writes them: in the order of the report, a test's name and file in its `testcase`, its error inside it. */
export function failedCases(xml: string): { file: string; name: string; error: string }[] {
  const cases = xml.matchAll(/<testcase\b([^>]*[^/>])>(.*?)<\/testcase>/gs);
  return [...cases].flatMap(([, head = '', inside = '']) => {
    const failure = /<(failure|error)\b([^>]*?)(?:\/>|>(.*?)<\/\1>)/s.exec(inside);
    if (!failure) return [];
    const [, , said = '', text] = failure;
    return {
      file: attribute(head, 'file'),
      name: attribute(head, 'name'),
      error: text ? unescaped(text).trim() : attribute(said, 'type'),
    };
  });
}

function attribute(head: string, name: string): string {
  return unescaped(new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(head)?.[1] ?? '');
}

const NAMED: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replace(/&(?:#(\d+)|(\w+));/g, (all, code, name) =>
    code ? String.fromCodePoint(Number(code)) : (NAMED[name] ?? all),
  );
}

if (import.meta.main) {
  const report = await readFile(process.argv.at(-1)!, 'utf8');
  if (process.argv.includes('--failures')) {
    for (const { file, name, error } of failedCases(report))
      console.log(`${file}: ${name}\n${error.replace(/^/gm, '  ')}`);
  } else {
    const { passed, failed } = countCases(report);
    console.log(`${passed} ${failed}`);
  }
}
