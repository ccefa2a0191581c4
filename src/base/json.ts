/** JSON with every number as the digits that it has there. */
export function parseExactly<T>(text: string): T {
  const digits = (_name: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? context!.source : value;
  return JSON.parse(text, digits) as T;
}
