import { Fault } from '../base/fault.ts';
import { LINE_MAX_BYTES } from './source.ts';

/**
 * Where a table of events says what they are: by the columns `_type`, `_time` and `_id`, or by one type for all of it and the
 * name of the column of times. All other columns are data.
 */
export interface RowNames {
  /** Null reads the column `_type`. */
  type: string | null;
  /** Columns. */
  time: string;
  id: string;
}

export const ROW_NAMES: RowNames = { type: null, time: '_time', id: '_id' };
const TYPE_COLUMN = '_type';

/** JSON that is written as it is. */
export class RawJson {
  constructor(readonly text: string) {}
}

/** Rows become lines of events. */
export interface RowLines {
  /** @param cell of a column, by its number: null is left out of the event */
  line(cell: (column: number) => unknown): string;
}

/**
 * @param columns their names, in the file's order
 * @throws Fault `media_type` where a column is missing
 */
export function rowLines(file: string, columns: string[], names: RowNames): RowLines {
  const type = names.type === null ? columns.indexOf(TYPE_COLUMN) : -1;
  const time = columns.indexOf(names.time);
  const id = columns.indexOf(names.id);
  const found = `${file} has the columns ${columns.join(', ')}`;
  if (names.type === null && type < 0)
    throw new Fault('media_type', `${found}: wanted ${TYPE_COLUMN}, or --type NAME for events of one type`);
  if (time < 0) throw new Fault('media_type', `${found}: wanted ${names.time}, or --time COLUMN for another one`);
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice !== undefined) throw new Fault('media_type', `${found}: ${twice} is there twice`);
  const isTime = (column: number) => column === time && names.time === ROW_NAMES.time;
  const data = columns.flatMap((name, i) =>
    i === type || i === id || isTime(i) ? [] : [{ column: i, key: `${JSON.stringify(name)}:` }],
  );
  const fixed = names.type === null ? null : JSON.stringify(names.type);
  return {
    line(cell) {
      const eventId = id < 0 ? null : cell(id);
      let text = `{"type":${fixed ?? jsonOf(textOf(cell(type)))},"time":${timeJson(cell(time))}`;
      if (eventId !== null && eventId !== undefined) text += `,"id":${jsonOf(textOf(eventId))}`;
      text += ',"data":{';
      let separator = '';
      for (const { column, key } of data) {
        const value = cell(column);
        if (value === null || value === undefined) continue;
        text += separator + key + jsonOf(value);
        separator = ',';
      }
      return `${text}}}\n`;
    },
  };
}

/** What names something is a text, whatever the column holds. */
function textOf(value: unknown): unknown {
  if (value instanceof RawJson) return value.text;
  return typeof value === 'bigint' || typeof value === 'number' ? String(value) : value;
}

/** `2024-05-01 10:00:00+00`, as databases print times, is short of two digits. */
function timeJson(value: unknown): string {
  const json = jsonOf(value);
  return json.replace(/([+-]\d\d)"$/, '$1:00"');
}

function jsonOf(value: unknown): string {
  switch (typeof value) {
    case 'bigint':
      return String(value);
    case 'number':
      return numberJson(value);
    case 'object':
      return objectJson(value);
    case 'undefined':
      return 'null';
    default:
      return JSON.stringify(value);
  }
}

/** Infinities are what JSON reads numbers as that are too large; NaN is what tables of numbers have for nothing. */
function numberJson(value: number): string {
  if (Number.isNaN(value)) return 'null';
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value);
  return value > 0 ? '1e999' : '-1e999';
}

function objectJson(value: object | null): string {
  if (value === null) return 'null';
  if (value instanceof RawJson) return value.text;
  if (value instanceof Uint8Array) return JSON.stringify(value.toBase64());
  if (value instanceof Date) return JSON.stringify(value.toISOString());
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return `[${Array.from(value as unknown[], jsonOf).join(',')}]`;
  const members = Object.entries(value).filter(([, member]) => member !== null && member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${jsonOf(member)}`).join(',')}}`;
}

/** Of text, in one block: about as many bytes. */
export const BLOCK_CHARACTERS = LINE_MAX_BYTES / 2;
