// Methods become kernels here: one function per method family, each turning a request into one
// planned tensor and telling the ledger what it did with every input.
import { type Dtype, dtypeInfo, Kernel, Pruning } from "@graft/proto";
import type { MethodName, Recipe } from "../recipe/recipe.js";
import type { LedgerBuilder } from "./ledger.js";
import {
  areComputable,
  baseShape,
  commonShape,
  kindOf,
  promote,
  type Shape,
  sharedShape,
} from "./operands.js";
import type { ParameterResolver } from "./parameters.js";
import type { PlannedInput, PlannedTensor } from "./planned-tensor.js";
import type { NoteList, ProblemList } from "./problem-list.js";
import type { OutputRequest, RequestInput } from "./requests.js";

export interface OperationContext {
  readonly recipe: Recipe;
  readonly seed: bigint;
  readonly parameters: ParameterResolver;
  readonly ledger: LedgerBuilder;
  readonly problems: ProblemList;
  readonly notes: NoteList;
}

type Planner = (request: OutputRequest, context: OperationContext) => PlannedTensor | null;

const planners: Readonly<Record<MethodName, Planner>> = {
  linear: planLinear,
  slerp: planSlerp,
  passthrough: planPassthrough,
  task_arithmetic: planTaskVector,
  ties: planTaskVector,
  dare_linear: planTaskVector,
  dare_ties: planTaskVector,
};

/** null when something is wrong; it is then in context.problems. */
export function planTensor(
  request: OutputRequest,
  context: OperationContext,
): PlannedTensor | null {
  noteMissingInputs(request, context);
  if (request.copyReason !== null)
    return copyFirst(request, request.inputs, request.copyReason, context);
  const integer = request.inputs.find(({ tensor }) => kindOf(tensor) === "integer");
  if (integer !== undefined) {
    // Packed weights look like integers; copying one model's would be a silent half merge.
    const packed = request.inputs.filter(({ from }) => from.index.config?.isQuantised ?? false);
    const isMerge = request.inputs.length > 1;
    if (isMerge && !areComputable(packed, "merged", context.problems)) return null;
    const name = dtypeInfo(integer.tensor.dtype).name;
    const reason = isMerge ? `${name} tensors are copied, never averaged` : null;
    return copyFirst(request, baseFirst(request), reason, context);
  }
  return planners[context.recipe.method](request, context);
}

function planLinear(request: OutputRequest, context: OperationContext): PlannedTensor | null {
  const { inputs } = request;
  const only = inputs.length === 1 ? inputs[0] : undefined;
  if (only !== undefined && kindOf(only.tensor) !== "float") {
    return copyFirst(request, inputs, null, context);
  }
  if (inputs.length > 1 && !areComputable(inputs, "averaged", context.problems)) return null;
  const shape = commonShape(inputs, context.problems);
  const weights = inputs.map((input) => context.parameters.ofModel("weight", request, input));
  const normalize = context.parameters.flag("normalize", request);
  if (shape === null || !weights.every((weight) => weight !== null)) return null;
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (normalize && sum === 0) {
    context.problems.add("weight sum", request.scope.slice.position, () => {
      return `weights of tensor "${request.name}" add up to 0; set normalize: false or change a weight`;
    });
    return null;
  }
  const scaled = weights.map((weight) => (normalize ? weight / sum : weight));
  const dtype =
    context.recipe.outputDtype ?? inputs.map(({ tensor }) => tensor.dtype).reduce(promote);
  const isCopy = only?.tensor.dtype === dtype && scaled[0] === 1;
  if (!isCopy && !areComputable(inputs, "scaled", context.problems)) return null;
  return weightedSum(request, shape, dtype, scaled, null, context);
}

function planSlerp(request: OutputRequest, context: OperationContext): PlannedTensor | null {
  const [base, other, ...more] = baseFirst(request);
  if (base === undefined) return null;
  if (other === undefined) return copyFirst(request, [base], "only model that has it", context);
  if (more.length > 0)
    throw new Error(`slerp of ${request.inputs.length} tensors: ${request.name}`);
  const inputs = [base, other];
  if (!areComputable(inputs, "interpolated", context.problems)) return null;
  const shape = commonShape(inputs, context.problems);
  const t = context.parameters.global("t", request);
  if (shape === null || t === null) return null;
  claim(request, inputs, "merged", null, context);
  return {
    name: request.name,
    dtype: context.recipe.outputDtype ?? base.tensor.dtype,
    shape,
    order: request.order,
    kernel: Kernel.KERNEL_SLERP,
    inputs: inputs.map((input) => planned(input, 0, 1)),
    parameters: { $case: "slerp", value: { t } },
  };
}

function planPassthrough(request: OutputRequest, context: OperationContext): PlannedTensor | null {
  const [input, ...more] = request.inputs;
  if (input === undefined) return null;
  if (more.length > 0) throw new Error(`passthrough of several tensors: ${request.name}`);
  const scale = context.parameters.ofModel("scale", request, input);
  if (scale === null || scale === 1 || kindOf(input.tensor) === "integer") {
    return copyFirst(request, [input], null, context);
  }
  if (!areComputable([input], "scaled", context.problems)) return null;
  const dtype = context.recipe.outputDtype ?? input.tensor.dtype;
  return weightedSum(request, input.tensor.shape, dtype, [scale], `scaled by ${scale}`, context);
}

function planTaskVector(request: OutputRequest, context: OperationContext): PlannedTensor | null {
  const base = request.inputs.find((input) => isBase(request, input));
  const others = request.inputs.filter((input) => input !== base);
  if (base === undefined) {
    return copyFirst(request, request.inputs, "the base model does not have it", context);
  }
  if (others.length === 0) {
    return copyFirst(request, [base], "no other model has it", context);
  }
  const inputs = [base, ...others];
  if (!areComputable(inputs, "merged", context.problems)) return null;
  const shape = baseShape(base, others, context.problems);
  const plannedOthers = others.map((input) => taskInput(request, input, context));
  const value = taskParameters(request, plannedOthers, context);
  if (shape === null || value === null) return null;
  if (!plannedOthers.every((input) => input !== null)) return null;
  claim(request, inputs, "merged", null, context);
  return {
    name: request.name,
    dtype: context.recipe.outputDtype ?? base.tensor.dtype,
    shape,
    order: request.order,
    kernel: Kernel.KERNEL_TASK_VECTOR,
    inputs: [planned(base, 0, 1), ...plannedOthers],
    parameters: { $case: "taskVector", value },
  };
}

function taskInput(
  request: OutputRequest,
  input: RequestInput,
  context: OperationContext,
): PlannedInput | null {
  const weight = context.parameters.ofModel("weight", request, input);
  const density = context.parameters.ofModel("density", request, input);
  if (weight === null || density === null) return null;
  // One number for "not pruned", so that equal work has an equal task identity.
  const isPruned = context.recipe.method !== "task_arithmetic" && density < 1;
  return planned(input, weight, isPruned ? density : 1);
}

const PRUNING = {
  task_arithmetic: Pruning.PRUNING_NONE,
  ties: Pruning.PRUNING_MAGNITUDE,
  dare_linear: Pruning.PRUNING_BERNOULLI,
  dare_ties: Pruning.PRUNING_BERNOULLI,
} as const;

function taskParameters(
  request: OutputRequest,
  inputs: readonly (PlannedInput | null)[],
  context: OperationContext,
) {
  const { method } = context.recipe;
  if (method === "linear" || method === "slerp" || method === "passthrough") return null;
  const lambda = context.parameters.global("lambda", request);
  const normalize = context.parameters.flag("normalize", request);
  const rescale = context.parameters.flag("rescale", request);
  if (lambda === null) return null;
  // Without a pruned input there is nothing to draw or to rescale: the cheaper one-pass form.
  const isPruned = inputs.some((input) => input !== null && input.density < 1);
  const pruning = isPruned ? PRUNING[method] : Pruning.PRUNING_NONE;
  const isRandom = pruning === Pruning.PRUNING_BERNOULLI;
  return {
    pruning,
    electSign: method === "ties" || method === "dare_ties",
    normalize,
    rescale: rescale && isPruned,
    lambda,
    seed: isRandom ? context.seed : 0n,
    streamName: isRandom ? request.name : "",
  };
}

/** The first input's bytes, converted when the recipe asks for a dtype; the others are left out. */
function copyFirst(
  request: OutputRequest,
  inputs: readonly RequestInput[],
  reason: string | null,
  context: OperationContext,
): PlannedTensor | null {
  const shape = sharedShape(inputs, context.problems);
  const first = inputs[0];
  if (shape === null || first === undefined) return null;
  for (const { from, tensor } of inputs.slice(1)) {
    const left = `copied from "${first.from.index.model.label}": ${reason ?? "first model"}`;
    context.ledger.leaveOut(from.index, tensor.name, left);
  }
  const isFloat = kindOf(first.tensor) === "float";
  const dtype = isFloat ? (context.recipe.outputDtype ?? first.tensor.dtype) : first.tensor.dtype;
  if (dtype !== first.tensor.dtype && !areComputable([first], "converted", context.problems)) {
    return null;
  }
  return weightedSum({ ...request, inputs: [first] }, shape, dtype, [1], reason, context);
}

/** LINEAR, or COPY when that changes no byte. */
function weightedSum(
  request: OutputRequest,
  shape: Shape,
  dtype: Dtype,
  weights: readonly number[],
  reason: string | null,
  context: OperationContext,
): PlannedTensor {
  const { inputs } = request;
  const isUnscaled = inputs.length === 1 && weights[0] === 1;
  const isCopy = isUnscaled && inputs[0]?.tensor.dtype === dtype;
  const converted = isUnscaled && !isCopy ? `converted to ${dtypeInfo(dtype).name}` : null;
  const why = [reason, converted].filter((part) => part !== null).join("; ");
  claim(request, inputs, isUnscaled ? "copied" : "merged", why === "" ? null : why, context);
  return {
    name: request.name,
    dtype,
    shape,
    order: request.order,
    kernel: isCopy ? Kernel.KERNEL_COPY : Kernel.KERNEL_LINEAR,
    inputs: inputs.map((input, position) =>
      planned(input, isCopy ? 0 : (weights[position] ?? 0), 1),
    ),
    parameters: undefined,
  };
}

function planned(input: RequestInput, weight: number, density: number): PlannedInput {
  const { from, tensor } = input;
  return { index: from.index, tensor, modelIndex: from.position, weight, density };
}

function isBase(request: OutputRequest, input: RequestInput): boolean {
  return input.from.source.model.text === request.scope.base?.text;
}

/** The inputs with the base, when it is among them, moved to the front. */
function baseFirst(request: OutputRequest): RequestInput[] {
  const base = request.inputs.find((input) => isBase(request, input));
  return base === undefined
    ? [...request.inputs]
    : [base, ...request.inputs.filter((input) => input !== base)];
}

function claim(
  request: OutputRequest,
  inputs: readonly RequestInput[],
  fate: "merged" | "copied",
  reason: string | null,
  context: OperationContext,
): void {
  for (const { from, tensor, isAlias } of inputs) {
    if (isAlias) {
      const why = `token embedding, also the output head "${request.name}" this model lacks`;
      context.ledger.use(from.index, tensor.name, "aliased", request.name, why);
    } else {
      context.ledger.use(from.index, tensor.name, fate, request.name, reason);
    }
  }
}

function noteMissingInputs(request: OutputRequest, context: OperationContext): void {
  const { sources } = request.scope;
  if (request.copyReason !== null || request.inputs.length >= sources.length) return;
  const present = new Set(request.inputs.map(({ from }) => from));
  for (const from of sources) {
    if (present.has(from)) continue;
    const label = from.index.model.label;
    context.notes.add(`missing ${from.index.position}`, () => {
      return `${label}: does not have tensor "${request.name}"; the other models provide it`;
    });
  }
}
