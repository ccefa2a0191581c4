/** An event that a server sends. */
export interface SentEvent {
  name: string;
  data: string;
}

/** Reads server-sent events, as the HTML standard has them, as far as names and data go. */
export async function* sentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<SentEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let [text, event] = ['', NOTHING];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      text += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A line that ends a piece may end with two characters, of which one has come.
      const lines = text.split(done ? /\r\n|\n|\r/ : /\r\n|\n|\r(?!$)/);
      text = lines.pop()!;
      for (const line of lines) {
        if (line !== '') event = withLine(event, line);
        else {
          if (event.data !== null) yield { name: event.name, data: event.data };
          event = NOTHING;
        }
      }
      if (done) return;
    }
  } finally {
    // Whoever leaves the loop hears no more of it.
    await reader.cancel().catch(() => {});
  }
}

interface Pending {
  name: string;
  data: string | null;
}

const NOTHING: Pending = { name: 'message', data: null };

function withLine(event: Pending, line: string): Pending {
  const [, field, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line)!;
  if (field === 'event') return { ...event, name: value! };
  if (field === 'data') return { ...event, data: event.data === null ? value! : `${event.data}\n${value}` };
  return event;
}
