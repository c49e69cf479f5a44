// One link between two workers for tests: a TCP proxy whose downstream bytes a test can watch, change,
// hold back or cut. Counts over all connections.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

export interface Link {
  readonly address: string;
  /** Bytes that came from the target so far. */
  readonly movedBytes: number;
  readonly connectionCount: number;
  /** Drops the connection when the n-th byte from the target has passed; may be set again. */
  cutAt(byteCount: number): void;
  /** Flips a bit of the n-th byte from the target. */
  flipAt(byteIndex: number): void;
  /** From now on nothing comes from the target, and nothing is closed. */
  hold(): void;
}

export async function createLink(t: TestContext, target: string): Promise<Link> {
  const [host, port] = target.split(":");
  const sockets = new Set<Socket>();
  const state = { moved: 0, connections: 0, cut: Infinity, flip: -1, held: false };
  const server = createServer((near) => {
    state.connections += 1;
    const far = connect(Number(port), host);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("error", () => undefined);
      one.on("close", () => other.destroy());
    }
    near.on("data", (bytes) => far.write(bytes));
    far.on("data", (bytes: Buffer) => {
      if (state.held) return;
      const at = state.flip - state.moved;
      if (at >= 0 && at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ 1;
      const room = state.cut - state.moved;
      state.moved += Math.min(room, bytes.length);
      if (bytes.length < room) {
        near.write(bytes);
        return;
      }
      state.cut = Infinity;
      near.end(bytes.subarray(0, room));
      far.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return {
    address: `127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    get movedBytes() {
      return state.moved;
    },
    get connectionCount() {
      return state.connections;
    },
    cutAt: (byteCount) => {
      state.cut = byteCount;
    },
    flipAt: (byteIndex) => {
      state.flip = byteIndex;
    },
    hold: () => {
      state.held = true;
    },
  };
}
