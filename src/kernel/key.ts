import { Fault } from '../base/fault.ts';
import { parseMicros } from '../base/time.ts';
import type { Kernel } from './instance.ts';
import type { Entity } from '../plan/plan.ts';
import type { Type } from '../plan/value.ts';

/** How the kernel spells a key column (KeyKind in assembly/key.ts). */
export function keyKindOf(type: Type): number {
  return type.kind === 'string' ? 0 : type.kind === 'bool' ? 2 : 1;
}

/** A key as a request gives it: one part for each of the entity's key columns, bare where there is one column. */
export type KeyPart = string | number | bigint | boolean;
export type KeyInput = KeyPart | KeyPart[];

/** Which of so many shards has a key of an entity (its id of the dictionary), as tiling deals them out. */
export function shardOf(kernel: Kernel, entity: number, key: Uint8Array, shards: number): number {
  if (shards === 1) return 0;
  const block = kernel.put(key);
  const hash = kernel.exports.hashKey(entity, block, key.length) >>> 0;
  kernel.exports.release(block, key.length);
  return hash % shards;
}

const ENCODER = new TextEncoder();

/** No event has a longer one: its whole line is no longer. */
export const KEY_MAX_BYTES = 1 << 20;

/**
 * Key bytes of what somebody outside names.
 *
 * @throws Fault as `keyBytes`, `too_large` beyond the limit
 */
export function askedKeyBytes(entity: Entity, input: KeyInput): Uint8Array {
  const key = keyBytes(entity, input);
  if (key.length <= KEY_MAX_BYTES) return key;
  throw new Fault('too_large', `a key of ${entity.name} is longer; the limit key_bytes is ${KEY_MAX_BYTES}`);
}

/**
 * Canonical key bytes, as the kernel makes them from events (assembly/key.ts).
 *
 * @throws Fault `request` where the parts are not what the entity is keyed by
 */
export function keyBytes(entity: Entity, input: KeyInput): Uint8Array {
  const parts = Array.isArray(input) ? input : [input];
  if (parts.length !== entity.keys.length)
    throw new Fault('request', `a key of ${entity.name} has ${entity.keys.length} parts, got ${parts.length}`);
  const texts = parts.map((part, i) => ENCODER.encode(partText(entity, part, entity.keys[i]!)));
  if (texts.length === 1) return texts[0]!;
  const bytes: number[] = [];
  for (const text of texts) {
    let length = text.length;
    for (; length >= 0x80; length = Math.floor(length / 128)) bytes.push((length & 0x7f) | 0x80);
    bytes.push(length, ...text);
  }
  return Uint8Array.from(bytes);
}

function partText(entity: Entity, part: KeyPart, type: Type): string {
  const wrong = () =>
    new Fault('request', `a key of ${entity.name} wants ${type.kind}, got ${typeof part} ${String(part)}`);
  switch (type.kind) {
    case 'string':
      if (typeof part !== 'string') throw wrong();
      return part.toWellFormed();
    case 'bool':
      if (typeof part !== 'boolean' && part !== 'true' && part !== 'false') throw wrong();
      return String(part);
    case 'time': {
      const micros = typeof part === 'string' ? parseMicros(part) : epochMicros(part);
      if (micros === null) throw wrong();
      return String(micros);
    }
    default: {
      const digits = typeof part === 'string' && /^-?(0|[1-9]\d*)$/.test(part) ? part : integerText(part);
      if (digits === null || BigInt.asIntN(64, BigInt(digits)) !== BigInt(digits)) throw wrong();
      return String(BigInt(digits));
    }
  }
}

/** JSON numbers above 2^53 have lost digits on the way: they are to be sent as text. */
function integerText(part: KeyPart): string | null {
  if (typeof part === 'bigint') return String(part);
  return typeof part === 'number' && Number.isSafeInteger(part) ? String(part) : null;
}

function epochMicros(part: KeyPart): bigint | null {
  const digits = integerText(part);
  return digits === null ? null : BigInt(digits) * 1000n;
}

/** A text may well begin with what looks like a byte order mark. */
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });

/** Key bytes as the texts of their parts, one for each key column: a time is its microseconds, in digits. */
export function keyTexts(entity: Entity, key: Uint8Array): string[] {
  if (entity.keys.length === 1) return [DECODER.decode(key)];
  const texts: string[] = [];
  let at = 0;
  for (let part = 0; part < entity.keys.length; part++) {
    let length = 0;
    for (let scale = 1, more = true; more && at < key.length; scale *= 128) {
      const byte = key[at++]!;
      length += (byte & 0x7f) * scale;
      more = byte >= 0x80;
    }
    texts.push(DECODER.decode(key.subarray(at, at + length)));
    at += length;
  }
  return texts;
}
