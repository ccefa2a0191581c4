import type { z } from 'zod';

/** A shape that replies or requests have, under the name that the document of the API gives it. */
export interface Named {
  name: string;
  schema: z.ZodType;
}

/** What a method of a path takes and gives: the handler stands beside it, and the document of the API is made of it. */
export interface Operation {
  /** Unique, in camel case: what generated clients call it. */
  id: string;
  summary: string;
  /** Paragraphs of plain text. */
  description: string;
  /** What stands in braces in its path. */
  params?: z.ZodObject;
  query?: z.ZodObject;
  headers?: z.ZodObject;
  body?: Record<string, Content>;
  replies: Record<number, Reply>;
  /** Statuses of replies as application/problem+json, beside 500, which any may have. */
  problems?: number[];
}

export interface Content {
  /** Null for what is no JSON. */
  shape: Named | null;
  example?: unknown;
}

export interface Reply {
  description: string;
  type: string;
  /** Types that it comes in too, as Accept says: none of them JSON. */
  others?: string[];
  /** What they say, by name. */
  headers?: Record<string, string>;
  content: Content;
}

/** Where something is in the API, for its document. */
export interface Place {
  /** As OpenAPI writes it: `/v1/feature-sets/{name}`. */
  path: string;
  method: 'get' | 'post' | 'put' | 'delete';
  operation: Operation;
}
