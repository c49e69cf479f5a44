// Resolves the parameters of one output tensor to numbers. Model parameters look at the source, then
// the slice, then the recipe, and their filters see that model's own tensor name; global ones start
// at the slice and see the output name.
import { methodInfo, type ParameterInfo } from "../recipe/methods.js";
import type { MethodName, Recipe } from "../recipe/recipe.js";
import { resolveParameter, valueProblem } from "../recipe/settings.js";
import type { ProblemList } from "./problem-list.js";
import type { OutputRequest, RequestInput } from "./requests.js";

export class ParameterResolver {
  readonly #recipe: Recipe;
  readonly #problems: ProblemList;
  readonly #infos: ReadonlyMap<string, ParameterInfo>;

  constructor(recipe: Recipe, problems: ProblemList) {
    this.#recipe = recipe;
    this.#problems = problems;
    this.#infos = parametersOf(recipe.method);
  }

  /** A number; null when the parameter is optional and not given, or wrong (and then reported). */
  ofModel(name: string, request: OutputRequest, input: RequestInput): number | null {
    const { source, index } = input.from;
    const levels = [source.parameters, request.scope.slice.parameters, this.#recipe.parameters];
    const value = resolveParameter(this.#info(name), levels, input.tensor.name, request.t);
    if (value !== "missing") return this.#checked(name, value, input.tensor.name);
    this.#problems.add(`missing ${name} ${index.position}`, source.model.position, () => {
      return (
        `${name} of model "${source.model.text}": not given for tensor "${input.tensor.name}"; ` +
        `add it to the model's parameters, or an entry without a filter`
      );
    });
    return null;
  }

  global(name: string, request: OutputRequest): number | null {
    const { slice } = request.scope;
    const levels = [slice.parameters, this.#recipe.parameters];
    const value = resolveParameter(this.#info(name), levels, request.name, request.t);
    if (value !== "missing") return this.#checked(name, value, request.name);
    this.#problems.add(`missing ${name}`, slice.position, () => {
      return (
        `${name}: not given for output tensor "${request.name}"; ` +
        `add it to the recipe's parameters, or an entry without a filter`
      );
    });
    return null;
  }

  /** A yes-or-no parameter; a gradient may only take it to 0 or 1. */
  flag(name: string, request: OutputRequest): boolean {
    return this.global(name, request) === 1;
  }

  /** A gradient between two allowed values may pass through one that is not. */
  #checked(name: string, value: number | null, tensor: string): number | null {
    const problem = value === null ? null : valueProblem(this.#info(name), value);
    if (problem === null) return value;
    this.#problems.add(`value ${name}`, null, () => {
      return `${name}: ${problem}, got ${value} for tensor "${tensor}"`;
    });
    return null;
  }

  #info(name: string): ParameterInfo {
    const info = this.#infos.get(name);
    if (info === undefined) throw new Error(`${this.#recipe.method} has no parameter ${name}`);
    return info;
  }
}

function parametersOf(method: MethodName): ReadonlyMap<string, ParameterInfo> {
  return new Map(methodInfo(method).parameters.map((info) => [info.name, info]));
}
