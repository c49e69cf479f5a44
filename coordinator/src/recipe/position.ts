// Offsets in the recipe text to one-based lines and columns (UTF-16 units, as editors count them).
import type { Position } from "./recipe.js";

export type Locate = (offset: number) => Position;

/** Line starts are found as far as they are asked for, once. */
export function createLocator(text: string): Locate {
  // Editors do not count a byte order mark.
  const starts = [text.startsWith("\ufeff") ? 1 : 0];
  let searched = 0;
  return (offset) => {
    while (searched >= 0 && searched <= offset) {
      const lineEnd = text.indexOf("\n", searched);
      searched = lineEnd < 0 ? -1 : lineEnd + 1;
      if (searched > 0) starts.push(searched);
    }
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: Math.max(1, offset - (starts[low] ?? 0) + 1) };
  };
}
