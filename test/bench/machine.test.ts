import assert from "node:assert/strict";
import { test } from "node:test";
import { fileSystemOf } from "./machine.js";

const MOUNTS = `/dev/a / ext4 rw 0 0
tmpfs /data tmpfs rw 0 0
/dev/b /data xfs rw 0 0
/dev/c /data/my\\040models btrfs rw 0 0
`;

const CASES: readonly (readonly [string, string])[] = [
  ["/database", "ext4"],
  ["/data", "xfs"],
  ["/data/x", "xfs"],
  ["/data/my models/y", "btrfs"],
];

for (const [path, want] of CASES) {
  test(`${path} lies on ${want}`, () => assert.equal(fileSystemOf(path, MOUNTS), want));
}
