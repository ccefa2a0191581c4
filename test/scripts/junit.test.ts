import { expect, test } from 'bun:test';
import { countCases, failedCases } from '../../scripts/junit.ts';

test('skipped cases neither passed nor failed', () => {
  const report =
    '<?xml version="1.0"?>\n<testsuites name="bun test" tests="10" assertions="99" failures="2" skipped="3" time="1">';
  expect(countCases(report)).toEqual({ passed: 5, failed: 2 });
});

test('what is no report is refused, rather than counted as nothing', () => {
  expect(() => countCases('')).toThrow('no JUnit report');
});

test('a case that failed is told by its file, its name and its error, and no other', () => {
  const report = `<?xml version="1.0"?>
<testsuites name="bun test" tests="4" failures="2" skipped="1">
  <testsuite name="a.test.ts" file="a.test.ts">
    <testcase name="well" classname="" time="0.1" file="a.test.ts" line="1" assertions="1" />
    <testcase name="a &lt; b" classname="a" time="0.1" file="a.test.ts" line="9" assertions="1">
      <failure type="AssertionError" message="no">expected &quot;1&quot;&#10;received &quot;2&quot;&#10;</failure>
    </testcase>
    <testcase name="not here" classname="" time="0" file="a.test.ts" line="12" assertions="0">
      <skipped />
    </testcase>
    <testcase name="slow" classname="" time="60" file="b.test.ts" line="20" assertions="0">
      <failure type="TimeoutError" />
    </testcase>
  </testsuite>
</testsuites>`;
  expect(failedCases(report)).toEqual([
    { file: 'a.test.ts', name: 'a < b', error: 'expected "1"\nreceived "2"' },
    { file: 'b.test.ts', name: 'slow', error: 'TimeoutError' },
  ]);
});
