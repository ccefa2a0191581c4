/**
 * JSON for the oracle: what `JSON.parse` says, except that a number keeps its text, since an int64 does not fit a
 * double. Duplicate keys: the last one wins.
 */
export type Json = null | boolean | string | JsonNumber | Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json;
}

export class JsonNumber {
  constructor(readonly text: string) {}
}

/** @throws SyntaxError where the text is not JSON */
export function parseJson(text: string): Json {
  // TypeScript's library does not know yet that a reviver is told a number's text.
  return JSON.parse(text, (_name: string, value: Json | number, context?: { source: string }) =>
    typeof value === 'number' ? new JsonNumber(context!.source) : value,
  );
}

export function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && !(json instanceof JsonNumber);
}

/** A member of an object itself, never of its prototype (`toString`); undefined where there is none. */
export function member(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** How many brackets are open at once, at most. Asked of the text, since JSON.parse itself gives up when too deep. */
export function nestingDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '"') inString = !inString;
    else if (inString) i += c === '\\' ? 1 : 0;
    else if (c === '{' || c === '[') deepest = Math.max(deepest, ++depth);
    else if (c === '}' || c === ']') depth--;
  }
  return deepest;
}
