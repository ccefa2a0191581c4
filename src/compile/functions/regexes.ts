import { Fault } from '../../base/fault.ts';
import type { Expression, FunctionName } from '../../plan/expression.ts';
import { RegexError, compileRegex, quoteRegex, readReplacement } from '../../plan/regex.ts';
import { INT64, STRING, type Type } from '../../plan/value.ts';
import { call, literal, literalText } from '../typing.ts';
import type { Written } from './function.ts';

/** As in DuckDB, where a replacement has one digit for them too. */
const REGEX_GROUP_MAX = 9;

/** A call with a regular expression, once it is known that it can be matched in linear time. */
export function makeRegex(
  fn: FunctionName,
  type: Type,
  args: Expression[],
  optionsIndex: number,
  written: Written,
  isReplacement = false,
): Expression | null {
  const read = optionsOf(args[optionsIndex], optionsIndex, written, isReplacement);
  const regex = read?.(literalText(args[1]!)!);
  if (!regex || !isRegex(regex.pattern, written)) return null;
  const name = fn === 'regexReplace' && regex.all ? 'regexReplaceAll' : fn;
  const more = optionsIndex === 3 ? [args[2]!] : [];
  return call(name, [args[0]!, literal(regex.pattern, STRING, args[1]!.at), ...more], type, written.at);
}

export function makeRegexExtract(args: Expression[], written: Written): Expression | null {
  const [text, pattern, second, third] = args;
  const { faults, at } = written;
  const group = second ?? literal(0n, INT64, at);
  const value = group.kind === 'literal' ? (group.value as bigint) : 0n;
  const made = makeRegex('regexExtract', STRING, [text!, pattern!, group, ...(third ? [third] : [])], 3, written);
  if (!made) return null;
  const { groups } = compileRegex(literalText(pattern!)!);
  if (value >= 0n && value <= BigInt(Math.min(groups, REGEX_GROUP_MAX))) return made;
  const message = `${written.name} wants a group of the pattern, 0 to ${Math.min(groups, REGEX_GROUP_MAX)}, got ${value}`;
  faults.push(new Fault('definition', message, written.args[2]!.at));
  return null;
}

export function makeRegexReplace(args: Expression[], written: Written): Expression | null {
  const [text, pattern, replacement, options] = args;
  const made = makeRegex(
    'regexReplace',
    STRING,
    [text!, pattern!, replacement!, ...(options ? [options] : [])],
    3,
    written,
    true,
  );
  if (!made) return null;
  const { groups } = compileRegex(literalText(pattern!)!);
  try {
    readReplacement(literalText(replacement!)!, groups);
    return made;
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    written.faults.push(new Fault('definition', `${written.name}: ${error.message}`, written.args[2]!.at));
    return null;
  }
}

function isRegex(pattern: string, { name, args, faults }: Written): boolean {
  try {
    compileRegex(pattern);
    return true;
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    faults.push(new Fault('definition', `${name}: ${error.message}`, args[1]!.at));
    return false;
  }
}

interface RegexOptions {
  pattern: string;
  all: boolean;
}

/** Options stand before the pattern then, as its own syntax has them: `(?i)`. */
function optionsOf(
  of: Expression | undefined,
  index: number,
  { name, args, faults }: Written,
  isReplacement: boolean,
): ((pattern: string) => RegexOptions) | null {
  const letters = of ? literalText(of)! : '';
  const odd = [...letters].find(letter => !'cilsmnp'.includes(letter) && !(letter === 'g' && isReplacement));
  if (odd !== undefined) {
    const known = `c, i, l, m, n, p and s${isReplacement ? ', and g' : ''}`;
    faults.push(new Fault('definition', `${name} knows no option ${odd}; there are ${known}`, args[index]!.at));
    return null;
  }
  const last = (of: string) => [...letters].findLast(letter => of.includes(letter));
  const flags = (last('ci') === 'i' ? 'i' : '') + (last('smnp') === 's' ? 's' : '');
  return pattern => ({
    pattern: (flags && `(?${flags})`) + (letters.includes('l') ? quoteRegex(pattern) : pattern),
    all: letters.includes('g'),
  });
}
