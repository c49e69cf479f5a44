// Where the worker listens. A unix socket is guarded by its directory: for a private worker that is
// 0700, so nobody else on the machine can speak to it.
import { lstat, mkdir, stat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { GraftError } from "@graft/proto";
import type { ListenAddress } from "../config.js";

/** Linux's limit on the path of a unix socket, less its final NUL. */
const SOCKET_PATH_BYTES_MAX = 107;

/** Clears the way for a unix socket and gives the address in gRPC's spelling. */
export async function prepareAddress(address: ListenAddress, isPrivate: boolean): Promise<string> {
  if (address.kind === "tcp") {
    const host = address.host.includes(":") ? `[${address.host}]` : address.host;
    return `${host}:${address.port}`;
  }
  const { path } = address;
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw refusal(`${path}: ${Buffer.byteLength(path)} bytes, over ${SOCKET_PATH_BYTES_MAX}`);
  }
  if (isPrivate) await requirePrivateDirectory(dirname(path));
  await removeStaleSocket(path);
  return `unix:${path}`;
}

async function requirePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const stats = await stat(path);
  if (stats.uid !== process.getuid?.()) throw refusal(`${path}: belongs to another user`);
  if ((stats.mode & 0o077) !== 0) throw refusal(`${path}: open to others; run: chmod 700 ${path}`);
}

/** A socket left by a worker that was killed; one that still answers is left alone. */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket()) throw refusal(`${path}: exists and is not a socket`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if (await answers(path)) throw refusal(`${path}: another process listens there`);
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => finish(true));
    socket.once("error", () => finish(false));
  });
}

function refusal(problem: string): GraftError {
  return new GraftError("FLAG", { flag: "--listen", problem });
}
