// Finds and loads the addon, once per process and on first use, so that a missing build is an error of
// the call that needs it and not of an import.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { NativeError } from "./errors.js";
import type { NativeAddon } from "./native.js";

const require = createRequire(import.meta.url);

/** Where the build puts the addon, seen from the compiled form of this file. */
export const BUILT_ADDON_PATH = fileURLToPath(new URL("../build/graft.node", import.meta.url));

let loaded: NativeAddon | undefined;

/** The addon of this process. Throws NATIVE_MISSING with every path that was tried and why it failed. */
export function nativeAddon(): NativeAddon {
  loaded ??= loadAddon(process.env.GRAFT_NATIVE);
  return loaded;
}

/** Loads from `override` when given (GRAFT_NATIVE), else from the build folder. */
export function loadAddon(override: string | undefined): NativeAddon {
  const path = override === undefined || override === "" ? BUILT_ADDON_PATH : override;
  try {
    return require(path) as NativeAddon;
  } catch (error) {
    throw new NativeError(
      "NATIVE_MISSING",
      { tried: `${path} (${reason(error)})` },
      { cause: error },
    );
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "MODULE_NOT_FOUND") return "not there";
  // A loader message of several lines would break the one-line rule of error texts.
  return (error.message.split("\n", 1)[0] ?? "").trim();
}
