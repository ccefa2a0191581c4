import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SCHEMAS, schemaText } from '../src/cli/schema.ts';

/** Writes the JSON Schemas of the YAML to docs/schema, where editors find them. */
const FOLDER = join(import.meta.dir, '../docs/schema');

await mkdir(FOLDER, { recursive: true });
for (const what of Object.keys(SCHEMAS) as (keyof typeof SCHEMAS)[])
  await writeFile(join(FOLDER, `${what}.json`), `${schemaText(what)}\n`);
