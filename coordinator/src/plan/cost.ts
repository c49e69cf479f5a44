// A small model of the memory a merge needs. The engine works in tiles, so the need grows with threads
// and inputs per tensor, never with the size of a tensor or a model.
import { Kernel } from "@graft/proto";
import type { Plan } from "./types.js";

const MIB = 1024 * 1024;
/** Node, gRPC and the native library, before any buffer; what a worker sets aside for them. */
const BASE_BYTES = 160 * MIB;
/** The least that a worker accepts for its buffers. */
const BUFFER_BYTES_MIN = 32 * MIB;
/** Threads that wait for the device, on top of those that compute. */
const WAITING_THREADS = 4;
/** Per thread, for each input and for the output: the smallest run of elements, in float32. */
const TILE_MIN_BYTES = 0.5 * MIB;
/** The same when memory is no object. */
const TILE_BYTES = 4 * MIB;
/** Alignment of buffers for direct I/O, per input. */
const SLACK_BYTES = 16 * 1024;
/** Most that a thread's buffers take. */
const THREAD_BYTES_MAX = 64 * MIB;
/** Most that is spent on keeping inputs from one pass to the next. */
const KEPT_BYTES_MAX = 1024 * MIB;
const TWO_PASS_KERNELS: ReadonlySet<Kernel> = new Set([
  Kernel.KERNEL_SLERP,
  Kernel.KERNEL_TASK_VECTOR,
]);

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
  return BASE_BYTES + Math.max(BUFFER_BYTES_MIN, bufferBytes(plan, threadCount, TILE_MIN_BYTES));
}

/** What a worker with `limitBytes` will use at its peak. */
export function peakMemoryBytes(plan: Plan, threadCount: number, limitBytes: number): number {
  const threads = (threadCount + WAITING_THREADS) * THREAD_BYTES_MAX;
  const buffers = Math.min(bufferBytes(plan, threadCount, TILE_BYTES), threads);
  const wanted = BASE_BYTES + buffers + keptBytes(plan);
  return Math.max(minimumMemoryBytes(plan, threadCount), Math.min(limitBytes, wanted));
}

function bufferBytes(plan: Plan, threadCount: number, tileBytes: number): number {
  return (threadCount + WAITING_THREADS) * (inputsMax(plan) + 1) * (tileBytes + SLACK_BYTES);
}

/** Inputs of all tensors that a method looks at twice, if none of them is in the page cache. */
function keptBytes(plan: Plan): number {
  let bytes = 0;
  for (const { operations, readBytes } of plan.tasks) {
    if (operations.some(({ kernel }) => TWO_PASS_KERNELS.has(kernel))) bytes += Number(readBytes);
  }
  return Math.min(bytes, KEPT_BYTES_MAX);
}
