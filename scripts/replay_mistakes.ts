import type { Mutant } from './mutant.ts';

/** Mistakes in replays: their jobs, the cache of their columns, labels, orders, and what goes key by key. Each says which suite has to notice. */

const JOBS_SUITE = 'test/replay/jobs.test.ts';
const IDENTITY_SUITE = 'test/plan/identity.test.ts';
const CACHE_SUITE = 'test/replay/cache.test.ts';
const SORTED_SUITE = 'test/replay/sorted.test.ts';
const LABELS_SUITE = 'test/sim/labels.test.ts';
const RUNS_SUITE = 'test/cli/replays.test.ts';
const SERVICE_SUITE = 'test/cli/replay_service.test.ts';
const SWEEP_SUITE = 'test/replay/sweep.test.ts';

/** How replays are split, and put together. */
const JOBS: Mutant[] = [
  {
    name: 'part-one-key',
    why: 'an event with several keys counts in a part only where all of them are in it',
    file: 'src/replay/batches.ts',
    from: '!parts.some(part => part[row] === index)',
    to: '!parts.every(part => part[row] === index)',
    suite: JOBS_SUITE,
  },
  {
    name: 'part-own-key',
    why: 'an event that reads by another key than it writes is not there in the part of its reads',
    file: 'src/replay/batches.ts',
    from: 'const all = type === this.#type && own ? [own, ...written] : written;',
    to: 'const all = written.length > 0 || !own ? written : [own];',
    suite: JOBS_SUITE,
  },
  {
    name: 'part-by-place',
    why: 'which part a key is in hangs on where it stands in its event: who reads it is in another one than who writes it',
    file: 'src/kernel/partition.ts',
    from: '.fill(SEED);',
    to: '.fill(SEED + (key[0]?.register ?? 0));',
    suite: JOBS_SUITE,
  },
  {
    name: 'part-joined-errors',
    why: 'what is wrong with values is kept of the first part alone',
    file: 'src/replay/join.ts',
    from: 'errors.push([row, part.errors.texts[i]!]);',
    to: 'if (part === parts[0]) errors.push([row, part.errors.texts[i]!]);',
    suite: JOBS_SUITE,
  },
  {
    name: 'range-chunk',
    why: 'the chunk that the end of a range lies in is not read',
    file: 'src/replay/stream.ts',
    from: 'row + chunk.count > from && row < to',
    to: 'row + chunk.count > from && (row + chunk.count < to || row === 0)',
    suite: JOBS_SUITE,
  },
  {
    name: 'range-start',
    why: 'a range begins where its chunk does',
    file: 'src/replay/job.ts',
    from: 'const low = Math.max(0, this.#parts.from - this.#seen);',
    to: 'const low = 0;',
    suite: JOBS_SUITE,
  },
  {
    name: 'error-elsewhere',
    why: 'what is wrong with a value is said of an event near it',
    file: 'src/replay/column_file.ts',
    from: 'this.#errors.rows.push(this.#blockRows + ahead);',
    to: 'this.#errors.rows.push(ahead);',
    suite: JOBS_SUITE,
  },
  {
    name: 'errors-of-bad',
    why: 'an event that counts nowhere is in no list of errors',
    file: 'src/replay/results.ts',
    from: '      add(row, BigInt(time), null, reason);\n',
    to: '      add(row, times[row]!, null, reason);\n',
    suite: JOBS_SUITE,
  },
  {
    name: 'reads-too-little',
    why: 'of several timelines an event of another type does not hold up those behind it',
    file: 'src/replay/stream.ts',
    from: "const isHeldUp = holding.length > 1 && timeline.order === 'log';",
    to: "const isHeldUp = holding.length > 2 && timeline.order === 'log';",
    suite: JOBS_SUITE,
  },
];

/** What a column is called by. */
const KEYS: Mutant[] = [
  {
    name: 'key-type',
    why: 'columns of other types are taken for the same where they are spelt alike',
    file: 'src/plan/identity.ts',
    from: '      givenType(columnType(event, name)),\n',
    to: '      null,\n',
    suite: IDENTITY_SUITE,
  },
  {
    name: 'key-error',
    why: 'a column that says something else to be wrong with it is taken for the same',
    file: 'src/plan/identity.ts',
    from: '      wrong?.meaning ?? null,\n',
    to: '      null,\n',
    suite: IDENTITY_SUITE,
  },
  {
    name: 'key-offset',
    why: 'windows that begin at other moments are taken for the same',
    file: 'src/plan/identity.ts',
    from: 'meaning: [meaning, this.plan.latenessMs, offsetMs]',
    to: 'meaning: [meaning, this.plan.latenessMs]',
    suite: IDENTITY_SUITE,
  },
  {
    name: 'key-where',
    why: 'what is counted on another condition is taken for the same',
    file: 'src/plan/identity.ts',
    from: 'keys.map(of), where && of(where)],',
    to: 'keys.map(of)],',
    suite: IDENTITY_SUITE,
  },
  {
    name: 'key-limit',
    why: 'lists of more are taken for those of fewer',
    file: 'src/plan/identity.ts',
    from: 'fn.args.map(of), fn.limit, fn.params],',
    to: 'fn.args.map(of), fn.params],',
    suite: IDENTITY_SUITE,
  },
  {
    name: 'key-params',
    why: 'sums that decay faster are taken for those that decay slower',
    file: 'src/plan/identity.ts',
    from: 'fn.args.map(of), fn.limit, fn.params],',
    to: 'fn.args.map(of), fn.limit],',
    suite: IDENTITY_SUITE,
  },
  {
    name: 'key-decay-tiles',
    why: 'what drops by other tiles when it has decayed is taken for the same',
    file: 'src/plan/identity.ts',
    from: 'DECAYED.has(fn.name) ? [tiles.levelsMs.at(-1), tiles.offsetMs] : null,',
    to: 'null,',
    suite: IDENTITY_SUITE,
  },
  {
    name: 'key-writer',
    why: 'events of the type that writes an aggregate may be others, and what reads it is taken for the same',
    file: 'src/plan/identity.ts',
    from: 'events: unionOf([new Set([writer]), ...parts',
    to: 'events: unionOf([...parts.slice(1)',
    suite: IDENTITY_SUITE,
  },
  {
    name: 'key-clock',
    why: 'events by another clock are taken for the same',
    file: 'src/replay/manifest.ts',
    from: 'const clock = isAlone ? null : [streamed.clock, streamed.keepsArrivals];',
    to: 'const clock = null as [boolean] | null;\n  if (isAlone && clock) streamed.keepsArrivals = false;',
    suite: CACHE_SUITE,
  },
  {
    name: 'key-order',
    why: 'events in the order of time are taken for those of the log',
    file: 'src/replay/stream.ts',
    from: '    order,\n    read.map(',
    to: "    order === 'log' ? 'time' : order,\n    read.map(",
    suite: SORTED_SUITE,
  },
  {
    name: 'key-places',
    why: 'the same events of several types are taken for the same where they came one before the other',
    file: 'src/replay/stream.ts',
    from: 'read.length > 1 ? placesHash : null',
    to: 'read.length < 1 ? placesHash : null',
    suite: CACHE_SUITE,
  },
  {
    name: 'key-engine',
    why: 'columns of another engine are taken for its own',
    file: 'src/replay/manifest.ts',
    from: 'return digest([REPLAY_FORMAT, engine, meaning, content]);',
    to: "return digest([REPLAY_FORMAT, engine === '', meaning, content]);",
    suite: CACHE_SUITE,
  },
  {
    name: 'key-kernels',
    why: 'columns of other kernels are taken for its own',
    file: 'src/cli/runs.ts',
    from: '(await kernelsDigest()).slice(0, ENGINE_DIGITS)',
    to: '(await kernelsDigest()).slice(0, 0)',
    suite: RUNS_SUITE,
  },
];

/** What is kept of columns, and found again. */
const KEPT_COLUMNS: Mutant[] = [
  {
    name: 'cache-unused',
    why: 'an entry that is taken leaves as if nobody had used it',
    file: 'src/replay/cache.ts',
    from: '      utimesSync(path, now, now);\n',
    to: '      utimesSync(path, 0, now - now);\n',
    suite: CACHE_SUITE,
  },
  {
    name: 'cache-newest',
    why: 'entries that were used last leave first',
    file: 'src/replay/cache.ts',
    from: '(a, b) => a.usedMs - b.usedMs',
    to: '(a, b) => b.usedMs - a.usedMs',
    suite: CACHE_SUITE,
  },
  {
    name: 'cache-taken-away',
    why: 'an entry that a replay takes is no longer there for others',
    file: 'src/replay/cache.ts',
    from: '      linkOrCopy(path, to);\n',
    to: '      renameSync(path, to);\n',
    suite: CACHE_SUITE,
  },
  {
    name: 'cache-unchecked',
    why: 'an entry that is damaged is taken all the same',
    file: 'src/replay/cache.ts',
    from: '      checkColumn(to);\n',
    to: '',
    suite: CACHE_SUITE,
  },
  {
    name: 'resume-half-a-file',
    why: 'a column has its name before all of it is written, and whoever goes on takes it for whole',
    file: 'src/replay/column_file.ts',
    from: 'this.#part = partOf(path);',
    to: 'this.#part = path;',
    suite: 'test/cli/replay_kill.test.ts',
  },
  {
    name: 'resume-trusting',
    why: 'whoever goes on takes a column that is damaged for what was made',
    file: 'src/cli/runs.ts',
    from: 'for (const damage of removeDamaged(manifest, folder)) note(',
    to: 'for (const damage of removeDamaged(manifest, folder).slice(0, 0)) note(',
    suite: RUNS_SUITE,
  },
  {
    name: 'done-by-one',
    why: 'a job is done as soon as one of its columns is',
    file: 'src/replay/manifest.ts',
    from: "return outputsOf(manifest, job, '').every(",
    to: "return outputsOf(manifest, job, '').some(",
    suite: RUNS_SUITE,
  },
  {
    name: 'swept-from-others',
    why: 'what another process is writing is taken for what the dead have left',
    file: 'src/replay/unfinished.ts',
    from: 'if (Number.isNaN(pid) || (pid !== process.pid && isAlive(pid))) continue;',
    to: 'if (Number.isNaN(pid)) continue;',
    suite: 'test/replay/unfinished.test.ts',
  },
];

/** Who waits for whom, who stops, and what is told of it. */
const RUN: Mutant[] = [
  {
    name: 'cancel-goes-on',
    why: 'threads of a replay that is cancelled go on with their jobs',
    file: 'src/cli/job_crew.ts',
    from: '    await Promise.all([...this.#workers].map(ended));\n',
    to: '    if (this.#running < 0) await Promise.all([...this.#workers].map(ended));\n',
    suite: RUNS_SUITE,
  },
  {
    name: 'cancel-unheard',
    why: 'one that waits and is cancelled is begun all the same',
    file: 'src/cli/runs.ts',
    from: "    if (state === 'waiting') noteState(folder, { state: 'cancelled', by: null });\n",
    to: '',
    suite: SERVICE_SUITE,
  },
  {
    name: 'all-at-once',
    why: 'a server computes all replays at once',
    file: 'src/cli/replay_queue.ts',
    from: 'this.#computed = this.#computed.then(() => this.#compute(folder)).finally(',
    to: 'this.#computed = this.#compute(folder).finally(',
    suite: SERVICE_SUITE,
  },
  {
    name: 'job-too-early',
    why: 'a job is begun as soon as one of those that it needs is done',
    file: 'src/cli/job_crew.ts',
    from: 'after.every(before => this.#done.has(before))',
    to: 'after.slice(1).every(before => this.#done.has(before))',
    suite: RUNS_SUITE,
  },
  {
    name: 'handed-one-part',
    why: 'a job that joins parts, and has what it needs brought from elsewhere, is brought the first of them alone',
    file: 'src/replay/inputs.ts',
    from: "PATHS.part('', manifest.files[id]!, index, job.parts)",
    to: "PATHS.part('', manifest.files[id]!, index * 0, job.parts)",
    suite: JOBS_SUITE,
  },
  {
    name: 'handed-one-timeline',
    why: 'a job that has what it needs brought from elsewhere is brought the events of the first timeline alone',
    file: 'src/replay/inputs.ts',
    from: 'return chunksOf(eventsOfJob(manifest, job).timelines)',
    to: 'return chunksOf(eventsOfJob(manifest, job).timelines.slice(0, 1))',
    suite: JOBS_SUITE,
  },
  {
    name: 'end-untold',
    why: 'whoever follows a replay does not hear its last state',
    file: 'src/http/progress.ts',
    from: 'if (key !== last || !isHeld(status.state)) {',
    to: 'if (key !== last && isHeld(status.state)) {',
    suite: SERVICE_SUITE,
  },
];

/** Which events are there at which moment. */
const MOMENTS: Mutant[] = [
  {
    name: 'label-open',
    why: 'a label does not know the event of its own time',
    file: 'src/replay/walk.ts',
    from: 'next.value.timeMicros < clockMicros;',
    to: 'next.value.timeMicros <= clockMicros;',
    suite: LABELS_SUITE,
  },
  {
    name: 'label-arrival',
    why: 'where the wall is the clock, labels go by the clocks of types',
    file: 'src/replay/walk.ts',
    from: 'const clock = isWall ? arrivalMicros! : clocks[record]!;',
    to: 'const clock = clocks[record]!;',
    suite: LABELS_SUITE,
  },
  {
    name: 'tie-of-runs',
    why: 'of equal times the run that was written last comes first',
    file: 'src/replay/by_time.ts',
    from: 'head.timeMicros < heads[first]!.timeMicros)',
    to: 'head.timeMicros <= heads[first]!.timeMicros)',
    suite: 'test/replay/by_time.test.ts',
  },
  {
    name: 'tie-in-run',
    why: 'equal times that are sorted in memory are turned round',
    file: 'src/replay/by_time.ts',
    from: '? 1 : a - b)',
    to: '? 1 : b - a)',
    suite: 'test/replay/by_time.test.ts',
  },
  {
    name: 'stretch-open',
    why: 'the event at which a stretch begins is not given out',
    file: 'src/replay/within.ts',
    from: 'timeMicros >= startMicros)',
    to: 'timeMicros > startMicros)',
    suite: 'test/replay/within.test.ts',
  },
  {
    name: 'stretch-closed',
    why: 'the event at which a stretch ends is given out',
    file: 'src/replay/within.ts',
    from: 'timeMicros < endMicros)',
    to: 'timeMicros <= endMicros)',
    suite: 'test/replay/within.test.ts',
  },
];

/** What goes key by key. */
const SWEEPS: Mutant[] = [
  {
    name: 'sweep-first-batch',
    why: 'of a part only the first batch says which rows it speaks of',
    file: 'src/replay/sweep.ts',
    from: '    if (owned) this.#owned.push(owned);\n',
    to: '    if (owned) this.#owned.push(this.#owned.length === 0 ? owned : new Uint8Array(owned.length));\n',
    suite: JOBS_SUITE,
  },
  {
    name: 'sweep-first-owners',
    why: 'of a part each block speaks of the rows that the first one speaks of',
    file: 'src/replay/sweep.ts',
    from: 'owned?.subarray(from, to) ?? null',
    to: 'owned?.subarray(0, to - from) ?? null',
    suite: JOBS_SUITE,
  },
  {
    name: 'sweep-old-totals',
    why: 'a portion of keys has the totals of the one before, where there is but one feed',
    file: 'assembly/piece.ts',
    from: '  forgetTotals();\n',
    to: '',
    suite: SWEEP_SUITE,
  },
  {
    name: 'sweep-old-edges',
    why: 'a portion of keys has the edges of the one before',
    file: 'assembly/piece.ts',
    from: '  forgetEdges(owner);\n',
    to: '',
    suite: SWEEP_SUITE,
  },
  {
    name: 'weave-old-words',
    why: 'a stretch of rows goes on in the values where the one before has ended',
    file: 'assembly/weave.ts',
    from: '  spool.word = 0;\n',
    to: '',
    suite: SWEEP_SUITE,
  },
  {
    name: 'weave-in-order',
    why: 'portions are put together as they were swept, the largest first, and not by their numbers',
    file: 'src/replay/aside.ts',
    from: 'yield { index, rows: rowsOf(index) };',
    to: 'yield { index: order.indexOf(index), rows: rowsOf(index) };',
    suite: SWEEP_SUITE,
  },
  {
    name: 'places-last-bad',
    why: 'what is wrong with the last event of a batch is not said',
    file: 'src/replay/places.ts',
    from: '      this.#noteBads(decoder);\n      if (isEnd) return;\n',
    to: '      if (isEnd) return;\n      this.#noteBads(decoder);\n',
    suite: 'test/replay/places.test.ts',
  },
  {
    name: 'places-any-text',
    why: 'an id is found in a line that does not say its type',
    file: 'assembly/places.ts',
    from: '    if (hasId && hasType) return true;\n',
    to: '    if (hasId) return true;\n',
    suite: 'test/replay/places.test.ts',
  },
  {
    name: 'chunk-any-name',
    why: 'a chunk of other events is taken for the one whose name it has',
    file: 'src/source/timeline_chunk.ts',
    from: 'named ? named === hash && lines.length',
    to: 'named ? lines.length',
    suite: 'test/source/timeline.test.ts',
  },
];

export const REPLAY_MISTAKES: Mutant[] = [...JOBS, ...KEYS, ...KEPT_COLUMNS, ...RUN, ...MOMENTS, ...SWEEPS];
