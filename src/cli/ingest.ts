import type { Command } from 'commander';
import { wallMicros } from '../base/time.ts';
import { Fault } from '../base/fault.ts';
import { Stages } from '../base/stages.ts';
import type { Receipt } from '../ingest/ingest.ts';
import { ndjsonFiles } from '../source/ndjson.ts';
import { type NumberedBlock, numbered } from '../source/numbered.ts';
import type { Source } from '../source/source.ts';
import { isClustered, openBroker } from './cluster/cluster.ts';
import type { Parts } from './alone/compose.ts';
import { withParts } from './alone/held.ts';
import { type KafkaConfig, loadConfig, parseMemory } from './config.ts';
import { openPosting } from './cluster/posting.ts';
import { MEMORY } from './memory.ts';
import { EXIT } from './exit.ts';
import { PROFILE, profileText } from './profile.ts';
import { postLines } from './remote.ts';

/** Rejections told one by one; a file that is all wrong is wrong in one way, mostly. */
const REJECTIONS_SHOWN_MAX = 20;

/** Programs may want more of them, though not without end. */
const REJECTIONS_LISTED_MAX = 10_000;

/**
 * Blocks on their way at a time, where this process has the log: one is folded while another is synced, and a third one waits to
 * be written. Where the disk is slow two of them share a sync.
 */
const UNDER_WAY_MAX = 3;

/** A line that is no event. `line` counts from 1 within the file. */
interface Rejected {
  file: string;
  line: number;
  code: string;
  reason: string;
}

/** `tilefold ingest`: files -> log, here or through the server that holds it. */
export function addIngest(program: Command) {
  program
    .command('ingest')
    .description('append the events of files to the log, and fold them')
    .argument('<file...>', 'NDJSON, gzip or not; segments of another event log')
    .option('--again', 'count the events of a file that was ingested within the last 24 hours once more')
    .option('--json', 'counts and rejections as one JSON object')
    .option(...MEMORY, parseMemory)
    .option(...PROFILE)
    .action(async (files: string[], _options, command: Command) => {
      const { config: path, json, again, memory, profile } = command.optsWithGlobals<Options>();
      const startMs = performance.now();
      let state: Parts['state'] | null = null;
      const config = await loadConfig(path, memory ?? null);
      const source = await ndjsonFiles(files, config.log.clock);
      const listed: Rejected[] = [];
      const list = (one: Rejected) => {
        if (listed.length < (json ? REJECTIONS_LISTED_MAX : REJECTIONS_SHOWN_MAX)) listed.push(one);
      };
      const keyOf = again ? async () => null : fileKeys();
      const counts = isClustered(config)
        ? await ingestThere(config.kafka!, source, list)
        : await withParts(config, {
            open: async parts => {
              state = parts.state;
              const tooLate = refusedIn(parts);
              const here = await ingestHere(parts, files, source, keyOf, list);
              const isLate = refusedIn(parts) > tooLate;
              if (isLate && config.log.clock.kind === 'wall' && !json) console.error(TOO_LATE);
              return here;
            },
            held: url => ingestAll(source, keyOf, (bytes, key) => postLines(url, bytes, key), list),
          });
      if (profile) tellProfile(state, (performance.now() - startMs) / 1000);
      if (json) console.log(JSON.stringify({ ...counts, rejections: listed }));
      else tell(counts, listed);
      if (counts.rejected > 0) process.exitCode = EXIT.fault;
    });
}

function refusedIn({ state }: Parts): number {
  return state().refused.reduce((sum, { count }) => sum + count, 0);
}

/** @param state null where a server has done the work */
function tellProfile(state: Parts['state'] | null, seconds: number) {
  console.error(state ? profileText(state(), seconds) : 'a server has done it: its GET /metrics has the stages');
}

/** Events of a recorded file are late by a wall clock: their windows are long past when they arrive. */
const TOO_LATE =
  'some events came too late for their windows, and count in lifetimes only; recorded events want log: { clock: event }';

interface Options {
  config: string;
  memory?: number;
  json?: true;
  again?: true;
  profile?: true;
}

interface Counts {
  accepted: number;
  /** Of the accepted ones: what an earlier run had brought in already, and counts once. */
  replayed: number;
  rejected: number;
}

function tell({ accepted, replayed, rejected }: Counts, listed: Rejected[]) {
  for (const { file, line, reason } of listed) console.error(`${file}:${line}: ${reason}`);
  if (rejected > listed.length) console.error(`... and ${rejected - listed.length} more lines`);
  if (replayed > 0) console.error(`${replayed} events were ingested before, and count once; --again counts them anew`);
  console.log(`accepted ${accepted}, rejected ${rejected}`);
}

type KeyOf = (block: NumberedBlock) => Promise<string | null>;

/**
 * What a block is called in the log, so that a file counts once: by what the whole file holds, not by its name, and by
 * the line that the block starts at. A run that was stopped goes on where it was; a file that has changed is another.
 */
function fileKeys(): KeyOf {
  const hashes = new Map<string, Promise<string>>();
  return async ({ file, line }) => {
    const hash = hashes.get(file) ?? hashFile(file);
    hashes.set(file, hash);
    return `file:${await hash}:${line}`;
  };
}

async function hashFile(file: string): Promise<string> {
  const hash = new Bun.CryptoHasher('sha256');
  for await (const chunk of Bun.file(file).stream()) hash.update(chunk);
  return hash.digest('hex');
}

/** What the data folder remembers of it: which files, when, and what became of them. */
async function ingestHere(
  { ingest, meta }: Parts,
  files: string[],
  source: Source,
  keyOf: KeyOf,
  list: (one: Rejected) => void,
) {
  const run = meta.startRun({ kind: 'ingest', startedAtMicros: wallMicros(), detail: { files } });
  const end = (state: 'done' | 'failed', outcome: object) =>
    meta.finishRun(run, { state, finishedAtMicros: wallMicros(), detail: { files, ...outcome } });
  try {
    const counts = await ingest.inBulk(post =>
      // Copied, for each is taken while the next one is read. Blocks fit a slice, so none of them overtakes another.
      ingestAll(source, keyOf, (bytes, key) => post(bytes.slice(), 'ndjson', key), list, UNDER_WAY_MAX),
    );
    end('done', counts);
    return counts;
  } catch (error) {
    end('failed', { error: String(error) });
    throw error;
  }
}

/** To the topic of a cluster, where nothing counts once by itself: what is sent again counts again. */
async function ingestThere(kafka: KafkaConfig, source: Source, list: (one: Rejected) => void): Promise<Counts> {
  let at = '';
  const noted: KeyOf = async ({ file, line }) => {
    at = `${file}:${line}`;
    return null;
  };
  const broker = await openBroker(kafka);
  try {
    const { post, close } = await openPosting(broker, kafka, new Stages());
    const counts = await ingestAll(source, noted, bytes => post.post(bytes, 'ndjson', null, null), list);
    await close();
    return counts;
  } catch (error) {
    if (!(error instanceof Fault) || at === '') throw error;
    const taken = `what stands before ${at} was taken, and some of what follows may have been`;
    throw new Fault(error.code, `${error.message}; ${taken}`);
  } finally {
    await broker.close();
  }
}

/**
 * Block by block, in their order: whatever stops this, what was accepted is counted once, and is what stands first.
 *
 * @param underWayMax so many blocks are posted before the first of them has to be durable
 */
async function ingestAll(
  source: Source,
  keyOf: KeyOf,
  post: (bytes: Uint8Array, key: string | null) => Promise<Receipt>,
  list: (one: Rejected) => void,
  underWayMax = 1,
): Promise<Counts> {
  const counts: Counts = { accepted: 0, replayed: 0, rejected: 0 };
  const take = ({ accepted, rejected, replayed }: Receipt, { file, line: first }: Place) => {
    counts.accepted += accepted;
    if (replayed) counts.replayed += accepted;
    counts.rejected += rejected.length;
    for (const { line, code, reason } of rejected) list({ file, line: first + line - 1, code, reason });
  };
  const underWay: { place: Place; posted: Promise<Receipt> }[] = [];
  const takeFirst = async () => {
    const { place, posted } = underWay[0]!;
    take(await posted, place);
    underWay.shift();
  };
  try {
    for await (const block of numbered(source.read(0))) {
      const { bytes, file, line } = block;
      const posted = post(bytes, await keyOf(block));
      // Whoever takes it hears of a failure.
      posted.catch(() => {});
      underWay.push({ place: { file, line }, posted });
      if (underWay.length >= underWayMax) await takeFirst();
    }
    while (underWay.length > 0) await takeFirst();
    return counts;
  } finally {
    await Promise.allSettled(underWay.map(({ posted }) => posted));
  }
}

type Place = Pick<NumberedBlock, 'file' | 'line'>;
