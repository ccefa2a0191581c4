/** Where in a file something was found; line and column count from 1, length in UTF-16 units (at least 1). */
export interface Position {
  file: string;
  line: number;
  column: number;
  length: number;
}

/**
 * What kind of thing went wrong. One edge maps it to an HTTP status, one to an exit code.
 *
 * - `definition`: a feature set or an event type says something that cannot be
 * - `config`: the configuration or the command line
 * - `request`: a request that cannot be understood
 * - `not_found`: a name that nothing here bears
 * - `media_type`: a body in a format or an encoding that is not read here
 * - `conflict`: something else has the name already
 * - `too_large`: a named limit was passed
 * - `expired`: the moment asked for is no longer kept
 * - `unsupported`: right, but not by this version
 * - `busy`: somebody else holds the data folder, or work is queued up to its limit
 * - `corrupt`: stored bytes are not what was written
 */
export type FaultCode =
  | 'definition'
  | 'config'
  | 'request'
  | 'not_found'
  | 'media_type'
  | 'conflict'
  | 'too_large'
  | 'expired'
  | 'unsupported'
  | 'busy'
  | 'corrupt';

/** A failure that is theirs, not ours: named, placed, and handled at an edge. Its text says what it is about, what was found, and what was wanted. */
export class Fault extends Error {
  override name = 'Fault';
  constructor(
    readonly code: FaultCode,
    message: string,
    readonly at: Position | null = null,
  ) {
    super(
      message.length > MESSAGE_MAX
        ? `${message.slice(0, MESSAGE_MAX / 2)} ... ${message.slice(-MESSAGE_MAX / 2)}`
        : message,
    );
  }
}

/** Characters of a fault's text: what it quotes may be of any length, and what it says of that stands before or behind it. */
const MESSAGE_MAX = 2000;

/** Several faults found in one go: a check reports all of them. */
export class Faults extends Error {
  override name = 'Faults';
  constructor(readonly faults: Fault[]) {
    super(faults.map(faultLine).join('\n'));
  }
}

/** `file:line:column: text`, or the text alone where a fault has no place. */
export function faultLine(fault: Fault): string {
  return fault.at ? `${fault.at.file}:${fault.at.line}:${fault.at.column}: ${fault.message}` : fault.message;
}
