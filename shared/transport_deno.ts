/**
 * The real transport: `Deno.Conn` with Nagle's algorithm off.
 *
 * @module
 */
import { type Address, addressText, type Connection, type Listener, type Transport } from "@/shared/transport.ts";

/** Sockets of this host. */
export const denoTransport: Transport = {
  async connect(address) {
    if ("path" in address) {
      return wrap(await Deno.connect({ transport: "unix", path: address.path }), addressText(address));
    }
    const connection = await Deno.connect({ hostname: address.hostname, port: address.port });
    connection.setNoDelay(true);
    return wrap(connection, addressText(address));
  },
  listen(address) {
    return "path" in address ? listenUnix(address) : listenTcp(address);
  },
};

function listenTcp(address: { hostname: string; port: number }): Listener {
  const listener = Deno.listen({ hostname: address.hostname, port: address.port });
  return {
    port: listener.addr.port,
    close: () => closeQuietly(listener),
    accept: () =>
      accepted(async () => {
        const connection = await listener.accept();
        connection.setNoDelay(true);
        return wrap(connection, `${connection.remoteAddr.hostname}:${connection.remoteAddr.port}`);
      }),
  };
}

function listenUnix(address: Address & { path: string }): Listener {
  const listener = Deno.listen({ transport: "unix", path: address.path });
  return {
    port: 0,
    close: () => closeQuietly(listener),
    accept: () => accepted(async () => wrap(await listener.accept(), address.path)),
  };
}

/** A listener that was closed ends the loop of whoever accepts; a connection that died in the queue does not. */
async function accepted(next: () => Promise<Connection>): Promise<Connection | null> {
  while (true) {
    try {
      return await next();
    } catch (error) {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return null;
      if (error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.ConnectionAborted) continue;
      throw error;
    }
  }
}

function wrap(connection: Deno.Conn, peer: string): Connection {
  return {
    peer,
    read: (into) => connection.read(into),
    write: (bytes) => connection.write(bytes),
    close: () => closeQuietly(connection),
  };
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
