import { Fault } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import type { Expression, Window } from '../../plan/expression.ts';
import type { Entity, Feature } from '../../plan/plan.ts';
import { OPTIONAL, type Type, isScalar, typeName } from '../../plan/value.ts';
import { call } from '../typing.ts';
import type { BoundItem } from './items.ts';
import type { SetScope } from './scope.ts';
import type { NamedWindow } from './windows.ts';

/** An item over one window, or over each of a series. */
export function featureOf(set: SetScope, entity: Entity, item: BoundItem, named: NamedWindow): Feature {
  const { label, text, windows, isSeries } = named;
  const { type } = item.expression;
  if (isSeries && !isScalar(type)) {
    const message = `${item.name} is ${typeName(type)}, and over ${text} it would be a list of such; keep it in a set without a series`;
    set.faults.push(new Fault('unsupported', message, item.at));
  }
  const elements = windows.map(window => overWindow(item.expression, window));
  return {
    name: `${set.name}:${item.name}_${label}`,
    set: set.name,
    entity: entity.name,
    expression: isSeries ? listOf(elements, type) : elements[0]!,
    description: `${item.text} over ${text}`,
    ...saidOf(set, item.name),
    at: item.at,
  };
}

function listOf(elements: Expression[], type: Type): Expression {
  return call('list', elements, { kind: 'list', of: { type, presence: OPTIONAL } }, elements[0]!.at!);
}

/** `n_1d_offset` over 7d, and `n` over 1d offset 7d: whoever reads the name could not tell which it is. */
export function checkNames(set: SetScope, features: Feature[]): void {
  const known = new Map<string, Feature>();
  for (const feature of features) {
    const twin = known.get(feature.name);
    known.set(feature.name, feature);
    if (!twin) continue;
    const message = `${feature.name} would be ${twin.description} and ${feature.description}; give one of them another name`;
    set.faults.push(new Fault('definition', message, feature.at));
  }
}

/** What its author says of an item or of a derived feature; an item's windows share it. */
export function saidOf({ settings }: SetScope, name: string): Pick<Feature, 'about' | 'units'> {
  const said = (texts: Record<string, string> | null) => (texts && Object.hasOwn(texts, name) ? texts[name]! : null);
  const [about, units] = [said(settings.describe), said(settings.units)];
  return { ...(about !== null && { about }), ...(units !== null && { units }) };
}

/** @param allNamed are all items among the names? If not, an unknown one may be one that is faulty */
export function checkSaid(
  { document, settings, name: set, faults }: SetScope,
  names: string[],
  allNamed: boolean,
): void {
  for (const key of ['describe', 'units'] as const)
    for (const name of Object.keys(settings[key] ?? {})) {
      if (names.includes(name) || !allNamed) continue;
      const hint = didYouMean(name, names) || `; it has ${names.join(', ')}`;
      const message = `${key}: feature set ${set} has no item "${name}"${hint}`;
      faults.push(new Fault('definition', message, document.keyAt([key, name])));
    }
}

function overWindow(expression: Expression, window: Window): Expression {
  const inWindow = (inner: Expression) => overWindow(inner, window);
  switch (expression.kind) {
    case 'read':
      return { ...expression, read: { ...expression.read, window } };
    case 'call':
      return { ...expression, args: expression.args.map(inWindow) };
    case 'field':
      return { ...expression, of: inWindow(expression.of) };
    case 'index':
      return { ...expression, of: inWindow(expression.of), by: inWindow(expression.by) };
    default:
      return expression;
  }
}
