import { Fault } from '../../base/fault.ts';
import type { Expression } from '../../plan/expression.ts';
import { type Aggregate, type EventType, LINEAR } from '../../plan/plan.ts';
import { INT64, isScalar, typeName } from '../../plan/value.ts';
import { type AggregateParam, type SqlAggregate, aggregateNamed, refusalOf } from '../aggregates.ts';
import { bind, bindCondition } from '../bind.ts';
import type { SqlNode } from '../node.ts';
import { call, scalarHint } from '../typing.ts';
import { type Shared, eventScope } from './scope.ts';

/** A call of an aggregate as the plan has it; null where that put a fault into the faults of its set. */
export function aggregateOf(node: SqlNode & { kind: 'aggregate' }, name: string, shared: Shared): Aggregate | null {
  const { set, event, entity, keys, where, tiles } = shared;
  const label = node.symbol.name.toUpperCase();
  const argument = node.of && bind(node.of, eventScope(event, label, set.faults));
  const filter = node.filter && bindCondition(node.filter, eventScope(event, 'FILTER', set.faults), 'FILTER');
  if (!canTakeBack(node, label, event, set.faults)) return null;
  const spec = aggregateNamed(node.name);
  const [by, ...behind] = spec.isRanked ? (node.params as [SqlNode, ...SqlNode[]]) : [null, ...node.params];
  const rank = by && bind(by, eventScope(event, label, set.faults));
  const given = spec.params.map((param, i) => paramOf(param, behind[i] ?? null, label, set.faults));
  if ((node.of && !argument) || (by && !rank) || (node.filter && !filter) || !areGiven(given)) return null;
  if (argument && !isAggregable(spec, label, argument, node.of!, set.faults)) return null;
  if (rank && !canRank(label, rank, by!, set.faults)) return null;
  if (spec.isOrdered && !isOrderKnown(node, label, rank ?? argument!, set.faults)) return null;
  if (argument && !isToldApart(node, argument, set.faults)) return null;
  if (argument && !isRealMean(node, argument, set.faults)) return null;
  const value = argument && spec.argument ? spec.argument(argument, given) : argument;
  const arg = filter ? filtered(value, filter, node) : value;
  const fn = { name: node.name, args: [arg, rank].filter(one => one !== null), ...spec.keep(given) };
  const type = spec.result(argument?.type ?? null, given);
  return {
    name,
    event: event.name,
    entity: entity?.name ?? null,
    keys: keys ?? [],
    where,
    fn,
    tiles,
    type,
    at: node.at,
  };
}

function canRank(label: string, { type }: Expression, { text, at }: SqlNode, faults: Fault[]): boolean {
  if (isScalar(type)) return true;
  const message = `${label} is ranked by a scalar, got ${typeName(type)}; ${scalarHint(type, text)}`;
  faults.push(new Fault('definition', message, at));
  return false;
}

/** Texts are ordered by their bytes here, and by a collation elsewhere. */
function isOrderKnown(
  { symbol, rules }: SqlNode & { kind: 'aggregate' },
  label: string,
  { type }: Expression,
  faults: Fault[],
): boolean {
  if (type.kind !== 'string' || !rules || rules.texts === 'bytes') return true;
  const message = `${label} of texts is not supported in ${rules.name}: a collation decides there which is greater`;
  faults.push(new Fault('unsupported', message, symbol.at));
  return false;
}

/** What is written behind a value is a part of what is stored, so it has to be a literal. */
function paramOf(param: AggregateParam, node: SqlNode | null, label: string, faults: Fault[]): number[] | null {
  const given = param.read(node);
  if (!given && node && node.kind !== 'faulty')
    faults.push(new Fault('definition', `${label} ${param.wants}, and ${node.text} is none`, node.at));
  return given;
}

function areGiven(given: (number[] | null)[]): given is number[][] {
  return !given.includes(null);
}

/** A changelog takes rows back, and of a greatest or latest value nobody knows what was there before it. */
function canTakeBack(
  { name, symbol }: SqlNode & { kind: 'aggregate' },
  label: string,
  event: EventType,
  faults: Fault[],
) {
  if (LINEAR[name] || (event.changelog === undefined && event.weight === null)) return true;
  const message = `${label} over ${event.name} is not supported: it is a changelog, and ${label} cannot take a row back`;
  faults.push(new Fault('unsupported', `${message}; COUNT, SUM and AVG can`, symbol.at));
  return false;
}

/** f(x) FILTER (WHERE c) -> f(CASE WHEN c THEN x END), for every f passes over nulls. */
function filtered(argument: Expression | null, filter: Expression, { at }: SqlNode): Expression {
  const value: Expression = argument ?? { kind: 'literal', value: 1n, type: INT64, at };
  const otherwise: Expression = { kind: 'literal', value: null, type: value.type, at };
  return call('case', [filter, value, otherwise], value.type, at);
}

/** Where a collation decides which texts are the same, as many are distinct as that says. */
function isToldApart(node: SqlNode & { kind: 'aggregate' }, { type }: Expression, faults: Fault[]): boolean {
  const { rules, of, name, symbol } = node;
  if (!rules || type.kind !== 'string' || name !== 'countUnique') return true;
  const texts = of!.rules?.texts ?? rules.texts;
  const isTrimmed = of!.kind === 'function' && of!.name === 'RTRIM';
  if (texts === 'padded' && !isTrimmed) {
    const label = symbol.name.toUpperCase();
    const message = `${label} of different texts passes over spaces at their ends in ${rules.name}: write RTRIM(${of!.text})`;
    faults.push(new Fault('unsupported', message, of!.at));
    return false;
  }
  if (texts !== 'collated') return true;
  const message = `${symbol.name.toUpperCase()} of different texts goes by a collation in ${rules.name}, and here by their bytes`;
  faults.push(
    new Fault(
      'unsupported',
      `${message}: write ${rules.asBytes === undefined ? `BINARY ${of!.text}` : `${of!.text} ${rules.asBytes}`}`,
      of!.at,
    ),
  );
  return false;
}

/** Of whole numbers means and variances are whole in some systems. */
function isRealMean(node: SqlNode & { kind: 'aggregate' }, { type }: Expression, faults: Fault[]): boolean {
  const { rules, of, name, symbol } = node;
  const whole = rules?.hasWholeMeans === 'all' ? /^(avg|var|std)/ : /^avg/;
  if (!rules?.hasWholeMeans || type.kind !== 'int64' || !whole.test(name)) return true;
  const label = symbol.name.toUpperCase();
  const message = `${label} of int64 is a whole number in ${rules.name}, and a double here`;
  faults.push(new Fault('unsupported', `${message}: write ${label}(CAST(${of!.text} AS DOUBLE))`, of!.at));
  return false;
}

function isAggregable(
  spec: SqlAggregate,
  label: string,
  { type }: Expression,
  { text, at }: SqlNode,
  faults: Fault[],
): boolean {
  const refusal = refusalOf(spec, label, type, text);
  if (refusal === null) return true;
  const hint = isScalar(type) ? '' : `; ${scalarHint(type, text)}`;
  faults.push(new Fault('definition', refusal + hint, at));
  return false;
}
