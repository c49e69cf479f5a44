// Shapes and dtypes of the inputs of one output tensor: what may be computed with what, and the
// shape and dtype that come out. Rows of embeddings may differ in number; nothing else may.
import { Dtype, type DtypeKind, dtypeInfo } from "@graft/proto";
import { isEmbeddingName, isHeadName } from "./names.js";
import type { ProblemList } from "./problem-list.js";
import type { RequestInput } from "./requests.js";
import type { TensorInfo } from "./types.js";

export type Shape = readonly number[];

export function elementCount(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function kindOf(tensor: TensorInfo): DtypeKind {
  return dtypeInfo(tensor.dtype).kind;
}

/** The narrowest dtype that holds every value of both: bf16 and f16 meet in f32. */
export function promote(a: Dtype, b: Dtype): Dtype {
  if (a === b) return a;
  const widest = dtypeInfo(a).sizeBytes >= dtypeInfo(b).sizeBytes ? a : b;
  return dtypeInfo(widest).sizeBytes === 2 ? Dtype.DTYPE_F32 : widest;
}

/** The rows all inputs have, or null (reported) when the shapes differ in more than rows. */
export function commonShape(inputs: readonly RequestInput[], problems: ProblemList): Shape | null {
  const first = inputs[0];
  if (first === undefined) return null;
  let rows = first.tensor.shape[0] ?? 0;
  for (const input of inputs) {
    if (sameShape(first.tensor.shape, input.tensor.shape)) continue;
    if (!differOnlyInRows(first.tensor, input.tensor)) return mismatch(first, input, problems);
    rows = Math.min(rows, input.tensor.shape[0] ?? 0);
  }
  return first.tensor.shape.length === 0 ? [] : [rows, ...first.tensor.shape.slice(1)];
}

/** The base's shape, which every other input is cut to; null (reported) when one is too small. */
export function baseShape(
  base: RequestInput,
  others: readonly RequestInput[],
  problems: ProblemList,
): Shape | null {
  for (const other of others) {
    if (sameShape(base.tensor.shape, other.tensor.shape)) continue;
    const fits =
      differOnlyInRows(base.tensor, other.tensor) &&
      (other.tensor.shape[0] ?? 0) > (base.tensor.shape[0] ?? 0);
    if (!fits) return mismatch(base, other, problems);
  }
  return base.tensor.shape;
}

/** The first input's shape; another shape under the same name is a conflict, not a choice. */
export function sharedShape(inputs: readonly RequestInput[], problems: ProblemList): Shape | null {
  const first = inputs[0];
  if (first === undefined) return null;
  const other = inputs.find(({ tensor }) => !sameShape(first.tensor.shape, tensor.shape));
  return other === undefined ? first.tensor.shape : mismatch(first, other, problems);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

function differOnlyInRows(a: TensorInfo, b: TensorInfo): boolean {
  return (
    a.shape.length === 2 &&
    b.shape.length === 2 &&
    a.shape[1] === b.shape[1] &&
    hasVocabularyRows(a.name) &&
    hasVocabularyRows(b.name)
  );
}

function hasVocabularyRows(name: string): boolean {
  return isEmbeddingName(name) || isHeadName(name);
}

function mismatch(a: RequestInput, b: RequestInput, problems: ProblemList): null {
  const key = `shape ${a.from.index.position} ${b.from.index.position}`;
  problems.add(key, b.from.index.reference.position, () => {
    return (
      `tensor "${b.tensor.name}": shape [${a.tensor.shape}] in "${a.from.index.reference.text}", ` +
      `[${b.tensor.shape}] in "${b.from.index.reference.text}"`
    );
  });
  return null;
}

/** Reports the first input that is stored in a form arithmetic cannot read; true when all are fine. */
export function areComputable(
  inputs: readonly RequestInput[],
  what: string,
  problems: ProblemList,
): boolean {
  const bad = inputs.find(
    ({ from, tensor }) => kindOf(tensor) !== "float" || (from.index.config?.isQuantised ?? false),
  );
  if (bad === undefined) return true;
  const { index } = bad.from;
  problems.add(`quantised ${index.position} ${what}`, index.reference.position, () => {
    const kind =
      kindOf(bad.tensor) === "float"
        ? "part of a quantised model"
        : dtypeInfo(bad.tensor.dtype).name;
    return (
      `tensor "${bad.tensor.name}" of "${index.reference.text}": ${kind}, which can be copied ` +
      `but not ${what}; use an unquantised copy of the model`
    );
  });
  return false;
}
