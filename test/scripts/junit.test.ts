import { expect, test } from 'bun:test';
import { countCases } from '../../scripts/junit.ts';

test('skipped cases neither passed nor failed', () => {
  const report =
    '<?xml version="1.0"?>\n<testsuites name="bun test" tests="10" assertions="99" failures="2" skipped="3" time="1">';
  expect(countCases(report)).toEqual({ passed: 5, failed: 2 });
});

test('what is no report is refused, rather than counted as nothing', () => {
  expect(() => countCases('')).toThrow('no JUnit report');
});
