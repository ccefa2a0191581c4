import { createHash } from 'node:crypto';
import type { MigrationMeta } from 'drizzle-orm/migrator';
import { assert } from '../base/assert.ts';
import start from './migrations/0000_start.sql' with { type: 'text' };
import members from './migrations/0001_members.sql' with { type: 'text' };
import late from './migrations/0002_late.sql' with { type: 'text' };
import backfills from './migrations/0003_backfills.sql' with { type: 'text' };
import waits from './migrations/0004_waits.sql' with { type: 'text' };
import timelines from './migrations/0005_timelines.sql' with { type: 'text' };
import branches from './migrations/0006_branches.sql' with { type: 'text' };
import journal from './migrations/meta/_journal.json' with { type: 'json' };

/** Imported, so that the one binary carries them: drizzle's own reader wants a folder beside the program. */
const TEXTS: Record<string, string> = {
  '0000_start': start,
  '0001_members': members,
  '0002_late': late,
  '0003_backfills': backfills,
  '0004_waits': waits,
  '0005_timelines': timelines,
  '0006_branches': branches,
};

/** What drizzle-kit wrote, oldest first, as drizzle's dialect takes it. */
export const migrations: MigrationMeta[] = journal.entries.map(({ tag, when, breakpoints }) => {
  const text = TEXTS[tag];
  assert(text !== undefined, `migration ${tag} is in the journal and not in migrations.ts`);
  return {
    sql: text.split('--> statement-breakpoint'),
    folderMillis: when,
    hash: createHash('sha256').update(text).digest('hex'),
    bps: breakpoints,
  };
});
