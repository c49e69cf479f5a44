// An output tensor with its arithmetic fully resolved, before it has a place in a file.
import type { Dtype, Kernel, Operation } from "@graft/proto";
import type { ModelIndex } from "./model-index.js";
import type { Shape } from "./operands.js";
import type { OutputOrder } from "./requests.js";
import type { TensorInfo } from "./types.js";

export interface PlannedInput {
  readonly index: ModelIndex;
  readonly tensor: TensorInfo;
  /** Position among the slice's sources. */
  readonly modelIndex: number;
  readonly weight: number;
  readonly density: number;
}

export interface PlannedTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: Shape;
  readonly order: OutputOrder;
  readonly kernel: Kernel;
  readonly inputs: readonly PlannedInput[];
  readonly parameters: Operation["parameters"];
}
