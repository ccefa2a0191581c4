import type { Handler } from 'hono';
import type { Place, Operation } from './operation.ts';
import { limitLines } from './limits.ts';

export const GET_WELCOME: Operation = {
  id: 'welcome',
  summary: 'Say what there is',
  description: 'A short text for whoever opens the address by hand.',
  replies: { 200: { description: 'The text.', type: 'text/plain', content: { shape: null } } },
};

/** The paths and the limits. */
export function showWelcome(places: () => Place[]): Handler {
  return c => {
    const lines = places().map(
      ({ path, method, operation }) => `${method.toUpperCase().padEnd(4)} ${path.padEnd(14)} ${operation.summary}`,
    );
    return c.text(`tilefold: features from events\n\n${lines.join('\n')}\n\nLimits:\n\n${limitLines().join('\n')}\n`);
  };
}
