import { expect } from 'bun:test';
import Ajv2020 from 'ajv/dist/2020.js';
import type { Document } from '../../src/http/openapi.ts';

/** Judges replies by the document of the API, with somebody else's JSON Schema. */
export class Conformance {
  readonly #ajv = new Ajv2020({ strict: true, allowUnionTypes: true });

  constructor(readonly document: Document) {
    for (const [name, schema] of Object.entries(document.components.schemas)) this.#ajv.addSchema(schema, name);
  }

  /** What JSON Schema has against a value; null where nothing. */
  faultsOf(name: string, value: unknown): string | null {
    const validate = this.#ajv.getSchema(name);
    if (!validate) throw new Error(`the document has no schema ${name}`);
    return validate(value) ? null : this.#ajv.errorsText(validate.errors);
  }

  /** Status, content type and body are among those that the document names for the path. */
  async expectOf(method: string, path: string, response: Response): Promise<void> {
    const isAt = (pattern: string) => new RegExp(`^${pattern.replace(/\{\w+\}/g, '[^/]+')}$`).test(path.split('?')[0]!);
    const place = Object.keys(this.document.paths).find(isAt);
    const operation = place === undefined ? undefined : this.document.paths[place]?.[method.toLowerCase()];
    const documented = operation?.responses[String(response.status)];
    const what = `${method} ${path} -> ${response.status}`;
    expect(documented, `${what} is not in the document`).toBeDefined();
    const type = (response.headers.get('content-type') ?? '').split(';')[0]!;
    expect(Object.keys(documented!.content), what).toContain(type);
    const { schema } = documented!.content[type]!;
    const text = await response.text();
    if (typeof schema?.$ref !== 'string') return;
    const name = schema.$ref.split('/').at(-1)!;
    // Of events that a server sends each is as the document says.
    const all = type === 'text/event-stream' ? [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data!) : [text];
    for (const each of all) expect(this.faultsOf(name, JSON.parse(each)), `${what}: ${each}`).toBeNull();
  }
}
