// The dtype table. It exists twice: here and in native/include/graft/dtype.h; test/conformance
// asserts that they agree. Codes are the numbers of graft.v1.Dtype.
import { Dtype } from "./gen/graft/v1/tensor.js";

export type DtypeKind = "float" | "quantised" | "integer";

export interface DtypeInfo {
  readonly code: Dtype;
  /** As safetensors headers write it. */
  readonly name: string;
  /** As recipes and config.json write it. */
  readonly torchName: string;
  readonly sizeBytes: number;
  /** Only "float" takes part in arithmetic; the others are copied. */
  readonly kind: DtypeKind;
}

const info = (
  code: Dtype,
  name: string,
  torchName: string,
  sizeBytes: number,
  kind: DtypeKind,
): DtypeInfo => ({ code, name, torchName, sizeBytes, kind });

export const DTYPES: readonly DtypeInfo[] = [
  info(Dtype.DTYPE_BOOL, "BOOL", "bool", 1, "integer"),
  info(Dtype.DTYPE_U8, "U8", "uint8", 1, "integer"),
  info(Dtype.DTYPE_I8, "I8", "int8", 1, "integer"),
  info(Dtype.DTYPE_F8_E4M3, "F8_E4M3", "float8_e4m3fn", 1, "quantised"),
  info(Dtype.DTYPE_F8_E5M2, "F8_E5M2", "float8_e5m2", 1, "quantised"),
  info(Dtype.DTYPE_I16, "I16", "int16", 2, "integer"),
  info(Dtype.DTYPE_U16, "U16", "uint16", 2, "integer"),
  info(Dtype.DTYPE_F16, "F16", "float16", 2, "float"),
  info(Dtype.DTYPE_BF16, "BF16", "bfloat16", 2, "float"),
  info(Dtype.DTYPE_I32, "I32", "int32", 4, "integer"),
  info(Dtype.DTYPE_U32, "U32", "uint32", 4, "integer"),
  info(Dtype.DTYPE_F32, "F32", "float32", 4, "float"),
  info(Dtype.DTYPE_I64, "I64", "int64", 8, "integer"),
  info(Dtype.DTYPE_U64, "U64", "uint64", 8, "integer"),
  info(Dtype.DTYPE_F64, "F64", "float64", 8, "float"),
];

const byCode = new Map(DTYPES.map((entry) => [entry.code, entry]));
const byName = new Map(DTYPES.map((entry) => [entry.name, entry]));

/** The table row of a dtype code. Throws on a code that is not in the table (a programming error). */
export function dtypeInfo(code: Dtype): DtypeInfo {
  const entry = byCode.get(code);
  if (entry === undefined) throw new Error(`unknown dtype code ${code}`);
  return entry;
}

/** The row of a safetensors dtype name, or undefined when Graft does not know it. */
export function dtypeByName(name: string): DtypeInfo | undefined {
  return byName.get(name);
}
