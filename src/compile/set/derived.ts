import { Fault, type Position } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import type { Expression } from '../../plan/expression.ts';
import type { Entity, Feature } from '../../plan/plan.ts';
import { type Scope, bind } from '../bind.ts';
import type { Dialect } from '../dialect.ts';
import { READ_TIME, type SqlNode } from '../node.ts';
import { readExpression } from '../sql/read.ts';
import { saidOf } from './features.ts';
import { isFeatureType } from './items.ts';
import { type SetScope, readTime } from './scope.ts';

interface Derivation {
  name: string;
  node: SqlNode | null;
  text: string;
}

export async function readDerived(
  { document, settings, faults }: SetScope,
  dialect: Dialect | null,
): Promise<Derivation[]> {
  const derived: Derivation[] = [];
  for (const name of Object.keys(settings.derive ?? {})) {
    const text = document.textAt(['derive', name]);
    if (text) derived.push({ name, node: await readExpression(text, faults, dialect), text: text.text.trim() });
  }
  return derived;
}

/**
 * Derived features refer to features of their set, derived ones too, in any order.
 *
 * @param features those of the windows; the derived ones are added
 * @param allNamed is every feature of the set among them? If not, an unknown name may be one that is faulty
 */
export function addDerived(
  set: SetScope,
  entity: Entity,
  features: Feature[],
  derived: Derivation[],
  allNamed: boolean,
): void {
  const { document, faults } = set;
  const byName = new Map<string, Feature | null>(features.map(feature => [feature.name, feature]));
  const waiting = new Map(derived.map(derivation => [derivation.name, derivation]));
  const fault = (message: string, at: Position) => faults.push(new Fault('definition', message, at));
  const resolve = ({ name, node, text }: Derivation, trail: string[]): void => {
    if (!waiting.delete(name)) return;
    const at = document.keyAt(['derive', name]);
    const full = `${set.name}:${name}`;
    if (byName.has(full))
      return void fault(`${name} is a feature of the windows already; call this one something else`, at);
    byName.set(full, null);
    const names = [...trail, name];
    const scope: Scope = {
      faults,
      name(reference) {
        if (reference.table === null && reference.name === READ_TIME) return readTime(reference);
        const cycle = names.indexOf(reference.name);
        if (cycle >= 0) {
          const text = [...names.slice(cycle), reference.name].join(' -> ');
          fault(`a feature cannot be derived from itself: ${text}`, reference.at);
          return null;
        }
        const next = waiting.get(reference.name);
        if (next) resolve(next, names);
        return referTo(set, reference, byName, derived, allNamed);
      },
      aggregate(inner) {
        fault(`derive: reads features of this set; put ${inner.text} into sql under a name`, inner.symbol.at);
        return null;
      },
    };
    const expression = node && bind(node, scope);
    if (!expression || !isFeatureType(expression, node, faults)) return;
    const of = { name: full, set: set.name, entity: entity.name };
    const feature: Feature = { ...of, expression, description: text, ...saidOf(set, name), at };
    byName.set(full, feature);
    features.push(feature);
  };
  for (const derivation of derived) resolve(derivation, []);
}

function referTo(
  set: SetScope,
  reference: SqlNode & { kind: 'name' },
  byName: Map<string, Feature | null>,
  derived: Derivation[],
  allNamed: boolean,
): Expression | null {
  const name = `${set.name}:${reference.name}`;
  const found = reference.table ? undefined : byName.get(name);
  if (found) return { kind: 'column', name, type: found.expression.type, at: reference.at };
  if (found === null || !allNamed) return null;
  const known = [...[...byName.keys()].map(key => key.slice(key.indexOf(':') + 1)), ...derived.map(({ name }) => name)];
  const message = `feature set ${set.name} has no feature "${reference.text}"${didYouMean(reference.name, known)}`;
  set.faults.push(new Fault('definition', message, reference.at));
  return null;
}
