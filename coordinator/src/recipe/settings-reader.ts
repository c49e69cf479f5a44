// Parameter blocks to settings: number, gradient, or list of {value, filter}. A broken value leaves
// an empty setting behind, so that it is not reported a second time as missing.
import { quoted } from "@graft/proto";
import { readFields, readText } from "./fields.js";
import { METHODS, type MethodInfo, type ParameterInfo } from "./methods.js";
import type { Problems } from "./problems.js";
import type { Condition, Setting, Settings, SettingValue } from "./recipe.js";
import { readNumber } from "./scalar.js";
import { valueProblem } from "./settings.js";
import { suggestion } from "./spelling.js";
import { childPath, describe, type Entry, isNull, type Mapping, type Tree } from "./tree.js";

export interface ParameterPlace {
  /** Of the parameters block. */
  readonly path: string;
  /** A source's block takes no global parameters. */
  readonly isSource: boolean;
  /** Where a global parameter written under a source belongs. */
  readonly globalPaths: string;
  /** Null when the recipe names no usable method: then names are not checked. */
  readonly method: MethodInfo | null;
}

export const NO_SETTINGS: Settings = new Map();

export function readSettings(
  problems: Problems,
  tree: Tree | undefined,
  place: ParameterPlace,
): Settings {
  if (tree === undefined) return NO_SETTINGS;
  if (tree.kind !== "mapping") {
    const text = `expected a mapping of parameters, got ${describe(tree)}`;
    problems.error(problems.locate(tree.offset), place.path, text);
    return NO_SETTINGS;
  }
  const settings = new Map<string, Setting>();
  for (const [name, entry] of tree.entries) {
    const info = place.method?.parameters.find((parameter) => parameter.name === name) ?? null;
    const misplaced = nameProblem(name, info, place);
    const path = childPath(place.path, name);
    if (misplaced === null) settings.set(name, readSetting(problems, entry.value, path, info));
    else problems.ignored(problems.locate(entry.keyOffset), path, misplaced);
  }
  return settings;
}

function nameProblem(
  name: string,
  info: ParameterInfo | null,
  { method, isSource, globalPaths }: ParameterPlace,
): string | null {
  if (method === null) return null;
  if (info === null) return unknownParameter(name, method);
  if (info.scope !== "global" || !isSource) return null;
  const belongs = `it does not belong under a model; move it to ${globalPaths}`;
  return `"${name}" is a global parameter of ${method.name}: ${belongs}`;
}

function unknownParameter(name: string, method: MethodInfo): string {
  const names = method.parameters.map((parameter) => parameter.name);
  const takes = `${method.name} takes: ${names.join(", ")}`;
  const users = METHODS.filter((other) => other.parameters.some((info) => info.name === name));
  if (users.length > 0) {
    const list = users.map((user) => user.name).join(", ");
    return `unknown parameter: "${name}" is one of ${list}, not of ${method.name}; ${takes}`;
  }
  return `unknown parameter${suggestion(name, names) || ";"} ${takes}`;
}

/** Collects the conditions of one setting and the position its problems are told at. */
interface SettingContext {
  readonly problems: Problems;
  readonly info: ParameterInfo | null;
}

function readSetting(
  problems: Problems,
  tree: Tree,
  path: string,
  info: ParameterInfo | null,
): Setting {
  const position = problems.locate(tree.offset);
  const context: SettingContext = { problems, info };
  if (tree.kind === "list" && tree.items.some((item) => item.kind === "mapping")) {
    return { conditions: readConditions(context, tree.items, path), position };
  }
  if (tree.kind === "mapping") {
    const isCondition = tree.entries.has("value") || tree.entries.has("filter");
    const text = isCondition
      ? "a condition must stand in a list; write it as - filter: … value: …"
      : "expected a number, a gradient or a list of conditions, got a mapping";
    problems.error(position, path, text);
    return { conditions: [], position };
  }
  const value = readValue(context, tree, path);
  return { conditions: value === null ? [] : [{ filter: null, value }], position };
}

function readConditions(
  context: SettingContext,
  items: readonly Tree[],
  path: string,
): readonly Condition[] {
  const { problems } = context;
  const conditions: Condition[] = [];
  let isShadowed = false;
  items.forEach((item, index) => {
    const itemPath = childPath(path, index);
    const position = problems.locate(item.offset);
    if (item.kind !== "mapping") {
      const given = `${describe(item)} among conditions`;
      const text = `a list holds either numbers or conditions, got ${given}`;
      problems.error(position, itemPath, text);
      return;
    }
    if (isShadowed) {
      const text = "never used: an earlier condition already matches every tensor";
      problems.warning(position, itemPath, text);
    }
    const condition = readCondition(context, item, itemPath);
    if (condition === null) return;
    conditions.push(condition);
    isShadowed ||= condition.filter === null || condition.filter === "*";
  });
  return conditions;
}

function readCondition(context: SettingContext, item: Mapping, path: string): Condition | null {
  const { problems } = context;
  const fields = readFields(problems, item, path, { allowed: ["value", "filter"] });
  const entry: Entry | undefined = fields?.get("value");
  const filterEntry = fields?.get("filter");
  const filter =
    filterEntry === undefined
      ? null
      : readText(problems, filterEntry.value, childPath(path, "filter"));
  if (entry === undefined) {
    const text = "missing; a condition needs a value (number or gradient)";
    problems.error(problems.locate(item.offset), childPath(path, "value"), text);
    return null;
  }
  const value = readValue(context, entry.value, childPath(path, "value"));
  const isFilterBroken = filterEntry !== undefined && filter === null;
  return value === null || isFilterBroken ? null : { filter, value };
}

function readValue(context: SettingContext, tree: Tree, path: string): SettingValue | null {
  if (tree.kind !== "list") {
    const value = readElement(context, tree, path);
    return value === null ? null : { kind: "number", value };
  }
  if (tree.items.length === 0) {
    const text = "expected a number or a gradient, got an empty list";
    context.problems.error(context.problems.locate(tree.offset), path, text);
    return null;
  }
  const values: number[] = [];
  tree.items.forEach((item, index) => {
    const value = readElement(context, item, childPath(path, index));
    if (value !== null) values.push(value);
  });
  return values.length === tree.items.length ? { kind: "gradient", values } : null;
}

function readElement({ problems, info }: SettingContext, tree: Tree, path: string): number | null {
  const refuse = (text: string): null => {
    problems.error(problems.locate(tree.offset), path, text);
    return null;
  };
  if (tree.kind !== "scalar" || isNull(tree)) {
    return refuse(`expected a number, got ${describe(tree)}`);
  }
  const reading = readNumber(tree);
  if (reading.value === null) return refuse(reading.problem);
  const problem = info === null ? null : valueProblem(info, reading.value);
  return problem === null ? reading.value : refuse(`${problem}, got ${quoted(tree.text)}`);
}
