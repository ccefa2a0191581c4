/** What is left of a data folder once nobody works in it. */
import { Database } from 'bun:sqlite';
import { horizonsOf, keepingOf } from '../../src/ingest/expiry.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import type { Row, Store } from '../../src/store/store.ts';
import { rowsHash } from './engine.ts';

export interface Left {
  rows: ReturnType<typeof rowsHash>;
  errors: unknown[];
  late: unknown[];
}

/** Of a database: its rows, but for those that nothing can read any more, its errors, and what was too late. */
export function leftIn(database: string, plan: Plan): Left {
  const db = new Database(database, { strict: true });
  const store = sqliteStore(db, packKernel());
  const rows = keptRows(store, plan, db);
  const errors = db.query('SELECT position, type, code, message, sample FROM errors ORDER BY id').all();
  const late = db.query('SELECT * FROM late ORDER BY aggregate, event, level_ms').all();
  store.close();
  db.close();
  return { rows, errors, late };
}

/** When rows leave that nothing can read any more is a matter of when barriers come: they are left out. */
function keptRows(store: Store, plan: Plan, db: Database): Left['rows'] {
  const named = (kind: string) => {
    const rows = db.query<{ name: string; id: number }, [string]>('SELECT name, id FROM dictionary WHERE kind = ?');
    return new Map(rows.all(kind).map(({ name, id }) => [name, id]));
  };
  const ids = { entities: named('entity'), aggregates: named('aggregate') };
  const horizons = horizonsOf(keepingOf(plan, ids), store.mark().clocks);
  const isKept = ({ entity, levelMs, tileStartMs }: Row) =>
    !horizons.some(one => one.entity === entity && one.levelMs === levelMs && tileStartMs < one.beforeMs);
  return rowsHash({ scan: () => [...store.scan()].filter(isKept) });
}
