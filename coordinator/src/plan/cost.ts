// A small model of the memory a merge needs. The engine works in tiles, so the need grows with threads
// and inputs per tensor, never with the size of a tensor or a model.
import type { Plan } from "./types.js";

/** Node, gRPC and the native library, before any buffer. */
const BASE_BYTES = 96 * 1024 * 1024;
/** The smallest tile the engine works with, per input and for the output. */
const TILE_MIN_BYTES = 512 * 1024;
/** Tiles the engine likes to have when memory is no object. */
const TILE_BYTES = 4 * 1024 * 1024;
/** One tile is read while another is computed and a third is written. */
const TILES_IN_FLIGHT = 3;

/** Most inputs that any one operation of the plan has. */
export function inputsMax(plan: Plan): number {
  let most = 1;
  for (const task of plan.tasks) {
    for (const { inputs } of task.operations) most = Math.max(most, inputs.length);
  }
  return most;
}

/** With less than this a worker cannot run the plan at all. */
export function minimumMemoryBytes(plan: Plan, threadCount: number): number {
  return BASE_BYTES + threadCount * (inputsMax(plan) + 1) * TILE_MIN_BYTES;
}

/** What a worker with `limitBytes` will use at its peak. */
export function peakMemoryBytes(plan: Plan, threadCount: number, limitBytes: number): number {
  const buffers = threadCount * (inputsMax(plan) + 1) * TILE_BYTES * TILES_IN_FLIGHT;
  return Math.max(
    minimumMemoryBytes(plan, threadCount),
    Math.min(limitBytes, BASE_BYTES + buffers),
  );
}
