import { assert } from '../../base/assert.ts';
import { Fault, type Position } from '../../base/fault.ts';
import type { Expression, FunctionName } from '../../plan/expression.ts';
import { BOOL, DOUBLE, INT64, type ScalarKind, type Type, typeName } from '../../plan/value.ts';
import type { SqlNode, Word } from '../node.ts';
import { adapt, call, isNullLiteral, literal, nullLiteral } from '../typing.ts';
import { ANY, LIST, NO_LIST, type SqlFunction, type Written, param, plain } from './function.ts';

const SCALARS: ScalarKind[] = ['bool', 'int64', 'double', 'string', 'time'];

const SUMMED: ScalarKind[] = ['int64', 'double'];

/** What is made of lists. */
export const LISTS: SqlFunction[] = [
  {
    group: 'Lists',
    names: ['LIST_EXTRACT', 'LIST_ELEMENT', 'ARRAY_EXTRACT'],
    params: [LIST, param('index', 'int64')],
    result: 'as the elements',
    note: '`list[index]`: elements count from 1, or with a minus from the end; null where there is none.',
    examples: [
      ['LIST_EXTRACT([4, 5, 6], 2)', '5'],
      ['LIST_EXTRACT([4, 5, 6], -1)', '6'],
      ['LIST_EXTRACT([4, 5, 6], 0)', 'NULL'],
    ],
    make: ([list, index], { at, symbol, args, faults }) =>
      elementAt(list!, index!, { at, symbol, of: args[0]!, index: args[1]! }, faults),
  },
  {
    group: 'Lists',
    names: ['ARRAY_LENGTH', 'CARDINALITY'],
    params: [LIST],
    result: 'int64',
    note: 'How many elements there are, nulls among them; also LEN and LENGTH.',
    examples: [['ARRAY_LENGTH([4, NULL])', '2']],
    make: plain('listLength', INT64),
  },
  {
    group: 'Lists',
    names: ['LIST_COUNT'],
    params: [LIST],
    result: 'int64',
    note: 'How many elements are not null.',
    examples: [['LIST_COUNT([4, NULL])', '1']],
    make: plain('listCount', INT64),
  },
  {
    group: 'Lists',
    names: ['LIST_CONTAINS', 'LIST_HAS', 'ARRAY_CONTAINS', 'ARRAY_HAS'],
    params: [LIST, ANY],
    result: 'bool',
    note: 'Is an element equal to the value? Elements that are null are not.',
    examples: [
      ["LIST_CONTAINS(['a', 'b'], 'b')", 'true'],
      ['LIST_CONTAINS([1, NULL], 2)', 'false'],
    ],
    make: ([list, value], written) => seek('listContains', list!, value!, BOOL, written),
  },
  {
    group: 'Lists',
    names: ['LIST_POSITION', 'LIST_INDEXOF', 'ARRAY_POSITION', 'ARRAY_INDEXOF'],
    params: [LIST, ANY],
    result: 'int64',
    note: 'From 1, of the first element that is equal to the value, or of the first null where the value is null; null where there is none.',
    examples: [
      ["LIST_POSITION(['a', 'b'], 'b')", '2'],
      ['LIST_POSITION([1, NULL], NULL)', '2'],
      ['LIST_POSITION([1, 2], 3)', 'NULL'],
    ],
    make: ([list, value], written) => seek('listPosition', list!, value!, INT64, written),
  },
  ...(['listMin', 'listMax'] as const).map(
    (fn, i): SqlFunction => ({
      group: 'Lists',
      names: [['LIST_MIN'], ['LIST_MAX']][i]!,
      params: [LIST],
      result: 'as the elements',
      note: `The ${['least', 'greatest'][i]} element that is not null, of scalars; texts compare by their UTF-8 bytes.`,
      examples: [[`LIST_${['MIN', 'MAX'][i]}([4, NULL, 6])`, ['4', '6'][i]!]],
      make: ([list], written) => {
        const type = elementType(list!, written, SCALARS);
        return type && call(fn, [list!], type, written.at);
      },
    }),
  ),
  {
    group: 'Lists',
    names: ['LIST_SUM'],
    params: [LIST],
    result: 'as the elements',
    note: 'Of int64 or double elements that are not null; null where there is none, and beyond int64. Doubles are summed exactly and rounded once, as SUM does.',
    examples: [
      ['LIST_SUM([4, NULL, 6])', '10'],
      ['LIST_SUM([1e100, 1.0, -1e100])', '1.0'],
      ['LIST_SUM([])', 'NULL'],
    ],
    make: ([list], written) => {
      const type = elementType(list!, written, SUMMED);
      return type && call('listSum', [list!], type, written.at);
    },
  },
  {
    group: 'Lists',
    names: ['LIST_AVG'],
    params: [LIST],
    result: 'double',
    note: 'Of int64 or double elements that are not null: their exact sum divided by their count, rounded once.',
    examples: [['LIST_AVG([4, NULL, 7])', '5.5']],
    make: ([list], written) => {
      const type = elementType(list!, written, SUMMED);
      return type && call('listMean', [list!], DOUBLE, written.at);
    },
  },
];

/** The type of a list's elements, where it is one of `kinds`; else a fault, and null. */
function elementType({ type }: Expression, { name, args, faults }: Written, kinds: ScalarKind[]): Type | null {
  assert(type.kind === 'list', `${name} takes a list`);
  const element = type.of.type;
  if (kinds.some(kind => kind === element.kind)) return element;
  const wanted = kinds === SCALARS ? 'scalars' : kinds.join(' or ');
  const message = `${name} wants a list of ${wanted}, got ${typeName(type)}`;
  faults.push(new Fault('definition', message, args[0]!.at));
  return null;
}

/** A value among the elements of a list: of their type, or an int64 among doubles. */
export function seek(
  fn: FunctionName,
  list: Expression,
  value: Expression,
  type: Type,
  written: Written,
): Expression | null {
  const { name, args, at, faults } = written;
  const element = elementType(list, written, SCALARS);
  const adapted = element && adapt(value, element, faults);
  if (!adapted) return null;
  const isNumber = element.kind === 'double' && adapted.type.kind === 'int64';
  if (adapted.type.kind === element.kind || isNumber) return call(fn, [list, adapted], type, at);
  const message = `${name} wants ${typeName(element)}, as the elements of ${args[0]!.text} are, got ${typeName(adapted.type)}`;
  faults.push(new Fault('definition', message, args[1]!.at));
  return null;
}

/**
 * list[index]. Elements count from 1, or with a minus from the end, and the plan counts from 0; what it has none of is
 * null, so that 0 may stand for what is behind the last one.
 */
export function elementAt(
  of: Expression,
  index: Expression,
  written: { of: SqlNode; index: SqlNode; symbol: Word; at: Position },
  faults: Fault[],
): Expression | null {
  const { at, symbol } = written;
  const fault = (message: string, node: SqlNode) => {
    faults.push(new Fault('definition', message, node.at));
    return null;
  };
  const list = isNullLiteral(of) ? nullLiteral(NO_LIST, of.at) : of;
  if (list.type.kind !== 'list') {
    const hint = list.type.kind === 'string' ? `: write SUBSTRING(${written.of.text}, ${written.index.text}, 1)` : '';
    return fault(`${symbol.name} wants a list, got ${typeName(list.type)}${hint}`, written.of);
  }
  const by = isNullLiteral(index) ? nullLiteral(INT64, index.at) : index;
  if (by.type.kind !== 'int64') return fault(`${symbol.name} wants an int64, got ${typeName(by.type)}`, written.index);
  return { kind: 'index', of: list, by: countedFromZero(by, list, at), type: list.type.of.type, at };
}

function countedFromZero(index: Expression, list: Expression, at: Position): Expression {
  const whole = (fn: FunctionName, ...args: Expression[]) => call(fn, args, INT64, at);
  const fromEnd = whole('add', whole('listLength', list), index);
  if (index.kind === 'literal') {
    if (typeof index.value !== 'bigint') return index;
    return index.value > 0n ? literal(index.value - 1n, INT64, at) : fromEnd;
  }
  const isFromStart = call('greater', [index, literal(0n, INT64, at)], BOOL, at);
  return whole('case', isFromStart, whole('subtract', index, literal(1n, INT64, at)), fromEnd);
}
