/** Logs of upserts, of every form there is, and a plan over them. */
import type { Plan } from '../../src/plan/plan.ts';
import { planOf } from '../compile/marked.ts';
import type { Random } from './random.ts';

export const SHOPS = ['north', 'south', 'ünïcode'];

const ROW = 'shop: string, cents: int64?, price: double?, tags: { type: [string], optional: true }';

/** Tables whose rows are told by every form, by keys of one and two columns, and with times of their own or without. */
export const UPSERTS = `
  plain: { changelog: { key: id }, id: int64, ${ROW} }
  worded: { changelog: { key: [id, region], op: op, time: at }, op: string, id: int64, region: bool, at: time, ${ROW} }
  flagged: { changelog: { key: name, deleted: gone }, name: { type: string, path: $.data.id.text }, gone: string?, ${ROW} }
  wrapped: { changelog: { key: id, format: debezium, time: at }, id: int64, at: time, ${ROW} }`;

/** The same tables, with what a row was before in each record. */
export const CHANGES = UPSERTS.replaceAll(/changelog: {[^}]*}/g, text =>
  text.includes('time') ? 'changelog: { format: debezium, time: at }' : 'changelog: { format: debezium }',
)
  .replace(' op: string,', '')
  .replace(' gone: string?,', '');

export const TYPES = ['plain', 'worded', 'flagged', 'wrapped'];
const TIMED = new Set(['worded', 'wrapped']);

/** @param more items of each set */
export function definitionsOf(events: string, types = TYPES, more = ''): string {
  const declared = `events:${events}\nentities: { shop: string }\n`;
  return [declared, ...types.map(type => setOf(type, more))].join('---\n');
}

function setOf(type: string, more: string): string {
  return `feature_set: ${type}s
entity: shop
source: ${type}
windows: [2h, 1d, lifetime]
sql: |
  SELECT shop, COUNT(*) AS n, SUM(cents) AS cents, AVG(price) AS mean, SUM(LENGTH(tags[1])) AS tagged,
         COUNT(DISTINCT cents) AS kinds, SUM(EXTRACT(minute FROM _time)) AS minutes${more}
  FROM ${type} WHERE cents IS NULL OR cents <> 13 GROUP BY shop
`;
}

export const plan: Plan = await planOf(definitionsOf(UPSERTS));

interface Row {
  type: string;
  id: number;
  shop: string;
  cents: string;
  price: string;
  tags: string;
  at: string;
}

const PRICES = ['0.1', '1e16', '-1e16', '5e-324', 'null', '-0.0', '3'];
const TAGS = ['null', '[]', '["a","b"]', '["\\u00fc\\n"]', '["x"]'];

function rowOf(type: string, id: number, ms: number, rng: Random): Row {
  const cents = rng.chance(0.2)
    ? rng.pick(['null', '13', '"wrong"', '9223372036854775807'])
    : `${rng.below(900) - 400}`;
  const at = new Date(rng.chance(0.04) ? ms + 1_200_000 : ms - rng.below(200) * 60_000).toISOString();
  return { type, id, shop: rng.pick(SHOPS), cents, price: rng.pick(PRICES), tags: rng.pick(TAGS), at };
}

function members({ type, id, shop, cents, price, tags, at }: Row, rng: Random, more: string[] = []): string {
  const own = type === 'flagged' ? [`"id":{"text":"n${id}"}`] : [`"id":${id}`, `"region":${id % 2 === 0}`];
  const all = [...own, `"shop":"${shop}"`, `"cents":${cents}`, `"price":${price}`, `"tags":${tags}`, `"at":"${at}"`];
  if (rng.chance(0.1)) all.push('"\\u0063ents":7', '"more":{"a":[1,{}]}');
  const mixed = [...all, ...more];
  if (rng.chance(0.2)) mixed.reverse();
  return mixed.join(rng.chance(0.1) ? ' , ' : ',');
}

/** Records of few keys, so that rows are replaced often; some are hours late, some are no records that count. */
export function upsertLines(count: number, rng: Random): Uint8Array[] {
  const lines: string[] = [];
  while (lines.length < count) {
    const type = rng.pick(TYPES);
    // A row that is taken back may have a time of its own which is ahead of that: no envelope could say so.
    const late = rng.chance(0.05) && !TIMED.has(type) ? rng.below(400) * 60_000 : rng.below(120) * 1000;
    const ms = Date.UTC(2024, 0, 1) + lines.length * 20_000 - late + (rng.chance(0.01) ? 86_400_000 * 40 : 0);
    const time = new Date(ms).toISOString();
    const row = rowOf(type, rng.below(40), ms, rng);
    lines.push(rng.chance(0.3) ? deleted(row, time, rng) : replaced(row, time, rng));
  }
  return lines.map(line => new TextEncoder().encode(line));
}

function replaced(row: Row, time: string, rng: Random): string {
  const { type } = row;
  if (type === 'wrapped') return enveloped(rng.pick(['c', 'u', 'r']), 'null', `{${members(row, rng)}}`, time, rng);
  const word = type === 'worded' ? [`"op":${rng.chance(0.03) ? '"+X"' : rng.pick(['"+I"', '"+U"'])}`] : [];
  const flag = type === 'flagged' && rng.chance(0.5) ? [`"gone":${rng.pick(['"false"', 'null', '"no"'])}`] : [];
  const text = members(row, rng, [...word, ...flag]);
  if (rng.chance(0.1)) return `{"_type":"${type}",${text},"_time":"${time}"}`;
  return `{"type":"${type}","time":"${time}","data":{${text}}}`;
}

/** Of a deleted row there is mostly no more than its key. */
function deleted(row: Row, time: string, rng: Random): string {
  const { type, id } = row;
  const key = rng.chance(0.02) ? '"id":null' : type === 'flagged' ? `"id":{"text":"n${id}"}` : `"id":${id}`;
  const own = rng.chance(0.3) ? members(row, rng) : `${key},"region":${id % 2 === 0}`;
  if (type === 'wrapped') return enveloped('d', rng.chance(0.05) ? 'null' : `{${own}}`, 'null', time, rng);
  const word = type === 'worded' ? rng.pick(['"op":"-D"', '"op":"-D"', '"op":"-U"']) : '"gone":"true"';
  return `{"type":"${type}","time":"${time}","data":{${own},${word}}}`;
}

function enveloped(op: string, before: string, after: string, time: string, rng: Random): string {
  const text = `{"before":${before},"after":${after},"source":{"table":"wrapped","ts_ms":${Date.parse(time)}},"op":"${op}"}`;
  if (rng.chance(0.02)) return `{"type":"wrapped","time":"${time}","data":null}`;
  return rng.chance(0.5) ? text : `{"type":"wrapped","time":"${time}","data":{"schema":{},"payload":${text}}}`;
}
