import { join } from 'node:path';
import { AGGREGATES, formsOf, isLinear, kindsText, type SqlAggregate } from '../src/compile/aggregates.ts';

/** Writes docs/aggregates.md, out of the table that the compiler reads and checks aggregates by. A test keeps the page as it is made here. */
const HEAD = `# Aggregates

What SQL in a feature set can aggregate events by. Names are DuckDB's, and so are the values, but where a line says
otherwise. All but \`COUNT(*)\` pass over nulls. What is written behind a value is a literal: it is a part of what is stored.

**Linear** aggregates are sums: each event adds its part, and one of weight -1 takes it away again, to the last bit.
**Monotone** ones only ever get closer to their end, so they stand over append-only events alone. Neither depends on
the order in which events come, on batches, or on how many machines fold them.

A window merges the states of its tiles, and finishes what comes of that: an error does not grow with the number of tiles. *Stored*
is how many bytes a state has in a row, of which there is one for each key and tile; *an event costs* what is done for each
event and level of tiles.

How long ago the latest event was is computed when it is read: \`TIME_SINCE_LAST()\`, or of events where a value is not
null \`TIME_SINCE_LAST(x)\`, is an int64 of microseconds, short for \`EPOCH_US(NOW()) - EPOCH_US(MAX(_time))\`.

This page is made by \`bun scripts/aggregates.ts\`.
`;

export function aggregatesPage(): string {
  const linear = AGGREGATES.filter(isLinear);
  const monotone = AGGREGATES.filter(each => !isLinear(each));
  return [HEAD, section('Linear', linear), section('Monotone', monotone), parametersSection()].join('\n');
}

function section(title: string, aggregates: SqlAggregate[]): string {
  const rows = aggregates.map(rowOf);
  const head = ['| | of | gives | stored | error | an event costs |', '|---|---|---|---|---|---|'];
  return [`## ${title}`, '', ...head, ...rows, ''].join('\n');
}

const TAKES = { all: 'any type, lists and structs too', scalars: 'any scalar', vectors: 'a list of doubles' };

function rowOf(aggregate: SqlAggregate): string {
  const { takes, gives, stored, error, cost } = aggregate;
  const forms = formsOf(aggregate)
    .map(form => `\`${form}\``)
    .join('<br>');
  const of = typeof takes === 'string' ? TAKES[takes] : kindsText(takes);
  return `| ${[forms, of, gives, stored, error, cost].map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** What is written behind values, by aggregate. */
function parametersSection(): string {
  const rows = AGGREGATES.flatMap(({ names, params }) =>
    params.map(
      ({ name, wants, isOptional }) =>
        `| \`${names[0]}\` | \`${name}\` | ${wants}${isOptional ? '; may be left out' : ''} |`,
    ),
  );
  return ['## Behind the value', '', '| | | |', '|---|---|---|', ...rows, ''].join('\n');
}

if (import.meta.main) await Bun.write(join(import.meta.dir, '..', 'docs', 'aggregates.md'), aggregatesPage());
