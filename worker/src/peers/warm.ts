// Fills the cache with a whole model before anybody needs it. The holder is asked what the model is and
// then for every byte of its weight files that is not here.
import {
  type DescribeModelResponse,
  GraftError,
  type WeightFile,
  WorkerServiceClient,
} from "@graft/proto";
import type { ChannelCredentials, ServiceError } from "@grpc/grpc-js";
import { lengthOf, type Range, totalBytes } from "../cache/ranges.js";
import type { Need, ShardCache } from "../cache/shard-cache.js";
import { peerError } from "./peer-error.js";
import type { Peers } from "./pull.js";

export interface WarmOptions {
  readonly cache: ShardCache;
  readonly peers: Peers;
  readonly credentials: ChannelCredentials;
  /** HOST:PORT or unix:PATH of a worker that has the model. */
  readonly holder: string;
  /** The model's directory, as that worker sees it. */
  readonly model: string;
  readonly signal: AbortSignal;
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

const LEASE_BYTES = 256 * 1024 * 1024;

/** Resolves to the model's bytes in the cache. CACHE_TOO_SMALL before anything is pulled. */
export async function warmCache(options: WarmOptions): Promise<number> {
  const { cache, peers, holder, signal, onProgress } = options;
  const files = await describeWeights(options);
  const needs = files.map((file): Need => {
    const source = { holders: [holder], contentDigest: file.source?.contentDigest ?? "" };
    return { file: { ...file, source }, ranges: [{ start: 0, end: Number(file.sizeBytes) }] };
  });
  const wanted = totalBytes(needs.flatMap(({ ranges }) => ranges));
  cache.requireRoom(wanted);
  let doneBytes = 0;
  for (const need of needs) {
    for (const range of cut(need.ranges)) {
      const lease = await cache.lease([{ ...need, ranges: [range] }], { pull: peers.pull, signal });
      lease.release();
      doneBytes += lengthOf(range);
      onProgress?.(doneBytes, wanted);
    }
  }
  return wanted;
}

function cut(ranges: readonly Range[]): Range[] {
  return ranges.flatMap(({ start, end }) => {
    const count = Math.ceil((end - start) / LEASE_BYTES);
    return Array.from({ length: count }, (_, at) => {
      const from = start + at * LEASE_BYTES;
      return { start: from, end: Math.min(end, from + LEASE_BYTES) };
    });
  });
}

async function describeWeights({
  holder,
  credentials,
  model,
  signal,
}: WarmOptions): Promise<readonly WeightFile[]> {
  const client = new WorkerServiceClient(holder, credentials);
  const call = client.describeModel({ reference: model, searchDirectories: [] });
  const abort = (): void => call.cancel();
  signal.addEventListener("abort", abort, { once: true });
  try {
    for await (const { part } of call as AsyncIterable<DescribeModelResponse>) {
      if (part?.$case === "model") return part.value.weightFiles;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw peerError(holder, error as ServiceError);
  } finally {
    signal.removeEventListener("abort", abort);
    client.close();
  }
  const problem = "ended its description before it began";
  throw new GraftError("WORKER_LOST", { worker: holder, problem });
}
