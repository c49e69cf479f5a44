// How one worker gets at weights: its own disk, its cache, its peers; and how peers get at its own. The
// cache is opened when it is first needed: a worker that sees all models makes no directory.
import type { ReadRangeRequest, ReadRangeResponse } from "@graft/proto";
import type { ChannelCredentials, handleServerStreamingCall } from "@grpc/grpc-js";
import { openShardCache, type ShardCache, type ShardCacheOptions } from "../cache/shard-cache.js";
import { createInputs, type ResolveInputs } from "../run/inputs.js";
import type { TransferCounters } from "../run/stream.js";
import { createPeers } from "./pull.js";
import { createRangeServer } from "./serve-range.js";

export interface WeightsOptions {
  /** null keeps none: tasks whose inputs are elsewhere fail. */
  readonly cache: ShardCacheOptions | null;
  /** For connections to other workers. */
  readonly credentials: ChannelCredentials;
}

export interface Weights extends AsyncDisposable {
  readonly resolveInputs: ResolveInputs;
  /** The handler of WorkerService.ReadRange. */
  readonly serveRange: handleServerStreamingCall<ReadRangeRequest, ReadRangeResponse>;
  /** Opens the cache now, so that what is wrong with it shows. undefined when there is none. */
  readonly cache: () => Promise<ShardCache | undefined>;
  transfers(): TransferCounters;
}

const NOTHING: TransferCounters = { wireBytes: 0, cacheHitBytes: 0, wrongPieceCount: 0 };

export function createWeights({ cache: options, credentials }: WeightsOptions): Weights {
  const peers = createPeers({ credentials });
  let opening: Promise<ShardCache> | undefined;
  let opened: ShardCache | undefined;
  const open = async (wanted: ShardCacheOptions): Promise<ShardCache> => {
    opened = await openShardCache(wanted);
    return opened;
  };
  const cache = async (): Promise<ShardCache | undefined> => {
    if (options === null) return undefined;
    opening ??= open(options);
    try {
      return await opening;
    } catch (error) {
      // Another process may have let go of it by the next time.
      opening = undefined;
      throw error;
    }
  };
  return {
    resolveInputs: createInputs({ cache, pull: peers.pull }),
    serveRange: createRangeServer({ cache }),
    cache,
    transfers: () => opened?.counters() ?? NOTHING,
    [Symbol.asyncDispose]: async () => {
      peers[Symbol.dispose]();
      await opening?.catch(() => undefined);
      await opened?.[Symbol.asyncDispose]();
    },
  };
}
