import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Writes deploy/grafana.json, the dashboard of servers and of a cluster: what follows here, in the shape that Grafana imports.
 *
 *     bun scripts/dashboard.ts
 */
export const FILE = join(import.meta.dir, '../deploy/grafana.json');

interface Panel {
  title: string;
  /** What a line that rises or falls says, and what to do then. */
  about: string;
  /** Of Grafana. */
  unit: 'ops' | 's' | 'short' | 'bytes' | 'percentunit';
  /** PromQL, and how a line is called: `{{label}}` stands for a label's value. */
  lines: [query: string, legend: string][];
}

const OF = 'job="$job",instance=~"$instance"';

function quantile(of: number, metric: string, by = ''): string {
  const labels = by === '' ? 'le' : `le, ${by}`;
  return `histogram_quantile(${of}, sum by (${labels}) (rate(${metric}_bucket{${OF}}[$__rate_interval])))`;
}

function rate(metric: string, by = ''): string {
  const sum = by === '' ? 'sum' : `sum by (${by})`;
  return `${sum} (rate(${metric}{${OF}}[$__rate_interval]))`;
}

export const ROWS: [title: string, panels: Panel[]][] = [
  [
    'Requests',
    [
      {
        title: 'Requests',
        about: 'Replies a second, by what was asked for.',
        unit: 'ops',
        lines: [[rate('tilefold_http_request_seconds_count', 'route'), '{{route}}']],
      },
      {
        title: 'Time of a request',
        about: 'From a request to its reply. Lookups that get slower while rows are loaded want more fold.memory.',
        unit: 's',
        lines: [
          [quantile(0.5, 'tilefold_http_request_seconds', 'route'), '{{route}} p50'],
          [quantile(0.99, 'tilefold_http_request_seconds', 'route'), '{{route}} p99'],
        ],
      },
      {
        title: 'Replies by status',
        about:
          '4xx are mistakes of whoever asks, 503 is a server that starts, drains or has too much to do, 500 a bug.',
        unit: 'ops',
        lines: [[rate('tilefold_http_request_seconds_count', 'status'), '{{status}}']],
      },
      {
        title: 'Values looked up',
        about: 'Values answered a second: keys times features.',
        unit: 'ops',
        lines: [
          [rate('tilefold_lookup_values_total'), 'values'],
          [rate('tilefold_lookup_keys_total'), 'keys'],
        ],
      },
    ],
  ],
  [
    'Events',
    [
      {
        title: 'Events',
        about: 'Posted and durable, and refused at the door, by the code of the refusal.',
        unit: 'ops',
        lines: [
          [rate('tilefold_events_accepted_total'), 'accepted'],
          [rate('tilefold_events_rejected_total', 'code'), 'refused: {{code}}'],
        ],
      },
      {
        title: 'Events that count nowhere',
        about: 'Logged, but a field is missing or of a wrong type: GET /v1/errors shows them.',
        unit: 'ops',
        lines: [[rate('tilefold_events_bad_total', 'code'), '{{code}}']],
      },
      {
        title: 'Late events',
        about: 'Behind the clock of their type, and those that a tile no longer took: these are missing from windows.',
        unit: 'ops',
        lines: [
          [rate('tilefold_events_late_total', 'type'), '{{type}} late'],
          [rate('tilefold_tiles_refused_total', 'type, tile'), '{{type}} refused by {{tile}}'],
        ],
      },
      {
        title: 'Lateness',
        about: 'How far events are behind the clock of their type; `lateness` has to be above it.',
        unit: 's',
        lines: [[quantile(0.99, 'tilefold_event_lateness_seconds', 'type'), '{{type}} p99']],
      },
    ],
  ],
  [
    'Log and rows',
    [
      {
        title: 'Events that lookups do not contain yet',
        about: 'On their way from the log into rows. It grows where events come faster than they are folded.',
        unit: 'short',
        lines: [[`tilefold_log_end_position{${OF}} - tilefold_folded_position{${OF}}`, '{{instance}}']],
      },
      {
        title: 'Time of a barrier',
        about: 'Near fold.barrier the disk of the database is too slow.',
        unit: 's',
        lines: [
          [quantile(0.5, 'tilefold_barrier_seconds'), 'p50'],
          [quantile(0.99, 'tilefold_barrier_seconds'), 'p99'],
        ],
      },
      {
        title: 'Rows',
        about:
          'Written at barriers, read back into memory, and gone from it. Many that are read back want more fold.memory.',
        unit: 'ops',
        lines: [
          [rate('tilefold_barrier_rows_total'), 'written'],
          [rate('tilefold_rows_loaded_total'), 'read back'],
          [rate('tilefold_rows_evicted_total'), 'left memory'],
          [rate('tilefold_rows_expired_total'), 'expired'],
        ],
      },
      {
        title: 'Rows changed since the last barrier',
        about: 'What a start after a crash folds again.',
        unit: 'short',
        lines: [[`tilefold_rows_dirty{${OF}}`, '{{instance}}']],
      },
    ],
  ],
  [
    'The process',
    [
      {
        title: 'Memory',
        about: 'Resident, and what of it is rows and their index.',
        unit: 'bytes',
        lines: [
          [`process_resident_memory_bytes{${OF}}`, '{{instance}} resident'],
          [`tilefold_fold_state_bytes{${OF}}`, '{{instance}} rows'],
        ],
      },
      {
        title: 'Processor',
        about: 'Seconds of processors a second: 1 is one core.',
        unit: 'short',
        lines: [[`rate(process_cpu_seconds_total{${OF}}[$__rate_interval])`, '{{instance}}']],
      },
      {
        title: 'Where the time goes',
        about: 'Seconds a second of each stage, over all threads.',
        unit: 'short',
        lines: [[rate('tilefold_stage_seconds_total', 'stage'), '{{stage}}']],
      },
      {
        title: 'What only this disk has',
        about: 'With a bucket: events that would be lost with the disk, and segments that wait to be uploaded.',
        unit: 'short',
        lines: [
          [`tilefold_log_end_position{${OF}} - tilefold_uploaded_position{${OF}}`, '{{instance}} events'],
          [`tilefold_upload_waiting_segments{${OF}}`, '{{instance}} segments'],
        ],
      },
    ],
  ],
  [
    'Work in a cluster',
    [
      {
        title: 'Messages not taken yet',
        about:
          'Of the partitions of each process. It grows where more comes than is tiled or folded: start more processes.',
        unit: 'short',
        lines: [[`tilefold_lag_messages{${OF}}`, '{{instance}} {{stage}}']],
      },
      {
        title: 'Freshness',
        about:
          'From the arrival of an event until its rows can be read. Half of fold.barrier is the least that can be.',
        unit: 's',
        lines: [
          [quantile(0.5, 'tilefold_freshness_seconds'), 'p50'],
          [quantile(0.99, 'tilefold_freshness_seconds'), 'p99'],
        ],
      },
      {
        title: 'Changes of rows',
        about: 'Folded, found in memory, and spared a write by others of their row.',
        unit: 'ops',
        lines: [
          [rate('tilefold_events_tiled_total'), 'events tiled'],
          [rate('tilefold_changes_folded_total'), 'folded'],
          [rate('tilefold_changes_hit_total'), 'row in memory'],
          [rate('tilefold_changes_coalesced_total'), 'coalesced'],
        ],
      },
      {
        title: 'Partitions',
        about: 'Of each process and stage, and those that others have taken over, within the last hour.',
        unit: 'short',
        lines: [
          [`tilefold_partitions{${OF}}`, '{{instance}} {{stage}}'],
          [`increase(tilefold_partitions_lost_total{${OF}}[1h])`, '{{instance}} lost'],
        ],
      },
    ],
  ],
];

/** Of Grafana's grid: a row has 24 columns. */
const [WIDTH, HEIGHT] = [6, 8];
const SOURCE = { type: 'prometheus', uid: '$source' };

function dashboard(): object {
  let id = 0;
  const panels = ROWS.flatMap(([title, row], at) => {
    const y = at * (HEIGHT + 1);
    const head = { id: ++id, type: 'row', title, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } };
    return [
      head,
      ...row.map(({ title, about, unit, lines }, i) => ({
        id: ++id,
        type: 'timeseries',
        title,
        description: about,
        datasource: SOURCE,
        gridPos: { x: i * WIDTH, y: y + 1, w: WIDTH, h: HEIGHT },
        fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
        options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
        targets: lines.map(([expr, legendFormat], line) => ({
          refId: String.fromCharCode(65 + line),
          datasource: SOURCE,
          expr,
          legendFormat,
        })),
      })),
    ];
  });
  return {
    uid: 'tilefold',
    title: 'tilefold',
    tags: ['tilefold'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'source', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
        variable('job', 'label_values(process_start_time_seconds{job=~"tilefold.*"}, job)', false),
        variable('instance', 'label_values(process_start_time_seconds{job="$job"}, instance)', true),
      ],
    },
    panels,
  };
}

function variable(name: string, query: string, isMany: boolean): object {
  const many = isMany ? { multi: true, includeAll: true, current: { text: 'All', value: '$__all' } } : {};
  return { name, type: 'query', datasource: SOURCE, query: { query, refId: name }, refresh: 2, sort: 1, ...many };
}

/** As the file has it. */
export function dashboardText(): string {
  return `${JSON.stringify(dashboard(), null, 2)}\n`;
}

if (import.meta.main) await writeFile(FILE, dashboardText());
