import assert from "node:assert/strict";
import { test } from "node:test";
import { CoordinatorServiceService } from "./gen/graft/v1/coordinator_service.js";
import { WorkerServiceService } from "./gen/graft/v1/worker_service.js";
import { callerProblem, callersOf, ROLES, roleOf } from "./roles.js";

for (const { path } of [
  ...Object.values(WorkerServiceService),
  ...Object.values(CoordinatorServiceService),
]) {
  test(`the table says who may call ${path}`, () => assert.notDeepEqual(callersOf(path), []));
}

const names: readonly [string, string | undefined, string | null][] = [
  ["no certificate", undefined, null],
  ["no names", "", null],
  ["one role", "URI:graft:role:worker", "worker"],
  ["a role among others", "DNS:a.b, URI:graft:role:client, IP Address:0:0:0:0:0:0:0:1", "client"],
  ["another URI beside the role", "URI:https://a/b, URI:graft:role:coordinator", "coordinator"],
  ["an unknown role", "URI:graft:role:admin", null],
  ["a role with more behind it", "URI:graft:role:worker2", null],
  ["two roles", "URI:graft:role:worker, URI:graft:role:coordinator", null],
  ["a known and an unknown role", "URI:graft:role:worker, URI:graft:role:admin", null],
  ["a role as host name", "DNS:graft:role:worker", null],
  ["a role inside a quoted name", 'DNS:"a, URI:graft:role:coordinator"', null],
  ["a role after a quote in a quoted name", 'DNS:"a\\", URI:graft:role:worker"', null],
  ["a quoted role", 'URI:"graft:role:worker, URI:x"', null],
  ["a broken end", 'URI:graft:role:worker, DNS:"a', null],
];

for (const [name, text, want] of names) {
  test(`the role of a certificate with ${name} is ${want}`, () => assert.equal(roleOf(text), want));
}

test("a method that the table lacks is refused to every role", () => {
  for (const role of ROLES) {
    const problem = callerProblem("/graft.v1.WorkerService/Reboot", role);
    assert.equal(problem?.code, "ROLE_REFUSED");
    assert.match(problem?.message ?? "", /Reboot: not for role \w+, only for nobody$/);
  }
});

test("a range may be read by a worker, a task be run by a coordinator only", () => {
  assert.equal(callerProblem("/graft.v1.WorkerService/ReadRange", "worker"), null);
  assert.equal(callerProblem("/graft.v1.WorkerService/RunTasks", "coordinator"), null);
  const problem = callerProblem("/graft.v1.WorkerService/RunTasks", "worker");
  assert.match(problem?.message ?? "", /not for role worker, only for coordinator$/);
  assert.equal(callerProblem("/graft.v1.WorkerService/ReadRange", null)?.code, "UNAUTHENTICATED");
});
