// Draws from one seed: everything random in a simulation comes from here, so that a seed is a schedule.
import { createRandom } from "../support/random.js";

export interface Draw {
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** A whole number in [0, bound). */
  below(bound: number): number;
  chance(probability: number): boolean;
  oneOf<Item>(items: readonly Item[]): Item;
}

export function createDraw(seed: number): Draw {
  const random = createRandom(seed);
  const below = (bound: number): number => Math.floor(random() * bound);
  return {
    between: (low, high) => low + random() * (high - low),
    below,
    chance: (probability) => random() < probability,
    oneOf: (items) => items[below(items.length)] as (typeof items)[number],
  };
}
