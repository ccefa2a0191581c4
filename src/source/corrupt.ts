import { Fault } from '../base/fault.ts';

/** Stored bytes of the log that are not what was written, with the place of the damage for programs. */
export class Corrupt extends Fault {
  constructor(
    readonly file: string,
    /** A byte of the file, or of what it unpacks to. */
    readonly offset: number,
    message: string,
  ) {
    super('corrupt', message);
  }
}

/** Where something else was found than what must once have been written there. */
export function corrupt(file: string, offset: number, found: string): Corrupt {
  const place = file.endsWith('.zst') ? `byte ${offset} of what it unpacks to` : `byte ${offset}`;
  return new Corrupt(file, offset, `${file}: ${found} at ${place}, where a whole one was written`);
}
