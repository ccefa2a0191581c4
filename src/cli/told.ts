/** What is wrong with events of a cluster, as its topic of errors has it. */
import type { ErrorRow } from '../meta/meta.ts';
import type { ListErrors } from '../http/errors.ts';
import type { Broker } from '../source/kafka.ts';
import type { TileError } from '../work/tiler.ts';
import { errorsName } from './cluster/cluster.ts';
import type { KafkaConfig } from './config.ts';

/** Ids are one more than offsets: what comes behind an id begins with its number. */
export function toldErrors(broker: Pick<Broker, 'partitionsOf' | 'stored'>, kafka: KafkaConfig): ListErrors {
  const topic = errorsName(kafka);
  return async ({ after, limit, type = null }) => {
    const rows: ErrorRow[] = [];
    if ((await broker.partitionsOf(topic)) === null) return rows;
    for await (const messages of broker.stored(topic, BigInt(Math.max(0, after ?? 0)))) {
      for (const { offset, value } of messages) {
        const row = rowOf(offset, value);
        if (type === null || row.type === type) rows.push(row);
        if (rows.length === limit) return rows;
      }
    }
    return rows;
  };
}

function rowOf(offset: bigint, value: Uint8Array): ErrorRow {
  const told = JSON.parse(new TextDecoder().decode(value)) as TileError & { partition: number };
  const { partition, position, line, type = null, code, reason: message, sample } = told;
  const source = told.offset === null ? `partition ${partition}` : `partition ${partition}, offset ${told.offset}`;
  return { id: Number(offset) + 1, position, source, line, type, time: null, code, message, sample };
}
