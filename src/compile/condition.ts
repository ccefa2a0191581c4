import { Fault, Faults, type Position } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import type { Expression } from '../plan/expression.ts';
import type { EventType } from '../plan/plan.ts';
import { bindCondition } from './bind.ts';
import { DIALECTS } from './dialects.ts';
import { eventScope } from './set/scope.ts';
import { writtenOut } from './inline.ts';
import { readExpression } from './sql/read.ts';

/**
 * A condition over events of several types, as one of a feature set is written: its names are inputs and computed columns of each of them.
 *
 * @param file what faults call the text: `--where`
 * @param names of the event types; each has to be declared
 * @throws Faults
 */
export async function compileCondition(
  { file, text }: { file: string; text: string },
  declared: EventType[],
  names: string[],
  dialect: string,
): Promise<Map<string, Expression>> {
  const at = (start: number, end: number) => placeIn(file, text, start, end);
  const faults: Fault[] = [];
  const conditions = new Map<string, Expression>();
  const node = await readExpression({ text, at }, faults, DIALECTS[dialect] ?? null);
  for (const name of names) {
    const event = declared.find(one => one.name === name);
    const hint =
      didYouMean(
        name,
        declared.map(one => one.name),
      ) || '; only declared ones have inputs';
    if (!event) faults.push(new Fault('definition', `event type "${name}" is not declared${hint}`, at(0, text.length)));
    const condition = node && event && bindCondition(node, eventScope(event, 'WHERE', faults), 'WHERE');
    if (condition) conditions.set(name, writtenOut(condition, event, faults));
  }
  if (faults.length > 0) throw new Faults(faults);
  return conditions;
}

function placeIn(file: string, text: string, start: number, end: number): Position {
  const before = text.slice(0, start).split('\n');
  return { file, line: before.length, column: before.at(-1)!.length + 1, length: Math.max(1, end - start) };
}
