import { defineConfig } from 'drizzle-kit';

// `drizzle-kit generate --name WHAT` writes the next migration; src/meta/migrations.ts then has to list it.
export default defineConfig({
  dialect: 'sqlite',
  schema: './src/meta/schema.ts',
  out: './src/meta/migrations',
});
