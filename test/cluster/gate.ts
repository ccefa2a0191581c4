import { connect, createServer, type Socket } from 'node:net';

/** A server behind a gate: while it is shut, connections stay, and nothing passes, as with a server that hangs. */
export interface Gate {
  address: string;
  shut(): void;
  open(): void;
  close(): void;
}

export async function gateTo(address: string): Promise<Gate> {
  const [host, port] = address.split(':') as [string, string];
  const sockets = new Set<Socket>();
  let isOpen = true;
  const join = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on('data', bytes => to.write(bytes));
    from.on('error', () => {});
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
    if (!isOpen) from.pause();
  };
  const server = createServer(client => {
    const behind = connect(Number(port), host);
    join(client, behind);
    join(behind, client);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as { port: number }).port}`,
    shut() {
      isOpen = false;
      for (const socket of sockets) socket.pause();
    },
    open() {
      isOpen = true;
      for (const socket of sockets) socket.resume();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
