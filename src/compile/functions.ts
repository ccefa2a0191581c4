import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import type { Expression } from '../plan/expression.ts';
import { typeName } from '../plan/value.ts';
import { isNullLiteral } from './typing.ts';
import { CHOICES } from './functions/choices.ts';
import { type SqlFunction, type Written, fit } from './functions/function.ts';
import { LISTS } from './functions/lists.ts';
import { NUMBERS } from './functions/numbers.ts';
import { TEXTS } from './functions/texts.ts';
import { TIMES } from './functions/times.ts';

/** An operator or a clause that looks like one: it stands between its arguments, so it cannot be called. */
export const WRITTEN_BETWEEN = new Set(['||', 'LIKE', 'ILIKE', '//', '&', '|', '<<', '>>', '~']);

/** All of them, in the order of docs/functions.md. */
export const FUNCTIONS: readonly SqlFunction[] = [...TEXTS, ...TIMES, ...NUMBERS, ...LISTS, ...CHOICES];

const BY_NAME = new Map(FUNCTIONS.flatMap(of => of.names.map(name => [name, of] as const)));

export function findFunction(name: string): SqlFunction | undefined {
  return BY_NAME.get(name);
}

/** What can be called by NAME(...). */
export const CALLABLE = [...BY_NAME.keys()].filter(name => !WRITTEN_BETWEEN.has(name));

/** Checks the arguments of a call against its params, and makes it; null where that put a fault into `faults`. */
export function bindFunction(bound: Expression[], written: Written): Expression | null {
  const { name, faults, symbol } = written;
  const fn = BY_NAME.get(name);
  assert(fn, `no function ${name}`);
  const most = fn.repeats ? Infinity : fn.params.length;
  const least = fn.required ?? fn.params.length;
  if (bound.length < least || bound.length > most) {
    const range = least === most ? plural(least) : `${COUNTS[least]} or ${plural(most)}`;
    const wanted = fn.repeats ? `at least ${plural(least)}` : range;
    faults.push(new Fault('definition', `${name} wants ${wanted}, got ${bound.length}`, symbol.at));
    return null;
  }
  const args = bound.map((arg, i) => fit(arg, fn.params[Math.min(i, fn.params.length - 1)]!, written, i));
  if (args.includes(null) || !isSpelledAlike(args as Expression[], written)) return null;
  if (!isOfFirstType(args as Expression[], written)) return null;
  return fn.make(args as Expression[], written);
}

/** What is joined with texts is spelled as CAST does, which not every dialect does. */
function isSpelledAlike(args: Expression[], { name, rules, args: nodes, faults }: Written): boolean {
  if (!rules || (name !== '||' && name !== 'CONCAT')) return true;
  const odd = args.findIndex(({ type }) => !rules.spells.includes(type.kind));
  if (odd < 0) return true;
  const message = `${name} of ${typeName(args[odd]!.type)} is not supported in ${rules.name}: it is spelled otherwise there`;
  faults.push(new Fault('unsupported', message, nodes[odd]!.at));
  return false;
}

/** Where the first argument decides of which type the others are, they have to be of it. */
function isOfFirstType(args: Expression[], { name, rules, args: nodes, faults }: Written): boolean {
  if (!rules?.hasFirstType || name !== 'IFNULL') return true;
  const [first, other] = args as [Expression, Expression];
  if (first.type.kind === other.type.kind || [first, other].some(isNullLiteral)) return true;
  const message = `${nodes[1]!.text} becomes ${typeName(first.type)} in ${rules.name}, as what it stands for is: write COALESCE`;
  faults.push(new Fault('unsupported', message, nodes[1]!.at));
  return false;
}

const COUNTS = ['no', 'one', 'two', 'three'];

function plural(count: number): string {
  return `${COUNTS[count]} argument${count === 1 ? '' : 's'}`;
}
