import type { Command } from 'commander';
import { Faults } from '../base/fault.ts';
import { formatDuration, formatMicros, MICROS_PER_MS } from '../base/time.ts';
import { compileFolder } from '../compile/compile.ts';
import type { AggregateChange, Change, FeatureChange, PlanDiff, TilesChange } from '../plan/diff.ts';
import { diffPlans, isChanged, rowsPerKey } from '../plan/diff.ts';
import type { EventFeatureChange } from '../plan/event_diff.ts';
import { planJson } from '../plan/json.ts';
import { typeName } from '../plan/value.ts';
import type { KeptLevel } from '../plan/window.ts';
import { clusterInForce } from './cluster/asking.ts';
import { isClustered } from './cluster/cluster.ts';
import { loadConfig } from './config.ts';
import { EXIT } from './exit.ts';
import { type Coming, type InForce, planInForce } from './in_force.ts';
import { tableText } from './table.ts';

interface Options {
  config: string;
  json?: true;
}

/** `tilefold plan`: reads definitions and the database, beside a server too, and changes neither. */
export function addPlan(program: Command) {
  program
    .command('plan')
    .description('show what definitions change of those in force, and what that costs')
    .argument('[dir]', 'a folder of definitions; by default what --config says')
    .option('--json', 'as one JSON object')
    .action(async (dir: string | undefined, _options, command: Command) => {
      const { config: path, json } = command.optsWithGlobals<Options>();
      const config = await loadConfig(path);
      const after = await compileFolder(dir ?? config.definitions, config);
      const before = isClustered(config) ? await clusterInForce(config, path) : planInForce(config);
      const diff = diffPlans(before?.plan ?? null, after, before?.numbers);
      const coming = before?.coming ?? null;
      const isSame = coming !== null && planJson(coming.plan) === planJson(after);
      const text = planText(diff, before?.now.nowMicros ?? null);
      if (json) console.log(JSON.stringify(diffJson(diff, before, isSame)));
      else console.log([text, ...(coming ? [comingText(coming, isSame)] : [])].join('\n'));
      if (diff.refusals.length > 0 && json) process.exitCode = EXIT.fault;
      else if (diff.refusals.length > 0) throw new Faults(diff.refusals);
      else if (isChanged(diff)) process.exitCode = EXIT.changes;
    });
}

const SIGNS: Record<Change | 'kept', string> = {
  added: '+',
  removed: '-',
  renamed: '>',
  redefined: '~',
  dirtied: '~',
  kept: '~',
};

/**
 * For people: a table of features, one of aggregates, one of the tiles of a key, and what it comes to.
 *
 * @param nowMicros null where it is not known: then it is said how long windows are WARMING, not until when
 */
export function planText(diff: PlanDiff, nowMicros: bigint | null): string {
  const tables = [
    [['', 'feature', 'type', 'is', 'then'], diff.features.map(change => featureRow(change, nowMicros))],
    [['', 'of events', 'type', 'is'], diff.events.map(eventRow)],
    [['', 'aggregate', 'of', 'keeps', 'backfill'], diff.aggregates.map(aggregateRow)],
    [['', 'tiles of', 'length', 'kept', 'rows of a busy key'], diff.tiles.map(tilesRow)],
  ] as const;
  const shown = tables.flatMap(([header, rows]) => (rows.length > 0 ? tableText([[...header], ...rows]) : []));
  return [...shown, summaryOf(diff)].join('\n\n');
}

function featureRow({ change, before, after, through, warmingMs }: FeatureChange, nowMicros: bigint | null): string[] {
  const feature = (after ?? before)!;
  const is = {
    added: () => feature.description,
    removed: () => feature.description,
    renamed: () => `was ${before!.name}`,
    redefined: () =>
      feature.description === before!.description
        ? `${feature.description}, of other events or in other tiles`
        : `${feature.description}, was ${before!.description}`,
    dirtied: () => `${feature.description}, through ${through.join(', ')}`,
  };
  const type = [typeName(feature.expression.type), feature.units].filter(text => text !== undefined).join(', ');
  return [SIGNS[change], feature.name, type, is[change](), warmingText(warmingMs, nowMicros)];
}

function eventRow({ change, name, type, description, through }: EventFeatureChange): string[] {
  const is = change === 'dirtied' ? `${description}, through ${through.join(', ')}` : description;
  return [SIGNS[change], name, typeName(type), is];
}

function warmingText(warmingMs: number | null, nowMicros: bigint | null): string {
  if (warmingMs === 0) return '';
  if (warmingMs === null) return 'counts from then on';
  const until = warmingUntil(warmingMs, nowMicros);
  return until ? `WARMING until ${until}` : `WARMING for ${formatDuration(warmingMs)}`;
}

function warmingUntil(warmingMs: number | null, nowMicros: bigint | null): string | null {
  if (warmingMs === null || warmingMs === 0 || nowMicros === null) return null;
  return formatMicros(nowMicros + BigInt(warmingMs) * MICROS_PER_MS);
}

function aggregateRow(changed: AggregateChange): string[] {
  const { change, before, after, needsBackfill } = changed;
  const { name, fn, event } = (after ?? before)!;
  const was = change === 'renamed' ? `${name}, was ${before!.name}` : name;
  return [SIGNS[change], was, `${fn.name} of ${event}`, keepsText(changed), needsBackfill ? 'needed' : ''];
}

/** `tiles of 1m (3h1m, was 2h1m), 30m (7h)`: of one that goes on, only what changes. */
function keepsText({ change, levelsBefore, levelsAfter }: AggregateChange): string {
  const were = new Map(levelsBefore.map(({ levelMs, ttlMs }) => [levelMs, ttlMs]));
  const are = levelsAfter.flatMap(level => {
    const wasMs = were.get(level.levelMs);
    if (wasMs === level.ttlMs) return change === 'kept' ? [] : levelText(level);
    return levelText(level, wasMs);
  });
  const gone = levelsBefore.filter(({ levelMs }) => !levelsAfter.some(level => level.levelMs === levelMs));
  if (change === 'removed') return `tiles of ${gone.map(level => levelText(level)).join(', ')}`;
  const kept = are.length > 0 ? [`tiles of ${are.join(', ')}`] : [];
  return [...kept, ...(gone.length > 0 ? [`none of ${gone.map(level => levelText(level)).join(', ')}`] : [])].join(
    '; ',
  );
}

function levelText({ levelMs, ttlMs }: KeptLevel, wasMs?: number): string {
  if (levelMs === 0) return 'the lifetime';
  const was = wasMs === undefined ? '' : `, was ${formatDuration(wasMs)}`;
  return `${formatDuration(levelMs)} (${formatDuration(ttlMs)}${was})`;
}

function tilesRow({ entity, levelMs, beforeMs, afterMs }: TilesChange): string[] {
  const sign = beforeMs === null ? '+' : afterMs === null ? '-' : '~';
  const both = (text: (ttlMs: number) => string) => {
    const [was, is] = [beforeMs, afterMs].map(ttlMs => (ttlMs === null ? null : text(ttlMs)));
    return was && is && was !== is ? `${is}, was ${was}` : (is ?? was)!;
  };
  const kept = both(ttlMs => (ttlMs === Infinity ? 'for good' : formatDuration(ttlMs)));
  return [
    sign,
    entity,
    levelMs === 0 ? 'lifetime' : formatDuration(levelMs),
    kept,
    both(ttlMs => String(rowsPerKey({ levelMs, ttlMs }))),
  ];
}

function summaryOf(diff: PlanDiff): string {
  const { features, lateness, texts, refusals } = diff;
  if (!isChanged(diff) && refusals.length === 0) return 'no changes: the definitions are those in force';
  const changes = ['added', 'redefined', 'dirtied', 'renamed', 'removed'] as const;
  const countedOf = (list: { change: string }[]) =>
    changes.flatMap(change => {
      const count = list.filter(one => one.change === change).length;
      return count > 0 ? `${count} ${change}` : [];
    });
  const [counted, answered] = [countedOf(features), countedOf(diff.events)];
  const warming = features.filter(({ warmingMs }) => warmingMs !== 0).length;
  return [
    ...(counted.length > 0 ? [`features: ${counted.join(', ')}`] : []),
    ...(answered.length > 0 ? [`features of events: ${answered.join(', ')}`] : []),
    ...(warming > 0 ? [`${warming} of them lack events of before, unless those are folded from the log`] : []),
    ...(lateness ? [`lateness: ${formatDuration(lateness.afterMs)}, was ${formatDuration(lateness.beforeMs)}`] : []),
    ...(texts.length > 0 ? [`texts: ${texts.join(', ')}`] : []),
    ...(refusals.length > 0
      ? [`refused, for ${refusals.length === 1 ? 'a reason' : `${refusals.length} reasons`}`]
      : []),
  ].join('\n');
}

/** Of definitions that are to come into force; `isSame` where they are those that are compared. */
function comingText({ untilMicros }: Coming, isSame: boolean): string {
  const which = isSame ? 'these definitions' : 'other definitions';
  if (untilMicros === null) return `${which} are being computed from the log, to come into force then`;
  return `${which} wait, to take over at ${formatMicros(untilMicros)}, when their windows are whole`;
}

/** For programs: `plan --json`. */
function diffJson(diff: PlanDiff, before: InForce | null, isSame: boolean) {
  const nowMicros = before?.now.nowMicros ?? null;
  return {
    changed: isChanged(diff),
    in_force: before && { position: before.from },
    coming: before?.coming
      ? { same: isSame, until: before.coming.untilMicros === null ? null : formatMicros(before.coming.untilMicros) }
      : null,
    features: diff.features.map(({ change, before: old, after, through, warmingMs }) => {
      const { name, entity, expression, units, description } = (after ?? old)!;
      const was = change === 'renamed' ? old!.name : null;
      const type = typeName(expression.type);
      const until = warmingUntil(warmingMs, nowMicros);
      const warming = { warming_ms: warmingMs, warming_until: until, counts_from_then_on: warmingMs === null };
      return { change, name, was, entity, type, units: units ?? null, description, through, ...warming };
    }),
    event_features: diff.events.map(({ type, ...change }) => ({ ...change, type: typeName(type) })),
    aggregates: diff.aggregates.map(({ change, before: old, after, levelsBefore, levelsAfter, needsBackfill }) => ({
      change,
      name: (after ?? old)!.name,
      was: change === 'renamed' ? old!.name : null,
      function: (after ?? old)!.fn.name,
      event: (after ?? old)!.event,
      tiles: levelsAfter.map(levelJson),
      tiles_before: levelsBefore.map(levelJson),
      needs_backfill: needsBackfill,
    })),
    tiles: diff.tiles.map(({ entity, levelMs, beforeMs, afterMs }) => ({
      entity,
      level_ms: levelMs,
      before: beforeMs === null ? null : rowsJson({ levelMs, ttlMs: beforeMs }),
      after: afterMs === null ? null : rowsJson({ levelMs, ttlMs: afterMs }),
    })),
    lateness: diff.lateness && { before_ms: diff.lateness.beforeMs, after_ms: diff.lateness.afterMs },
    texts: diff.texts,
    refusals: diff.refusals.map(({ code, message, at }) => ({ code, message, at })),
  };
}

/** A level of 0 is the lifetime, which is kept for good: null. */
function levelJson({ levelMs, ttlMs }: KeptLevel) {
  return { level_ms: levelMs, kept_ms: ttlMs === Infinity ? null : ttlMs };
}

function rowsJson(level: KeptLevel) {
  return { kept_ms: level.ttlMs === Infinity ? null : level.ttlMs, rows_per_key: rowsPerKey(level) };
}
