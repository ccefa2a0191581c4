import { Fault, type Position } from '../../base/fault.ts';
import { orWhichThereAre } from '../../base/name.ts';
import { type Expression, type FunctionName, TIME_PARTS, type TimePart } from '../../plan/expression.ts';
import { TIME_FORMAT_BYTES_MAX, TimeFormatError, compileTimeFormat } from '../../plan/time_format.ts';
import { DOUBLE, INT64, STRING, TIME, type Type } from '../../plan/value.ts';
import { call, literal, literalText } from '../typing.ts';
import { FORMAT, MOMENT, PART, type SqlFunction, TEXT, type Written, param, plain } from './function.ts';

/** Microseconds of the parts that are always as long. */
export const PART_MICROS: Partial<Record<TimePart, bigint>> = {
  microsecond: 1n,
  millisecond: 1_000n,
  second: 1_000_000n,
  minute: 60_000_000n,
  hour: 3_600_000_000n,
  day: 86_400_000_000n,
  week: 604_800_000_000n,
};

const PART_ALIASES: Record<string, TimePart> = {
  dayofweek: 'dow',
  weekday: 'dow',
  isodow: 'isodow',
  dayofyear: 'doy',
  weekofyear: 'week',
  dayofmonth: 'day',
  isoyear: 'isoyear',
};

/** The parts that times can be cut at: those up to the year. */
const SPANS: readonly TimePart[] = TIME_PARTS.slice(0, TIME_PARTS.indexOf('year') + 1);

/** What is made of times: their parts, spans between them, formats; and times of numbers and texts. */
export const TIMES: SqlFunction[] = [
  {
    group: 'Times',
    names: ['EXTRACT', 'DATE_PART', 'DATEPART'],
    params: [PART, MOMENT],
    result: 'int64; double for epoch',
    note: 'Written `EXTRACT(part FROM time)` or `DATE_PART(part, time)`. Parts: year, quarter, month, week and isoyear (ISO 8601), day, dow (0 is Sunday), isodow (1 is Monday, 7 Sunday), doy, hour, minute, second; millisecond and microsecond of the minute, whole seconds included; epoch, the seconds since 1970.',
    examples: [
      ["EXTRACT(year FROM TIMESTAMP '2001-03-11T23:59:00Z')", '2001'],
      ["EXTRACT(week FROM TIMESTAMP '2000-01-01')", '52'],
      ["DATE_PART('dow', TIMESTAMP '2001-03-11')", '0'],
      ["EXTRACT(epoch FROM TIMESTAMP '1970-01-01T00:00:01.5Z')", '1.5'],
    ],
    make: ([part, time], written) => {
      if (literalText(part!)?.toLowerCase() === 'epoch') return epochOf(time!, written.at);
      const name = partOf(part!, written, TIME_PARTS, ['epoch']);
      return name && partCall('datePart', name, [time!], INT64, written.at);
    },
  },
  {
    group: 'Times',
    names: ['YEAR', 'QUARTER', 'MONTH', 'WEEK', 'DAY', 'HOUR', 'MINUTE', 'SECOND', 'MILLISECOND', 'MICROSECOND'],
    params: [MOMENT],
    result: 'int64',
    note: 'EXTRACT of that part.',
    examples: [["HOUR(TIMESTAMP '2001-03-11T23:59:00Z')", '23']],
    make: ([time], { name, at }) => partCall('datePart', name.toLowerCase() as TimePart, [time!], INT64, at),
  },
  {
    group: 'Times',
    names: ['DAYOFWEEK', 'ISODOW', 'DAYOFYEAR', 'WEEKOFYEAR', 'ISOYEAR', 'DAYOFMONTH', 'WEEKDAY'],
    params: [MOMENT],
    result: 'int64',
    note: 'EXTRACT of dow, isodow, doy, week, isoyear, day and dow.',
    examples: [["DAYOFYEAR(TIMESTAMP '2001-03-11')", '70']],
    make: ([time], { name, at }) =>
      partCall('datePart', PART_ALIASES[name.toLowerCase()] ?? 'isodow', [time!], INT64, at),
  },
  {
    group: 'Times',
    names: ['EPOCH'],
    params: [MOMENT],
    result: 'double',
    note: 'Seconds since 1970: the microseconds as a double, divided by a million.',
    examples: [["EPOCH(TIMESTAMP '1970-01-01T00:01:00Z')", '60.0']],
    make: ([time], { at }) => epochOf(time!, at),
  },
  {
    group: 'Times',
    names: ['EPOCH_MS'],
    params: [param('time', 'time', 'int64')],
    result: 'int64 of a time, time of an int64',
    note: 'Milliseconds since 1970, rounded down (DuckDB rounds to the nearest), or the time that is so many after it.',
    examples: [
      ["EPOCH_MS(TIMESTAMP '1970-01-01T00:00:01Z')", '1000'],
      ['EPOCH_MS(1000)', '1970-01-01T00:00:01Z'],
    ],
    make: ([x], { at }) =>
      x!.type.kind === 'time' ? partCall('datePart', 'epoch_ms', [x!], INT64, at) : timeOf(x!, 1000n, at),
  },
  {
    group: 'Times',
    names: ['EPOCH_US'],
    params: [MOMENT],
    result: 'int64',
    note: 'Microseconds since 1970.',
    examples: [["EPOCH_US(TIMESTAMP '1970-01-01T00:00:01Z')", '1000000']],
    make: plain('toInt64', INT64),
  },
  {
    group: 'Times',
    names: ['TO_TIMESTAMP'],
    params: [param('seconds', 'int64')],
    result: 'time',
    note: 'Seconds since 1970, whole ones.',
    examples: [['TO_TIMESTAMP(60)', '1970-01-01T00:01:00Z']],
    make: ([x], { at }) => timeOf(x!, 1_000_000n, at),
  },
  {
    group: 'Times',
    names: ['MAKE_TIMESTAMP'],
    params: [param('microseconds', 'int64')],
    result: 'time',
    note: 'Microseconds since 1970.',
    examples: [['MAKE_TIMESTAMP(1500000)', '1970-01-01T00:00:01.500Z']],
    make: ([x], { at }) => timeOf(x!, 1n, at),
  },
  {
    group: 'Times',
    names: ['STRFTIME'],
    params: [MOMENT, FORMAT],
    result: 'string',
    note: `By a format of at most ${TIME_FORMAT_BYTES_MAX} bytes: %Y %y %m %d %j, %H %I %p %M %S, %g (milliseconds), %f (microseconds), %b %B (months), %a %A (days), %u %w, %U %W, %G %V (ISO weeks), %z, %x %X %c, %%; also %F %T %R. %-d and the like have no zeros in front.`,
    examples: [
      ["STRFTIME(TIMESTAMP '2001-03-11T07:08:09Z', '%d.%m.%y %H:%M')", "'11.03.01 07:08'"],
      ["STRFTIME(DATE '2001-03-11', '%A, %-d %B %Y')", "'Sunday, 11 March 2001'"],
    ],
    make: (args, written) =>
      isTimeFormat(args[1]!, 'spell', written) ? call('formatTime', args, STRING, written.at) : null,
  },
  {
    group: 'Times',
    names: ['STRPTIME', 'TRY_STRPTIME'],
    params: [TEXT, FORMAT],
    result: 'time',
    note: 'By a format as STRFTIME has it, without weeks. Null where the text is not so. What the format leaves out is that of 1900-01-01; %z is Z, +02, +0200 or +02:00.',
    examples: [
      ["STRPTIME('11/Mar/2001:07:08:09 +0200', '%d/%b/%Y:%H:%M:%S %z')", '2001-03-11T05:08:09Z'],
      ["STRPTIME('11.3.', '%d.%m.%Y')", 'NULL'],
    ],
    make: (args, written) =>
      isTimeFormat(args[1]!, 'read', written) ? call('parseTime', args, TIME, written.at) : null,
  },
  {
    group: 'Times',
    names: ['DATE_TRUNC', 'DATETRUNC'],
    params: [PART, MOMENT],
    result: 'time',
    note: 'The start of the year, quarter, month, week (Monday), day, hour, minute, second, millisecond or microsecond.',
    examples: [
      ["DATE_TRUNC('hour', TIMESTAMP '2001-03-11T23:59:00Z')", '2001-03-11T23:00:00Z'],
      ["DATE_TRUNC('week', TIMESTAMP '2001-03-11T23:59:00Z')", '2001-03-05T00:00:00Z'],
    ],
    make: ([part, time], written) => {
      const name = partOf(part!, written, SPANS, []);
      return name && partCall('dateTrunc', name, [time!], TIME, written.at);
    },
  },
  {
    group: 'Times',
    names: ['DATE_DIFF', 'DATEDIFF'],
    params: [PART, param('from', 'time'), param('to', 'time')],
    result: 'int64',
    note: 'How many starts of the part lie after `from`, up to `to`; negative where `to` is before `from`. Weeks begin on Monday (DuckDB counts every seven days after `from`).',
    examples: [
      ["DATE_DIFF('hour', TIMESTAMP '2001-03-11T22:59:00Z', TIMESTAMP '2001-03-11T23:01:00Z')", '1'],
      ["DATE_DIFF('month', TIMESTAMP '2001-03-11', TIMESTAMP '2001-01-31')", '-2'],
    ],
    make: ([part, from, to], written) => {
      const name = partOf(part!, written, SPANS, []);
      return name && partCall('dateDiff', name, [from!, to!], INT64, written.at);
    },
  },
  {
    group: 'Times',
    names: ['DATE_SUB', 'DATESUB'],
    params: [PART, param('from', 'time'), param('to', 'time')],
    result: 'int64',
    note: 'How many whole weeks, days, hours, minutes, seconds, milliseconds or microseconds lie between `from` and `to`.',
    examples: [["DATE_SUB('hour', TIMESTAMP '2001-03-11T22:59:00Z', TIMESTAMP '2001-03-11T23:01:00Z')", '0']],
    make: makeDateSub,
  },
];

function isTimeFormat(format: Expression, use: 'read' | 'spell', { name, args, faults }: Written): boolean {
  try {
    compileTimeFormat(literalText(format)!, use);
    return true;
  } catch (error) {
    if (!(error instanceof TimeFormatError)) throw error;
    faults.push(new Fault('definition', `${name}: ${error.message}`, args[1]!.at));
    return false;
  }
}

/** The part of times that a literal names, in the singular or the plural; null where it is none of `known`. */
function partOf(part: Expression, written: Written, known: readonly TimePart[], others: string[]): TimePart | null {
  const text = literalText(part)!.toLowerCase();
  const name = PART_ALIASES[text] ?? (text.endsWith('s') ? text.slice(0, -1) : text);
  const found = known.find(one => one === name && one !== 'epoch_ms');
  if (found) return found;
  const names = [...known.filter(one => one !== 'epoch_ms'), ...others];
  const hint = orWhichThereAre(text, names);
  const message = `${written.name} knows no part "${text}"${hint}`;
  written.faults.push(new Fault('definition', message, written.args[0]!.at));
  return null;
}

function partCall(fn: FunctionName, part: TimePart, args: Expression[], type: Type, at: Position): Expression {
  return call(fn, [literal(part, STRING, at), ...args], type, at);
}

function epochOf(time: Expression, at: Position): Expression {
  const micros = call('toInt64', [time], INT64, at);
  return call('divide', [micros, literal(1_000_000n, INT64, at)], DOUBLE, at);
}

function timeOf(count: Expression, unitMicros: bigint, at: Position): Expression {
  const micros = unitMicros === 1n ? count : call('multiply', [count, literal(unitMicros, INT64, at)], INT64, at);
  return call('timeOfMicros', [micros], TIME, at);
}

function makeDateSub([part, from, to]: Expression[], written: Written): Expression | null {
  const { at } = written;
  const name = partOf(part!, written, SPANS, []);
  const length = name && PART_MICROS[name];
  if (!name) return null;
  if (length === undefined || length === null) {
    const message = `${written.name} of ${name}s is not supported: DATE_DIFF counts how many begin`;
    written.faults.push(new Fault('unsupported', message, written.args[0]!.at));
    return null;
  }
  const micros = (time: Expression) => call('toInt64', [time], INT64, at);
  const between = call('subtract', [micros(to!), micros(from!)], INT64, at);
  return call('quotient', [between, literal(length, INT64, at)], INT64, at);
}
