import { AssertionError } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import type { Failure } from './message.ts';

/** An error as something that can be sent. */
export function failureOf(error: unknown): Failure {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { code: error instanceof Fault ? error.code : null, message, stack: stack ?? message };
}

/** The error again, on the other side. What is no Fault is our bug, there as here. */
export function errorOf({ code, message, stack }: Failure): Error {
  const error = code === null ? new AssertionError(message) : new Fault(code, message);
  error.stack = stack;
  return error;
}
