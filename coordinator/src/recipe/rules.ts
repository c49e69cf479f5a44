// What the fields of a recipe demand of each other: how many models a method takes, where its base
// must stand, equal layer counts, no model twice, required parameters present at some level.
import { quoted } from "@graft/proto";
import type { MethodInfo, ParameterInfo } from "./methods.js";
import type { Problems } from "./problems.js";
import type { ModelReference, Slice, Source } from "./recipe.js";
import { type Draft, UNUSABLE } from "./shape.js";

/** Models form: the slices with the base appended where the method takes it as an input. */
export function withBase(draft: Draft): readonly Slice[] {
  const { method, form, baseModel, slices } = draft;
  if (form !== "models" || method === null || baseModel === null) return slices;
  if (method.base === "forbidden") return slices;
  const source: Source = {
    model: baseModel,
    layerRange: null,
    rangePosition: null,
    parameters: new Map(),
  };
  return slices.map((slice) =>
    slice.sources.some((listed) => listed.model.text === baseModel.text)
      ? slice
      : { ...slice, sources: [...slice.sources, source] },
  );
}

export function checkRules(problems: Problems, draft: Draft): void {
  const { form, method, slices } = draft;
  if (form === null) return;
  slices.forEach((slice, index) => {
    checkTwice(problems, form, slice, index);
    checkRanges(problems, slice, index);
  });
  if (method === null || slices.length === 0) return;
  if (checkBaseGiven(problems, draft, method)) {
    if (form === "models") checkModels(problems, draft, method);
    else checkSlices(problems, draft, method);
  }
  checkRequired(problems, draft, method);
}

/** As messages write it; the models form has one slice. */
function sourcePath(form: "models" | "slices", slice: number, source: number): string {
  return form === "models" ? `models[${source}]` : `slices[${slice}].sources[${source}]`;
}

function checkTwice(
  problems: Problems,
  form: "models" | "slices",
  slice: Slice,
  sliceIndex: number,
): void {
  const seen = new Map<string, number>();
  slice.sources.forEach(({ model, layerRange }, index) => {
    if (model === UNUSABLE || (form === "slices" && layerRange === null)) return;
    const range = layerRange === null ? "" : ` with layer_range [${layerRange.join(", ")}]`;
    const earlier = seen.get(model.text + range);
    if (earlier === undefined) {
      seen.set(model.text + range, index);
      return;
    }
    const path = sourcePath(form, sliceIndex, index);
    const first = sourcePath(form, sliceIndex, earlier);
    const text = `${quoted(model.text)}${range} is already given by ${first}; keep one of them`;
    problems.error(model.position, `${path}.model`, text);
  });
}

function checkRanges(problems: Problems, slice: Slice, sliceIndex: number): void {
  const [first] = slice.sources;
  if (!first?.layerRange) return;
  const [start, end] = first.layerRange;
  const expected = `[${start}, ${end}] of sources[0] spans ${end - start}`;
  slice.sources.forEach(({ layerRange, rangePosition }, index) => {
    if (layerRange === null || rangePosition === null) return;
    const count = layerRange[1] - layerRange[0];
    if (count === end - start) return;
    const path = `slices[${sliceIndex}].sources[${index}].layer_range`;
    const text = `[${layerRange.join(", ")}] spans ${count} layers, but ${expected}`;
    problems.error(rangePosition, path, `${text}; the sources of a slice need equally many layers`);
  });
}

/** False when the method needs a base and some slice has none. */
function checkBaseGiven(problems: Problems, draft: Draft, method: MethodInfo): boolean {
  if (method.base !== "required" || draft.baseModel !== null) return true;
  if (draft.isBaseBroken) return false;
  if (draft.form === "slices" && draft.slices.every((slice) => slice.baseModel !== null))
    return true;
  const what =
    method.name === "slerp" ? "the model that t = 0 gives" : "the model the others were tuned from";
  const text = `missing; ${method.name} needs base_model, ${what}`;
  problems.error(draft.methodPosition, "base_model", text);
  return false;
}

function checkModels(problems: Problems, draft: Draft, method: MethodInfo): void {
  const { baseModel } = draft;
  const listed = draft.slices[0]?.sources ?? [];
  const at = listed.at(-1)?.model.position ?? draft.position;
  const isUnlisted =
    baseModel !== null && !listed.some((source) => source.model.text === baseModel.text);
  if (method.name === "slerp") {
    const count = listed.length + (isUnlisted ? 1 : 0);
    if (listed.length === 2 && isUnlisted) {
      const text = "must be one of the two models; with an unlisted base there are three inputs";
      problems.error(baseModel.position, "base_model", text);
    } else if (count !== 2) {
      problems.error(
        at,
        "models",
        `slerp takes exactly two models, base_model included; got ${count}`,
      );
    }
  } else if (listed.length > method.modelsMax) {
    const remedy = "choose one, or stack layers of several with slices";
    problems.error(at, "models", `${method.name} takes one model, got ${listed.length}; ${remedy}`);
  } else if (method.base === "forbidden" && isUnlisted) {
    const text = `${method.name} takes one model and no other base; remove base_model`;
    problems.error(baseModel.position, "base_model", text);
  }
}

function checkSlices(problems: Problems, draft: Draft, method: MethodInfo): void {
  for (const [index, slice] of draft.slices.entries()) {
    checkSlice(problems, draft, method, slice, index);
  }
}

function checkSlice(
  problems: Problems,
  draft: Draft,
  method: MethodInfo,
  slice: Slice,
  index: number,
): void {
  const path = `slices[${index}]`;
  const { sources } = slice;
  // A slice of one source is a plain copy, which slerp has always allowed.
  if (sources.length === 0 || (sources.length === 1 && method.name === "slerp")) return;
  if (sources.length > method.modelsMax || sources.length < method.modelsMin) {
    const what =
      method.modelsMax === 1 ? "one model" : "exactly two models, base_model being one of them";
    const text = `${method.name} takes ${what}; got ${sources.length}`;
    problems.error(slice.position, `${path}.sources`, text);
  }
  if (method.base !== "required") {
    if (slice.baseModel === null) return;
    const text = `${method.name} has no base, so this has no effect; remove it`;
    problems.ignored(slice.baseModel.position, `${path}.base_model`, text);
    return;
  }
  const base = slice.baseModel ?? draft.baseModel;
  if (base !== null) checkBaseIsSource(problems, method, slice, path, base);
}

function checkBaseIsSource(
  problems: Problems,
  method: MethodInfo,
  slice: Slice,
  path: string,
  base: ModelReference,
): void {
  if (slice.sources.some(({ model }) => model === UNUSABLE || model.text === base.text)) return;
  const range = slice.sources[0]?.layerRange ?? null;
  const example = range === null ? "" : ` with layer_range [${range.join(", ")}]`;
  const text = `the base must be a source of each slice (${method.name} compares with it)`;
  const remedy = `add ${quoted(base.text)}${example}`;
  problems.error(slice.position, `${path}.sources`, `${text}; ${remedy}`);
}

/** Whether conditions cover every tensor is only known once tensor names are: see plan. */
function checkRequired(problems: Problems, draft: Draft, method: MethodInfo): void {
  for (const info of method.parameters) {
    if (info.defaultValue !== null || info.optional === true) continue;
    if (draft.parameters.has(info.name)) continue;
    if (info.scope === "global") checkRequiredGlobal(problems, draft, method, info);
    else checkRequiredOfModels(problems, draft, method, info);
  }
}

function checkRequiredGlobal(
  problems: Problems,
  { form, slices, methodPosition }: Draft,
  method: MethodInfo,
  info: ParameterInfo,
): void {
  const text = `missing; ${method.name} needs the parameter ${info.name}`;
  const remedy = `for example ${info.name}: 0.5`;
  const lacking = slices.filter((slice) => !slice.parameters.has(info.name));
  if (form === "models" || lacking.length === slices.length) {
    problems.error(methodPosition, `parameters.${info.name}`, `${text}; ${remedy}`);
    return;
  }
  slices.forEach((slice, index) => {
    if (slice.parameters.has(info.name)) return;
    const path = `slices[${index}].parameters.${info.name}`;
    problems.error(slice.position, path, `${text} here or at the top level; ${remedy}`);
  });
}

function checkRequiredOfModels(
  problems: Problems,
  { form, slices, baseModel, method }: Draft,
  { name: methodName }: MethodInfo,
  { name }: ParameterInfo,
): void {
  if (form === null) return;
  slices.forEach((slice, sliceIndex) => {
    if (slice.parameters.has(name)) return;
    const base = method?.base === "required" ? (slice.baseModel ?? baseModel) : null;
    slice.sources.forEach((source, index) => {
      const { model, parameters } = source;
      if (parameters.has(name) || model === UNUSABLE || model.text === base?.text) return;
      const path = sourcePath(form, sliceIndex, index);
      const text = `missing for ${quoted(model.text)}; ${methodName} needs the parameter ${name}`;
      const remedy = "give it here or in the top-level parameters";
      problems.error(model.position, `${path}.parameters.${name}`, `${text}; ${remedy}`);
    });
    const isAppended =
      form === "models" &&
      method?.base === "input" &&
      baseModel !== null &&
      !slice.sources.some((source) => source.model.text === baseModel.text);
    if (!isAppended) return;
    const given = quoted(baseModel.text);
    const text = `${methodName} takes ${given} as one more input, without a ${name}`;
    const remedy = `list it under models with a ${name}, or remove base_model`;
    problems.error(baseModel.position, "base_model", `${text}; ${remedy}`);
  });
}
