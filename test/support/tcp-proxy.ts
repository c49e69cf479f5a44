// A TCP proxy that stands for one link of a network: it can be cut (silently, as a pulled cable), reset,
// slowed down, and it can flip a bit. Real sockets on loopback.
import { connect, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";

export interface TcpProxy {
  /** HOST:PORT to connect to instead of the target. */
  readonly address: string;
  /** Bytes forwarded so far, both ways. */
  readonly movedBytes: number;
  /** Forwards nothing and closes nothing until mend(). */
  cut(): void;
  mend(): void;
  /** Drops every connection; new ones are accepted. */
  reset(): void;
  /** Of each direction of each connection; Infinity for no limit. */
  setBytesPerSecond(rate: number): void;
  /** Flips one bit of the n-th byte from now on that flows from the target. */
  flipBitAt(byte: number): void;
}

const TICK_MS = 10;

/** Gone when the test ends. */
export async function startTcpProxy(context: TestContext, target: string): Promise<TcpProxy> {
  const [host = "", port = ""] = target.split(":");
  const links = new Set<Link>();
  const state: LinkState = { isCut: false, rate: Number.POSITIVE_INFINITY, moved: 0, flipAt: -1 };
  const server: Server = createServer((client) => {
    const upstream = connect(Number(port), host);
    const stopUp = pump(client, upstream, state, false);
    const stopDown = pump(upstream, client, state, true);
    const stop = (): void => {
      stopUp();
      stopDown();
    };
    const entry: Link = { client, upstream, stop };
    links.add(entry);
    const end = (): void => {
      entry.stop();
      client.destroy();
      upstream.destroy();
      links.delete(entry);
    };
    for (const socket of [client, upstream]) socket.on("close", end).on("error", end);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    for (const { client, upstream } of links) {
      client.destroy();
      upstream.destroy();
    }
    server.close();
  });
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("the proxy has no port");
  return {
    address: `127.0.0.1:${bound.port}`,
    get movedBytes() {
      return state.moved;
    },
    cut: () => {
      state.isCut = true;
    },
    mend: () => {
      state.isCut = false;
    },
    reset: () => {
      for (const { client } of links) client.resetAndDestroy();
    },
    setBytesPerSecond: (rate) => {
      state.rate = rate;
    },
    flipBitAt: (byte) => {
      state.flipAt = byte;
    },
  };
}

interface Link {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly stop: () => void;
}

interface LinkState {
  isCut: boolean;
  rate: number;
  moved: number;
  flipAt: number;
}

/** Moves bytes one way in small steps, so that cuts and limits take effect at once. */
function pump(from: Socket, to: Socket, state: LinkState, flips: boolean): () => void {
  const step = (): void => {
    if (state.isCut || to.writableNeedDrain || to.destroyed) return;
    const room = Number.isFinite(state.rate)
      ? Math.max(1, Math.floor((state.rate * TICK_MS) / 1000))
      : Number.POSITIVE_INFINITY;
    for (let left = room; left > 0; ) {
      const available = from.readableLength;
      const chunk: Buffer | null = from.read(Math.min(available, left)) ?? null;
      if (chunk === null || chunk.length === 0) return;
      left -= chunk.length;
      state.moved += chunk.length;
      if (flips) flip(chunk, state);
      if (!to.write(chunk)) return;
    }
  };
  const timer = setInterval(step, TICK_MS);
  from.on("readable", () => {
    if (!Number.isFinite(state.rate)) step();
  });
  to.on("drain", step);
  from.on("end", () => to.end());
  return () => clearInterval(timer);
}

function flip(chunk: Buffer, state: LinkState): void {
  if (state.flipAt < 0) return;
  if (state.flipAt < chunk.length) {
    chunk[state.flipAt] = (chunk[state.flipAt] ?? 0) ^ 0x10;
  }
  state.flipAt -= chunk.length;
}
