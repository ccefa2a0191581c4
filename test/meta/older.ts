import { Database } from 'bun:sqlite';
import { migrations } from '../../src/meta/migrations.ts';

/** A database as a version of the program has left it that knew only the first migrations; as drizzle notes them. */
export function olderDatabase(path: string, count: number): void {
  const db = new Database(path, { strict: true });
  db.run('CREATE TABLE __drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)');
  for (const { sql, hash, folderMillis } of migrations.slice(0, count)) {
    for (const statement of sql) db.run(statement);
    db.run('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)', [hash, folderMillis]);
  }
  db.close();
}
