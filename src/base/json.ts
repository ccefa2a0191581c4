/** JSON with every number as the digits that it has there. */
export function parseExactly<T>(text: string): T {
  return parseNumbers(text, digits => digits);
}

/** JSON with every number as what is made of the digits that it has there. */
export function parseNumbers<T>(text: string, make: (digits: string) => unknown): T {
  const numbers = (_name: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? make(context!.source!) : value;
  return JSON.parse(text, numbers) as T;
}
