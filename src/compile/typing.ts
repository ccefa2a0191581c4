import { Fault } from '../base/fault.ts';
import type { Position } from '../base/fault.ts';
import { parseMicros } from '../base/time.ts';
import type { Expression, FunctionName } from '../plan/expression.ts';
import type { Type, Value } from '../plan/value.ts';
import { BOOL, DOUBLE, INT64, isScalar, sameType, STRING, TIME, typeName } from '../plan/value.ts';
import type { Rules, SqlNode, Word } from './node.ts';

/** Typed terms of the plan, and the rules by which values of several types stand beside each other. */

export function call(fn: FunctionName, args: Expression[], type: Type, at: Position): Expression {
  return { kind: 'call', fn, args, type, at };
}

/** NULL has no type of its own: it takes that of its neighbours, and is int64 where it has none. */
export function nullLiteral(type: Type, at: Position | null): Expression {
  return { kind: 'literal', value: null, type, at };
}

export function isNullLiteral(expression: Expression): boolean {
  return expression.kind === 'literal' && expression.value === null;
}

export function wantBool(expression: Expression, node: SqlNode, what: string, faults: Fault[]): Expression | null {
  if (isNullLiteral(expression)) return nullLiteral(BOOL, expression.at);
  if (expression.type.kind === 'bool') return expression;
  const hint = expression.type.kind === 'int64' ? `; write ${node.text} <> 0` : '';
  const message = `${what} wants a condition (bool), got ${typeName(expression.type)}${hint}`;
  faults.push(new Fault('definition', message, node.at));
  return null;
}

/** A comparison of two values of one kind; a text beside a time is read as a time. */
export function compare(
  fn: FunctionName,
  left: Expression,
  right: Expression,
  symbol: Word,
  at: Position,
  faults: Fault[],
  rules?: Rules,
): Expression | null {
  const a = adapt(left, right.type, faults, rules);
  const b = a && adapt(right, a.type, faults, rules);
  if (!a || !b) return null;
  for (const { type, at: where } of [a, b]) {
    if (isScalar(type)) continue;
    const message = `${symbol.name} compares scalars, got ${typeName(type)}; ${scalarHint(type)}`;
    faults.push(new Fault('definition', message, where ?? symbol.at));
    return null;
  }
  const kinds = [a.type.kind, b.type.kind];
  const isOrder = fn !== 'equal' && fn !== 'notEqual';
  if (rules && kinds.includes('string') && (rules.texts === 'collated' || (rules.texts !== 'bytes' && isOrder))) {
    const asBytes =
      rules.asBytes === undefined ? 'write BINARY before one of them' : `write ${rules.asBytes} behind one of them`;
    const hint = rules.texts === 'collated' ? asBytes : 'it is not supported';
    const why = rules.texts === 'padded' ? 'passes over spaces at their ends' : 'goes by a collation';
    const message = `${symbol.name} of texts ${why} in ${rules.name}, and here by their bytes: ${hint}`;
    faults.push(new Fault('unsupported', message, symbol.at));
    return null;
  }
  if (rules?.texts === 'padded' && kinds.every(kind => kind === 'string'))
    return call(fn, [withoutEnd(a), withoutEnd(b)], BOOL, at);
  if (a.type.kind === b.type.kind || kinds.every(kind => kind === 'int64' || kind === 'double'))
    return call(fn, [a, b], BOOL, at);
  const hint = kinds.includes('bool') && kinds.includes('int64') ? '; a bool is a condition already' : '';
  const message = `${symbol.name} compares values of one type, got ${typeName(a.type)} and ${typeName(b.type)}${hint}`;
  faults.push(new Fault('definition', message, symbol.at));
  return null;
}

/** Spaces at the end of a text do not count where both are padded to one length. */
function withoutEnd(text: Expression): Expression {
  const written = literalText(text);
  if (written !== null) return literal(written.replace(/ +$/, ''), STRING, text.at);
  return call('trimEnd', [text, literal(' ', STRING, text.at)], STRING, text.at!);
}

/** What to take of a list, a map or a struct where a scalar is wanted. */
export function scalarHint(type: Type, text: string = type.kind): string {
  if (type.kind === 'struct') return `take a field of it, like ${text}.${type.fields[0]!.name}`;
  if (type.kind === 'map') return 'it has no elements to take: it is a feature as a whole';
  return `take an element of it, ${text}[1], or its LEN(${text})`;
}

/** Lets a literal take the type of what it is compared with. */
export function adapt(expression: Expression, type: Type, faults: Fault[], rules?: Rules): Expression | null {
  if (isNullLiteral(expression)) return nullLiteral(type, expression.at);
  if (type.kind === 'bool' && rules?.hasBits && expression.kind === 'literal') {
    const bit = [0n, 1n].indexOf(expression.value as bigint);
    if (bit >= 0) return literal(bit === 1, BOOL, expression.at);
  }
  const isText = expression.kind === 'literal' && typeof expression.value === 'string';
  if (!isText || type.kind !== 'time') return expression;
  const text = String(expression.value);
  const value = parseMicros(text) ?? parseMicros(`${text}T00:00:00Z`);
  if (rules && /\d:.*[+-]/.test(text)) {
    const message = `an offset in '${text}' is not supported in ${rules.name}: not every type of times heeds it there; write it in UTC`;
    faults.push(new Fault('unsupported', message, expression.at));
    return null;
  }
  if (value !== null) return { kind: 'literal', value, type: TIME, at: expression.at };
  const message = `'${text}' is no time; wanted one like '2001-01-31' or '2001-01-31T08:30:00Z'`;
  faults.push(new Fault('definition', message, expression.at));
  return null;
}

/** Values that stand for each other get one type: nulls adapt, and beside a double an int64 becomes one. */
export function unify(
  values: Expression[],
  nodes: SqlNode[],
  what: string,
  faults: Fault[],
): { values: Expression[]; type: Type } | null {
  if (values.some(value => value.type.kind === 'time')) {
    const adapted = values.map(value => adapt(value, TIME, faults));
    if (adapted.includes(null)) return null;
    values = adapted as Expression[];
  }
  const typed = values.filter(value => !isNullLiteral(value));
  const isNumber = ({ type }: Expression) => type.kind === 'int64' || type.kind === 'double';
  const type =
    typed.length > 0 && typed.every(isNumber) && typed.some(v => v.type.kind === 'double') ? DOUBLE : typed[0]?.type;
  if (!type) return { values, type: INT64 };
  const odd = values.findIndex(value => {
    const fits = sameType(value.type, type) || (type.kind === 'double' && isNumber(value));
    return !isNullLiteral(value) && !fits;
  });
  if (odd >= 0) {
    const message = `${what} wants values of one type, got ${typeName(type)} and ${typeName(values[odd]!.type)}`;
    faults.push(new Fault('definition', message, nodes[odd]!.at));
    return null;
  }
  const convert = (value: Expression) => {
    if (isNullLiteral(value)) return nullLiteral(type, value.at);
    return type.kind === 'double' && value.type.kind !== 'double' ? toDouble(value) : value;
  };
  return { values: values.map(convert), type };
}

export function toDouble(value: Expression): Expression {
  return { kind: 'call', fn: 'toDouble', args: [value], type: DOUBLE, at: value.at };
}

export function literal(value: Value, type: Type, at: Position | null): Expression {
  return { kind: 'literal', value, type, at };
}

/** The text of a literal; null for anything else. */
export function literalText(expression: Expression): string | null {
  return expression.kind === 'literal' && typeof expression.value === 'string' ? expression.value : null;
}
