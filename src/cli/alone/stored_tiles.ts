import { Fault } from '../../base/fault.ts';
import { loadKernel } from '../../kernel/instance.ts';
import type { Ids } from '../../kernel/layout.ts';
import { layPlan } from '../../kernel/load.ts';
import type { Meta } from '../../meta/meta.ts';
import type { InForce } from '../../plan/transition.ts';
import { type TileBatch, type TileChoice, type TileTable, tileTable } from '../../read/tiles.ts';
import { AHEAD_MAX_MS } from '../../source/source.ts';
import type { Config } from '../config.ts';
import { openSnapshot } from './database.ts';
import { idsOf, recordedPlan } from './recorded.ts';

/** Stored tiles as they are at one moment. */
export interface Tiles {
  columns: TileTable['columns'];
  batches: Iterable<TileBatch>;
  /** Of the last record of the log that they contain; -1 when there is none. */
  position: number;
  close(): void;
}

/**
 * Reads the store beside whoever writes to it, and holds no lock.
 *
 * @throws Fault as `tileTable`
 */
export async function composeTiles(config: Config, choice: TileChoice): Promise<Tiles> {
  const database = openSnapshot(config.store.sqlite);
  const { store, meta } = database;
  try {
    const inForce = recordedPlan(meta);
    if (!inForce) throw new Fault('not_found', 'there are no rows yet');
    const { plan } = inForce;
    // What has no rows may have no number yet, and nothing is given one here.
    const entities = plan.entities.filter(({ name }) => plan.aggregates.some(({ entity }) => entity === name));
    const stored = { ...plan, entities };
    const settings = { clock: config.log.clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 };
    const layout = layPlan(await loadKernel(), stored, tileIds({ ...inForce, plan: stored }, meta), settings);
    const { columns, batches } = tileTable(layout, choice);
    return { columns, batches: batches(store.scan()), position: store.mark().position - 1, close: database.close };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** A tile is what it is, whatever its aggregate does not know. */
function tileIds(inForce: InForce, meta: Meta): Ids {
  return { ...idsOf(inForce, meta), known: new Map() };
}
