import { Fault } from '../base/fault.ts';
import type { Position } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import { compileRegex, RegexError } from '../plan/regex.ts';
import type { Construct } from '../plan/regex.ts';
import type { Dialect } from './dialect.ts';
import { PART_MICROS } from './functions/times.ts';
import { readInterval, timesInterval } from './interval.ts';
import type { CastKind, Rules, SqlNode, Word } from './node.ts';
import { insteadOfJson, JSON_CALLS, jsonSteps, REFUSED_FUNCTIONS } from './unsupported.ts';

/** A call of a dialect as it was written. */
export interface Call {
  name: string;
  symbol: Word;
  args: SqlNode[];
  place: { at: Position; text: string };
}

/**
 * A call of a dialect -> what it is in DuckDB: its row in the dialect's table, with the arguments put where the row has
 * their names. Arguments keep their places; what the row adds is where the call is.
 *
 * @param read reads an expression of the table, in DuckDB's dialect
 * @throws Fault where the dialect has no such call, or not with these arguments
 */
export function spell(dialect: Dialect, call: Call, read: (ours: string) => SqlNode): SqlNode {
  const { name, args, symbol, place } = call;
  const to = castOf(dialect, name);
  if (to && args.length === 1) return { kind: 'cast', of: args[0]!, to, rules: dialect.rules, ...place };
  const rows = dialect.calls.map(([theirs, ours]) => ({ ...paramsOf(theirs), ours }));
  const named = rows.filter(row => row.name.toUpperCase() === name);
  const row = named.find(({ params }) => params === null || params.length === args.length);
  if (!row) throw unknown(dialect, call, named);
  if (!row.params)
    return { kind: 'function', name: row.ours, symbol, args, rules: rulesBeside(dialect.rules, args), ...place };
  const given = new Map(row.params.map((param, i) => [param, argument(dialect, call, param, args[i]!)]));
  const field = given.get('field');
  if (field) return spellField(dialect, { ...call, args: [field, given.get('time')!] }, read);
  const unit = given.get('unit');
  if (unit) return shifted(given.get('time')!, given.get('n')!, literalText(unit)!, call);
  return replaced(read(row.ours), given, call, dialect);
}

/** Rules of what compares values: one of them may say that it is compared by its bytes, whatever stands beside it. */
export function rulesBeside(rules: Rules, compared: SqlNode[]): Rules {
  const bytes = rules.texts === 'collated' && compared.find(one => one.rules && one.rules.texts !== 'collated');
  return bytes ? { ...rules, texts: bytes.rules!.texts } : rules;
}

/** EXTRACT(field FROM time): the field by the dialect's table. */
export function spellField(dialect: Dialect, call: Call, read: (ours: string) => SqlNode): SqlNode {
  const [field, time] = call.args as [SqlNode, SqlNode];
  const name = (field.kind === 'name' ? field.name : (literalText(field) ?? '')).toUpperCase();
  const ours = dialect.fields[name];
  if (ours === undefined) {
    const known = Object.keys(dialect.fields);
    const hint = didYouMean(name, known) || `; there are ${known.join(', ').toLowerCase() || 'none'}`;
    throw new Fault('unsupported', `EXTRACT of ${name} is not supported in ${dialect.rules.name}${hint}`, field.at);
  }
  return replaced(read(ours), new Map([['time', time]]), call, dialect);
}

/**
 * FLOOR(time TO part) is a call of its own, named `FLOOR TO`, and so are POSITION(a IN b), `POSITION IN`, and
 * splitByChar(a, b)[n], `splitByChar []`.
 */
export function paramsOf(theirs: string): { name: string; params: string[] | null } {
  const [, counted] = /^(\w+)\(\*\)$/.exec(theirs) ?? [];
  if (counted !== undefined) return { name: `${counted} *`, params: [] };
  const [, name, list, index] = /^(\w+)\((.*)\)(?:\[(\w+)\])?$/.exec(theirs) ?? [];
  if (name === undefined) return { name: theirs, params: null };
  const word = ['TO', 'IN'].find(one => list!.includes(` ${one} `));
  if (word) return { name: `${name} ${word}`, params: list!.split(` ${word} `) };
  return index ? { name: `${name} []`, params: [...list!.split(', '), index] } : { name, params: list!.split(', ') };
}

/** Does a dialect have a call of this name, in capitals? */
export function hasCall({ calls }: Dialect, name: string): boolean {
  return calls.some(([theirs]) => paramsOf(theirs).name.toUpperCase() === name);
}

function castOf({ casts = [] }: Dialect, name: string): CastKind | undefined {
  return casts.find(([theirs]) => theirs.toUpperCase() === name)?.[1];
}

function unknown(
  { rules, calls, ...dialect }: Dialect,
  { name, symbol, args }: Call,
  rows: { params: string[] | null }[],
): Fault {
  if (rows.length > 0) {
    const counts = rows.map(({ params }) => params?.length).join(' or ');
    return new Fault('definition', `${name} wants ${counts} arguments in ${rules.name}, got ${args.length}`, symbol.at);
  }
  if (JSON_CALLS.includes(name))
    return new Fault('unsupported', `${name} is not supported: ${insteadOfCall(args)}`, symbol.at);
  const instead = dialect.instead?.[name] ?? REFUSED_FUNCTIONS.get(name);
  const known = [...new Set(calls.map(([theirs]) => paramsOf(theirs).name))];
  const hint = instead ? `: ${instead}` : didYouMean(name, known) || '; docs/functions.md lists those that are';
  return new Fault('unsupported', `${name} is not supported in ${rules.name}${hint}`, symbol.at);
}

/** JSON_VALUE(a, '$.b') and JSONExtractString(a, 'b') are an input at $.data.a.b, and of `data` itself one at $.data.b. */
function insteadOfCall([of, ...path]: SqlNode[]): string {
  const parts = path.map(step => jsonSteps(literalText(step) ?? ''));
  const steps = path.length > 0 && !parts.includes(null) ? (parts as string[][]).flat() : null;
  if (of?.kind !== 'name' || !steps) return insteadOfJson(null);
  const names = [...(of.table ? [of.table.name] : []), of.name].filter((name, i) => i > 0 || name !== 'data');
  return insteadOfJson([...names, ...steps]);
}

/** An argument as its param wants it. */
function argument(dialect: Dialect, { name }: Call, param: string, node: SqlNode): SqlNode {
  const { rules, parts } = dialect;
  const value = node.kind === 'literal' ? node.value : undefined;
  const wanted = (what: string) =>
    new Fault('unsupported', `${name} wants ${what} in ${rules.name} here, got ${node.text}: others differ`, node.at);
  switch (param) {
    case 'part':
    case 'cut':
    case 'elapsed':
    case 'unit': {
      const word = (node.kind === 'name' ? node.name : (literalText(node) ?? '')).toUpperCase();
      const part = parts[word] || parts[word.replace(/S$/, '')];
      if (part === 'week' && param === 'cut')
        throw new Fault(
          'unsupported',
          `${name} WEEK is not supported: weeks begin on Sundays in ${rules.name}, and on Mondays here`,
          node.at,
        );
      if (part === 'week' && param === 'elapsed')
        throw new Fault(
          'unsupported',
          `${name} of WEEK is not supported in ${rules.name}: write the quotient of days and 7`,
          node.at,
        );
      if (part) return { kind: 'literal', value: part, at: node.at, text: node.text };
      const known = Object.keys(parts).filter(one => parts[one]);
      const hint = didYouMean(word, known) || `; there are ${known.join(', ').toLowerCase()}`;
      throw new Fault('unsupported', `${name} of ${node.text} is not supported in ${rules.name}${hint}`, node.at);
    }
    case 'start':
    case 'count': {
      const least = param === 'start' ? 1n : 0n;
      if (typeof value === 'bigint' && value >= least) return node;
      throw wanted(`a number from ${least} on as ${param}`);
    }
    case 'filler':
      if (typeof value === 'string' && value !== '') return node;
      throw wanted('a text between quotes that is not empty');
    case 'monday':
      if (value === 1n) return node;
      throw wanted('1, for weeks that begin on Mondays');
    case 'span': {
      const micros = node.kind === 'interval' && node.count === null && node.months === 0n ? node.micros : 0n;
      if (micros <= 0n || /week/i.test(node.text) || (DAY_MICROS % micros !== 0n && micros % DAY_MICROS !== 0n))
        throw wanted('an INTERVAL of days, or of what a day is a multiple of');
      return { kind: 'literal', value: micros, at: node.at, text: node.text };
    }
    case 'step':
      if (node.kind === 'interval') return node;
      throw wanted('an INTERVAL');
    case 'pattern':
      checkPattern(dialect, name, node);
      return node;
    case 'ungrouped':
      checkPattern(dialect, name, node);
      if (typeof value === 'string' && groupsOf(value) === 0) return node;
      throw wanted('a pattern without groups; (?: ) is none');
    default:
      return node;
  }
}

const DAY_MICROS = PART_MICROS.day!;

function groupsOf(pattern: string): number | null {
  try {
    return compileRegex(pattern).groups;
  } catch (error) {
    if (error instanceof RegexError) return null;
    throw error;
  }
}

/** Refuses parts of a pattern that another engine reads otherwise. What is no pattern at all is found where it is bound. */
export function checkPattern(dialect: Dialect, name: string, node: SqlNode): void {
  const { regex, rules } = dialect;
  checkEmpty(dialect, name, node);
  if (regex === 're2') return;
  if (regex.length === 0)
    throw new Fault('unsupported', `${name} is not supported in ${rules.name}: write LIKE`, node.at);
  const pattern = literalText(node);
  if (pattern === null || groupsOf(pattern) === null) return;
  for (const construct of compileRegex(pattern).constructs.keys()) {
    if (regex.includes(construct)) continue;
    const message = `${name}: ${construct} does not mean the same in ${rules.name} and here${PATTERN_HINTS[construct] ?? ''}`;
    throw new Fault('unsupported', message, node.at);
  }
}

/** Of LIKE as well. */
export function checkEmpty({ hasOddEmpty, rules }: Dialect, name: string, pattern: SqlNode): void {
  if (!hasOddEmpty || literalText(pattern) !== '') return;
  const message = `${name} of an empty pattern does not mean the same in ${rules.name} and here: write = ''`;
  throw new Fault('unsupported', message, pattern.at);
}

const PATTERN_HINTS: Partial<Record<Construct, string>> = {
  '.': ': write a class, like [^,]',
  $: ', before a line end at the end of the text',
  '\\d': ': write [0-9]',
  '\\w': ': write [0-9A-Za-z_]',
  '\\s': ': write a class, like [ \t]',
  '[[:class:]]': ': write [A-Za-z] or the like',
  '(?flags)': ': write LOWER(text), or classes like [Aa]',
};

function literalText(node: SqlNode): string | null {
  return node.kind === 'literal' && typeof node.value === 'string' ? node.value : null;
}

/** DATEADD(unit, n, time) */
function shifted(time: SqlNode, n: SqlNode, unit: string, { symbol, place }: Call): SqlNode {
  const count = n.kind === 'literal' && typeof n.value === 'bigint' ? n.value : null;
  const interval = readInterval(`${count ?? 1} ${unit}`);
  if (typeof interval === 'string') throw new Fault('unsupported', interval, n.at);
  const step: SqlNode = { kind: 'interval', ...interval, count: count === null ? n : null, ...place };
  return { kind: 'operator', fn: 'add', symbol, args: [time, step], ...place };
}

/** A node of the table with arguments for its names. */
function replaced(node: SqlNode, given: Map<string, SqlNode>, call: Call, dialect: Dialect): SqlNode {
  const inner = (one: SqlNode) => replaced(one, given, call, dialect);
  const { symbol, place } = call;
  const here = <T extends SqlNode>(one: T): T => ({ ...one, ...place });
  const sign = (written: Word): Word => ({ name: written.name, at: symbol.at });
  switch (node.kind) {
    case 'name':
      return given.get(node.name) ?? here(node);
    case 'operator':
      return here({ ...node, symbol: sign(node.symbol), args: node.args.map(inner) });
    case 'function': {
      // How values are spelled is the dialect's business, wherever they are joined.
      const rules = ['||', 'IFNULL'].includes(node.name) ? dialect.rules : undefined;
      return here({ ...node, symbol: sign(node.symbol), args: node.args.map(inner), rules });
    }
    case 'case':
      return here({
        ...node,
        operand: node.operand && inner(node.operand),
        whens: node.whens.map(({ when, result }) => ({ when: inner(when), result: inner(result) })),
        otherwise: node.otherwise && inner(node.otherwise),
      });
    case 'interval': {
      const count = node.count && inner(node.count);
      if (count?.kind !== 'literal' || typeof count.value !== 'bigint') return here({ ...node, count });
      const times = timesInterval(node, count.value);
      if (!times)
        throw new Fault('unsupported', `${symbol.name} of ${count.value} is beyond what an INTERVAL can be`, count.at);
      return here({ ...node, ...times, count: null });
    }
    case 'cast':
    case 'isNull':
      return here({ ...node, of: inner(node.of) });
    case 'aggregate':
      return here({
        ...node,
        symbol: sign(node.symbol),
        of: node.of && inner(node.of),
        params: node.params.map(inner),
        filter: node.filter && inner(node.filter),
      });
    default:
      return here(node);
  }
}
