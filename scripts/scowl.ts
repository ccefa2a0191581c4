import { join } from 'node:path';
import { AGGREGATES, type ScowlAggregate } from '../src/compile/scowl/aggregates.ts';
import { FUNCTIONS, kindsText, type Param, type ScowlFunction } from '../src/compile/scowl/library.ts';

/**
 * Writes docs/scowl_functions.md, out of the tables that the compiler checks and makes calls by. A test keeps the page as it is made
 * here, and computes every example.
 */
const HEAD = `# Functions of topologies

What [topologies](scowl.md) can call. \`f(x, y)\` may also be written \`x.f(y)\`. Unless a line says otherwise a null argument gives
null, without an error. Of an operation that cannot be done the value is null, and the error is what stands here behind *error*;
what becomes of errors is told [there](scowl.md#nulls-and-errors). All times are UTC, and a duration is an int of nanoseconds.

This page is made by \`bun scripts/scowl.ts\`; a test computes its examples.
`;

const GROUPS: ScowlFunction['group'][] = ['Choices', 'Conversions', 'Numbers', 'Texts', 'Times'];

export function scowlFunctionsPage(): string {
  const sections = GROUPS.map(group =>
    section(
      group,
      FUNCTIONS.filter(fn => fn.group === group),
    ),
  );
  return [HEAD, ...sections, aggregatesSection()].join('\n');
}

function section(title: string, functions: ScowlFunction[]): string {
  return [`## ${title}`, '', '| | gives | | |', '|---|---|---|---|', ...functions.map(rowOf), ''].join('\n');
}

function rowOf(fn: ScowlFunction): string {
  const types = fn.params.flatMap(({ name, kinds, literal }) =>
    kinds ? [`${name}: ${kindsText(kinds)}${literal ? ', a literal' : ''}`] : [],
  );
  const form = [`\`${fn.name}(${paramsOf(fn)})\``, ...types].join('<br>');
  const note = [fn.note, fn.error === undefined ? '' : `Error: *${fn.error}*.`].filter(text => text !== '').join(' ');
  const examples = fn.examples.map(([scowl, value]) => `\`${scowl}\` = \`${value}\``).join('<br>');
  return `| ${[form, fn.result, note, examples].map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function paramsOf({ params, required = params.length, repeats = false }: ScowlFunction): string {
  const text = (list: Param[]) => list.map(({ name }) => name).join(', ');
  const optional = params.slice(required);
  const tail = optional.length > 0 ? `[, ${text(optional)}]` : '';
  return text(params.slice(0, required)) + tail + (repeats ? ', ...' : '');
}

const TAKES: Record<ScowlAggregate['takes'], string> = {
  scalars: 'bool, int, float, string, time',
  numbers: 'int, float, bool',
  vectors: 'a list of floats',
};

function aggregatesSection(): string {
  const rows = [...AGGREGATES.values()].map(aggregate => {
    const { name, value, takes, result, gives, limit, isApproximate, last, over } = aggregate;
    const form = `\`${name}(${value === 'optional' ? '[x]' : 'x'} ...)\``;
    const clauses = [
      limit && `\`limit\`: ${limit.means}, 1 to ${limit.max}${limit.isWanted ? '' : `, ${limit.byDefault} without it`}`,
      last === 'halfLife' && '`last` is the half-life, and has to be there',
      isApproximate && 'no `after`',
      over && 'several events',
    ].filter(text => text);
    const cells = [form, TAKES[takes], result, gives, clauses.join('; ')];
    return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return ['## Aggregates', '', '| | of | is | gives | |', '|---|---|---|---|---|', ...rows, ''].join('\n');
}

if (import.meta.main) await Bun.write(join(import.meta.dir, '..', 'docs', 'scowl_functions.md'), scowlFunctionsPage());
