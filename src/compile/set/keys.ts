import { Fault } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import type { Expression } from '../../plan/expression.ts';
import type { Entity, EventType } from '../../plan/plan.ts';
import { typeName } from '../../plan/value.ts';
import type { Select, SqlNode } from '../node.ts';
import { valueAt } from '../yaml.ts';
import { type SetScope, eventScope } from './scope.ts';

/** The columns that name the entity, in the order of its keys. */
export function keysOf(set: SetScope, select: Select, event: EventType, entity: Entity | null): Expression[] | null {
  const { document, settings, faults } = set;
  const scope = eventScope(event, 'GROUP BY', faults);
  if (select.groupBy.length === 0) {
    const message = 'GROUP BY is missing: name the columns that hold the key of the entity';
    if (select.whole) faults.push(new Fault('definition', message, document.keyAt(['sql'])));
    return null;
  }
  const grouped = select.groupBy.map(node => {
    const column = groupedColumn(node, select, faults);
    const expression = column && scope.name(column);
    if (!column || expression?.kind !== 'field') return column && expression && { column, expression };
    const message = `GROUP BY takes inputs of the event only: give ${column.text} one of its own, with path: $.data.${column.text}`;
    faults.push(new Fault('unsupported', message, column.at));
    return null;
  });
  if (grouped.includes(null)) return null;
  const columns = grouped as NonNullable<(typeof grouped)[number]>[];
  const names = columns.map(({ column }) => column.name);
  const twin = names.findIndex((name, i) => names.indexOf(name) < i);
  if (twin >= 0) {
    faults.push(new Fault('definition', `GROUP BY names ${names[twin]} twice`, columns[twin]!.column.at));
    return null;
  }
  if (valueAt(document.value, ['key']) !== undefined && settings.key === null) return null;
  const ordered = settings.key ? orderKeys(set, settings.key, names) : names;
  if (!ordered || !entity) return null;
  return matchKeys(
    set,
    ordered.map(name => columns[names.indexOf(name)]!),
    entity,
  );
}

/** A column of GROUP BY, or the one at its position in the SELECT. */
function groupedColumn(node: SqlNode, select: Select, faults: Fault[]): (SqlNode & { kind: 'name' }) | null {
  if (node.kind === 'name') return node;
  const position = node.kind === 'literal' && typeof node.value === 'bigint' ? Number(node.value) : 0;
  const item = select.whole ? select.items[position - 1] : undefined;
  if (item?.node.kind === 'name') return { ...item.node, at: node.at };
  if (!select.whole) return null;
  const message = item
    ? `GROUP BY ${node.text} is ${item.node.text}, which is no column of the event`
    : `GROUP BY ${node.text}: wanted a column, or its position in the SELECT (1 to ${select.items.length})`;
  faults.push(new Fault('definition', message, node.at));
  return null;
}

function orderKeys({ document, faults }: SetScope, written: string[], names: string[]): string[] | null {
  const before = faults.length;
  for (const [i, name] of written.entries()) {
    const at = document.at(['key', i]);
    if (!names.includes(name)) {
      const hint = didYouMean(name, names) || `; it has ${names.join(', ')}`;
      faults.push(new Fault('definition', `key: GROUP BY has no column "${name}"${hint}`, at));
    } else if (written.indexOf(name) < i) faults.push(new Fault('definition', `key: ${name} is named twice`, at));
  }
  const left = names.filter(name => !written.includes(name));
  if (faults.length === before && left.length > 0) {
    const message = `key: GROUP BY also has ${left.join(', ')}; every column of GROUP BY is a part of the entity's key`;
    faults.push(new Fault('definition', message, document.at(['key'])));
  }
  return faults.length === before ? written : null;
}

function matchKeys(
  { faults }: SetScope,
  columns: { column: SqlNode; expression: Expression }[],
  entity: Entity,
): Expression[] | null {
  const before = faults.length;
  if (columns.length !== entity.keys.length) {
    const wanted = `${entity.keys.length} (${entity.keys.map(typeName).join(', ')})`;
    const message = `GROUP BY has ${columns.length} columns, and the key of entity ${entity.name} has ${wanted}`;
    faults.push(new Fault('definition', message, columns[0]!.column.at));
    return null;
  }
  for (const [i, { column, expression }] of columns.entries()) {
    const wanted = entity.keys[i]!;
    if (expression.type.kind === wanted.kind) continue;
    const message = `column ${i + 1} of the key of entity ${entity.name} is ${typeName(wanted)}, and ${column.text} is ${typeName(expression.type)}`;
    faults.push(new Fault('definition', message, column.at));
  }
  return faults.length === before ? columns.map(({ expression }) => expression) : null;
}
