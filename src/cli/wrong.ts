import { Fault } from '../base/fault.ts';
import type { FeatureError, ReplayParts } from '../replay/replay.ts';
import { isWithin, type Stretch } from '../replay/within.ts';
import { badLine, featureErrorLine, rejectedLine } from './frame/lines.ts';
import { WholeFile } from './frame/whole.ts';

type Rejected = Parameters<ReplayParts['onRejected']>[0];

/** What is wrong with replayed events: counted, and written down where somebody wants to read it. */
export class Wrong {
  /** Lines that are no events, and the first of them. */
  rejected = 0;
  first: Rejected | null = null;
  /** Events that cannot count. */
  #bad = 0;
  /** Values of single features that something is wrong with. */
  #features = 0;

  /** @param stretch of times: of events outside it nothing is told */
  constructor(
    private readonly file: WholeFile | null,
    private readonly stretch: Stretch,
  ) {}

  readonly hears: Pick<ReplayParts, 'onRejected' | 'onBad'> = {
    onRejected: rejected => {
      this.first ??= rejected;
      this.rejected++;
      this.file?.writeNow(rejectedLine(rejected));
    },
    onBad: bad => {
      if (!isWithin(bad.timeMicros, this.stretch)) return;
      this.#bad++;
      this.file?.writeNow(badLine(bad));
    },
  };

  features(errors: FeatureError[]): void {
    this.#features += errors.length;
    for (const error of errors) this.file?.writeNow(featureErrorLine(error));
  }

  json() {
    return { errors: this.rejected + this.#bad, rejected: this.rejected, feature_errors: this.#features };
  }

  /** @param errors the file that lists them */
  tell(errors: string | undefined): void {
    const where = errors === undefined ? '--errors FILE lists them' : `${errors} lists them`;
    const say = (count: number, one: string, many: string) => {
      if (count > 0) console.error(`replay: ${count} ${count === 1 ? one : many}; ${where}`);
    };
    say(this.rejected, 'line is no event', 'lines are no events');
    say(this.#bad, 'event could not count', 'events could not count');
    say(this.#features, 'feature has an error', 'features have errors');
  }
}

/** What a replay writes: the file, and what is wrong beside it. Both are there whole, or neither is. */
export async function writing<T>(
  options: { out: string; errors?: string },
  stretch: Stretch,
  work: (out: WholeFile, wrong: Wrong) => Promise<T>,
): Promise<{ wrong: Wrong; replayed: T }> {
  const files: WholeFile[] = [];
  const open = async (path: string) => {
    const file = await WholeFile.create(path);
    files.push(file);
    return file;
  };
  try {
    const out = await open(options.out);
    const wrong = new Wrong(options.errors === undefined ? null : await open(options.errors), stretch);
    const replayed = await work(out, wrong);
    for (const file of files.toReversed()) await file.finish();
    return { wrong, replayed };
  } catch (error) {
    for (const file of files) await file.abandon();
    throw error;
  }
}

/** Something else was taken for a log; nothing is written then. */
export function noEvents({ file, line, reason, sample }: Rejected, count: number): Fault {
  const found = `line ${line} of ${file}: ${reason}, found ${JSON.stringify(sample.slice(0, SAMPLE_CHARACTERS))}`;
  return new Fault('media_type', `no line is an event: all ${count} were rejected, the first being ${found}`);
}

/** Enough to know a file again. */
const SAMPLE_CHARACTERS = 60;
