// Whether a weight file is at its own path on this machine: the file that was described, not another
// one at the same place.
import { stat } from "node:fs/promises";
import type { NativeFile } from "@graft/native";
import type { WeightFile } from "@graft/proto";

/** What is there instead; undefined when it is the file. */
export async function whyNotHere(file: WeightFile): Promise<string | undefined> {
  try {
    const { size, mtimeNs, ino } = await stat(file.path, { bigint: true });
    if (size !== file.sizeBytes) return "another size";
    if (ino !== file.inode) return "another file";
    return mtimeNs === file.modifiedTimeNs ? undefined : "another modification time";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? "no such file" : (code ?? "not readable");
  }
}

export function toNativeFile({ path, sizeBytes, modifiedTimeNs, inode }: WeightFile): NativeFile {
  return { path, sizeBytes, modifiedTimeNs, inode };
}
