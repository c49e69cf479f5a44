// A document's tree to a draft: every field read and typed, each problem told where it stands. What
// fields demand of each other (counts, bases, required parameters) is rules.ts.
import { type Dtype, quoted } from "@graft/proto";
import { readDtype } from "./dtype-reader.js";
import { type Fields, readFields, readList, readText, readWhole } from "./fields.js";
import { METHODS, type MethodInfo, UNSUPPORTED_METHODS } from "./methods.js";
import type { Problems } from "./problems.js";
import type { ModelReference, Position, Settings, Slice, Source } from "./recipe.js";
import { readReference } from "./reference.js";
import { NO_SETTINGS, readSettings } from "./settings-reader.js";
import { suggestion } from "./spelling.js";
import { childPath, describe, type Entry, type Tree } from "./tree.js";
import { REFUSED_KEYS, refuseTopLevel } from "./unsupported.js";

/** A recipe as written: the base is not appended yet, and parts may be missing. */
export interface Draft {
  readonly position: Position;
  readonly method: MethodInfo | null;
  readonly methodPosition: Position;
  /** Null when neither or several forms were given. */
  readonly form: "models" | "slices" | null;
  readonly slices: readonly Slice[];
  readonly baseModel: ModelReference | null;
  /** True when base_model is there but unusable. */
  readonly isBaseBroken: boolean;
  readonly outputDtype: Dtype | null;
  readonly parameters: Settings;
}

const TOP_KEYS = [
  "merge_method",
  "models",
  "slices",
  "base_model",
  "dtype",
  "out_dtype",
  "parameters",
];

export function readShape(problems: Problems, tree: Tree): Draft | null {
  const fields = readFields(problems, tree, "", { allowed: TOP_KEYS, refused: REFUSED_KEYS });
  if (fields === null) return null;
  refuseTopLevel(problems, fields);
  const position = problems.locate(tree.offset);
  const methodEntry = fields.get("merge_method");
  const method = readMethod(problems, methodEntry, position);
  const form = readForm(problems, fields, position);
  const entry = form === null ? undefined : fields.get(form);
  const slices =
    form === null || entry === undefined ? [] : readSlices(problems, form, entry.value, method);
  const baseEntry = fields.get("base_model");
  const baseModel = referenceOf(problems, baseEntry, "base_model");
  const dtype = readDtype(problems, fields.get("dtype"), "dtype");
  const outDtype = readDtype(problems, fields.get("out_dtype"), "out_dtype");
  return {
    position,
    method,
    methodPosition: methodEntry ? problems.locate(methodEntry.value.offset) : position,
    form,
    slices,
    baseModel,
    isBaseBroken: baseEntry !== undefined && baseModel === null,
    outputDtype: outDtype ?? dtype,
    parameters: readSettings(problems, fields.get("parameters")?.value, {
      path: "parameters",
      isSource: false,
      globalPaths: "",
      method,
    }),
  };
}

function referenceOf(
  problems: Problems,
  entry: Entry | undefined,
  path: string,
): ModelReference | null {
  return entry === undefined ? null : readReference(problems, entry.value, path);
}

function readMethod(
  problems: Problems,
  entry: Entry | undefined,
  position: Position,
): MethodInfo | null {
  const names = METHODS.map((method) => method.name);
  const accepted = `the methods are: ${names.join(", ")}`;
  if (entry === undefined) {
    problems.error(position, "merge_method", `missing; ${accepted}`);
    return null;
  }
  const name = readText(problems, entry.value, "merge_method");
  const method = METHODS.find((candidate) => candidate.name === name) ?? null;
  if (method !== null || name === null) return method;
  const at = problems.locate(entry.value.offset);
  if (UNSUPPORTED_METHODS.includes(name)) {
    problems.error(at, "merge_method", `${name} is not supported by this version; ${accepted}`);
  } else {
    const hint = suggestion(name, [...names, ...UNSUPPORTED_METHODS]) || ";";
    problems.error(at, "merge_method", `unknown method ${quoted(name)}${hint} ${accepted}`);
  }
  return null;
}

function readForm(
  problems: Problems,
  fields: Fields,
  position: Position,
): "models" | "slices" | null {
  const given = ["models", "slices", "modules"].filter((key) => fields.has(key));
  if (given.length === 0) {
    const text = "nothing to merge: models, slices or modules is needed";
    problems.error(position, "", `${text}; list the models to merge under models`);
  }
  const last = fields.get(given.at(-1) ?? "");
  if (given.length > 1 && last !== undefined) {
    const text = "only one of models, slices, modules may be given";
    problems.error(problems.locate(last.keyOffset), "", `${text}; here are ${given.join(" and ")}`);
    return null;
  }
  return given[0] === "models" || given[0] === "slices" ? given[0] : null;
}

function readSlices(
  problems: Problems,
  form: "models" | "slices",
  tree: Tree,
  method: MethodInfo | null,
): readonly Slice[] {
  const what = form === "models" ? "models" : "slices (each with sources)";
  const items = readList(problems, tree, form, what);
  if (items === null) return [];
  if (form === "slices")
    return items.map((item, index) => readSlice(problems, item, index, method));
  const sources = items.map((item, index) =>
    readSource(problems, item, childPath("models", index), method, false),
  );
  const position = problems.locate(tree.offset);
  return [{ sources, baseModel: null, parameters: NO_SETTINGS, position }];
}

function readSlice(
  problems: Problems,
  tree: Tree,
  index: number,
  method: MethodInfo | null,
): Slice {
  const path = childPath("slices", index);
  const keys = { allowed: ["sources", "base_model", "parameters"], refused: ["residual_weight"] };
  const position = problems.locate(tree.offset);
  const fields = readFields(problems, tree, path, keys);
  const residual = fields?.get("residual_weight");
  if (residual !== undefined) {
    const at = problems.locate(residual.keyOffset);
    const text = "has never had an effect in the recipe language; remove it";
    problems.ignored(at, childPath(path, "residual_weight"), text);
  }
  return {
    sources: fields === null ? [] : readSources(problems, fields, path, position, method),
    baseModel: referenceOf(problems, fields?.get("base_model"), childPath(path, "base_model")),
    parameters: readSettings(problems, fields?.get("parameters")?.value, {
      path: childPath(path, "parameters"),
      isSource: false,
      globalPaths: "",
      method,
    }),
    position,
  };
}

function readSources(
  problems: Problems,
  fields: Fields,
  slicePath: string,
  position: Position,
  method: MethodInfo | null,
): readonly Source[] {
  const path = childPath(slicePath, "sources");
  const entry = fields.get("sources");
  if (entry === undefined) {
    problems.error(position, path, "missing; list the models and layer ranges of this slice");
    return [];
  }
  const items = readList(problems, entry.value, path, "sources (model and layer_range)") ?? [];
  return items.map((item, index) =>
    readSource(problems, item, childPath(path, index), method, true),
  );
}

function readSource(
  problems: Problems,
  tree: Tree,
  path: string,
  method: MethodInfo | null,
  hasRange: boolean,
): Source {
  const allowed = hasRange ? ["model", "layer_range", "parameters"] : ["model", "parameters"];
  const fields = readFields(problems, tree, path, { allowed });
  const position = problems.locate(tree.offset);
  const model = fields?.get("model");
  if (fields !== null && model === undefined) {
    problems.error(position, childPath(path, "model"), "missing; name a directory or org/name");
  }
  const range = fields?.get("layer_range");
  if (fields !== null && hasRange && range === undefined) {
    const text = "missing; give [first, end), for example [0, 16]";
    problems.error(position, childPath(path, "layer_range"), text);
  }
  const slicePath = path.slice(0, path.indexOf("]") + 1);
  const globalPaths = hasRange ? `${slicePath}.parameters or the top-level parameters` : null;
  return {
    model: referenceOf(problems, model, childPath(path, "model")) ?? UNUSABLE,
    layerRange: range ? readRange(problems, range.value, childPath(path, "layer_range")) : null,
    rangePosition: range === undefined ? null : problems.locate(range.value.offset),
    parameters: readSettings(problems, fields?.get("parameters")?.value, {
      path: childPath(path, "parameters"),
      isSource: true,
      globalPaths: globalPaths ?? "the top-level parameters",
      method,
    }),
  };
}

/** Stands for a reference that was already refused; keeps the numbering of its neighbours. */
export const UNUSABLE: ModelReference = {
  text: "",
  position: { line: 1, column: 1 },
  offset: 0,
  length: 0,
};

function readRange(problems: Problems, tree: Tree, path: string): readonly [number, number] | null {
  const refuse = (text: string): null => {
    problems.error(problems.locate(tree.offset), path, text);
    return null;
  };
  const items = tree.kind === "list" ? tree.items : [];
  const [first, second] = items;
  if (first === undefined || second === undefined || items.length !== 2) {
    const count = tree.kind === "list" ? `${items.length} of them` : describe(tree);
    return refuse(`expected two whole numbers [first, end), got ${count}`);
  }
  const start = readWhole(problems, first, childPath(path, 0));
  const end = readWhole(problems, second, childPath(path, 1));
  if (start === null || end === null) return null;
  const given = `[${start}, ${end}]`;
  if (start < 0 || end < 0) return refuse(`${given} has a negative layer index; layers start at 0`);
  if (start === end) return refuse(`${given} is empty; the end is not included`);
  if (start > end) return refuse(`${given} is reversed; write [${end}, ${start}]`);
  return [start, end];
}
