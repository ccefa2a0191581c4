import type { Command } from 'commander';
import type { Receipt } from '../ingest/ingest.ts';
import { ndjsonFiles } from '../source/ndjson.ts';
import type { Source } from '../source/source.ts';
import type { Parts } from './compose.ts';
import { withParts } from './held.ts';
import { loadConfig } from './config.ts';
import { EXIT } from './exit.ts';
import { postLines } from './remote.ts';

/** Rejections told one by one; a file that is all wrong is wrong in one way, mostly. */
const REJECTIONS_SHOWN_MAX = 20;

export function addIngest(program: Command) {
  program
    .command('ingest')
    .description('append the events of files to the log, and fold them')
    .argument('<file...>', 'NDJSON, gzip or not; segments of another event log')
    .action(async (files: string[], _options, command: Command) => {
      const config = await loadConfig(command.optsWithGlobals<{ config: string }>().config);
      const source = await ndjsonFiles(files, config.log.clock);
      const { accepted, rejected } = await withParts(config, {
        open: parts => ingestHere(parts, files, source),
        held: url => ingestAll(source, bytes => postLines(url, bytes)),
      });
      console.log(`accepted ${accepted}, rejected ${rejected}`);
      if (rejected > 0) process.exitCode = EXIT.fault;
    });
}

/** What the data folder remembers of it: which files, when, and what became of them. */
async function ingestHere({ ingest, meta }: Parts, files: string[], source: Source) {
  const run = meta.startRun({ kind: 'ingest', startedAtMicros: nowMicros(), detail: { files } });
  const end = (state: 'done' | 'failed', outcome: object) =>
    meta.finishRun(run, { state, finishedAtMicros: nowMicros(), detail: { files, ...outcome } });
  try {
    const counts = await ingestAll(source, bytes => ingest.post(bytes, 'ndjson'));
    end('done', counts);
    return counts;
  } catch (error) {
    end('failed', { error: String(error) });
    throw error;
  }
}

function nowMicros(): bigint {
  return BigInt(Date.now()) * 1000n;
}

/** Block by block, each durable before the next is read: whatever stops this, what was accepted is counted once. */
export async function ingestAll(
  source: Source,
  post: (bytes: Uint8Array) => Promise<Receipt>,
): Promise<{ accepted: number; rejected: number }> {
  let accepted = 0;
  let rejected = 0;
  for await (const block of source.read(0)) {
    const receipt = await post(block.bytes);
    accepted += receipt.accepted;
    for (const { line, reason } of receipt.rejected) {
      if (rejected++ < REJECTIONS_SHOWN_MAX) console.error(`${block.file}:${block.line + line - 1}: ${reason}`);
    }
  }
  if (rejected > REJECTIONS_SHOWN_MAX) console.error(`... and ${rejected - REJECTIONS_SHOWN_MAX} more lines`);
  return { accepted, rejected };
}
