/** What the broker calls an error of the driver, which may stand inside others; empty where it is not the broker's. */
export function typeOf(error: unknown): string {
  const { type, cause, originalError } = error as { type?: string; cause?: unknown; originalError?: unknown };
  return type ?? (cause ? typeOf(cause) : originalError ? typeOf(originalError) : '');
}

export function isOfKafka(error: unknown): error is Error {
  return error instanceof Error && error.name.startsWith('KafkaJS');
}
