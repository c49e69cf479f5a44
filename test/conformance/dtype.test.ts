// The dtype table exists in TypeScript and in C++; what one side writes the other must read alike.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dtypeTable } from "@graft/native";
import { DTYPES } from "@graft/proto";

test("both dtype tables hold the same rows in the same order", () => {
  const rows = DTYPES.map(({ code, name, sizeBytes, kind }) => [code, name, sizeBytes, kind]);
  assert.deepEqual(dtypeTable(), rows);
});
