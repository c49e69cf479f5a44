// Who gets in: every method of the contract against every kind of caller and server, over real sockets.
// A new method is tested, and refused until the table of roles has it, without a change here.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { credentialsFor } from "@graft/coordinator";
import { callersOf, type GraftError, ROLES, serverCredentials, type TlsFiles } from "@graft/proto";
import { Metadata, ServerCredentials, type StatusObject } from "@grpc/grpc-js";
import {
  type CountingServer,
  PATHS,
  startCountingServer,
  UNLISTED_PATH,
} from "../support/counting-server.js";
import { type Identities, makeIdentities, otherRoles } from "../support/identities.js";
import { rawCall } from "../support/raw-call.js";

const directory = mkdtempSync(join(tmpdir(), "graft-identity-"));
const refusals: string[] = [];
const warnings: string[] = [];
const servers: CountingServer[] = [];
let identities: Identities;
let worker: CountingServer;
/** Name -> a server that must get no call from a coordinator that wants a worker. */
const impostors = new Map<string, CountingServer>();

const toStatus = ({ info, message }: GraftError): StatusObject => ({
  code: info.status,
  details: message,
  metadata: new Metadata(),
});

async function start(credentials: ServerCredentials, listen?: string): Promise<CountingServer> {
  const server = await startCountingServer(credentials, listen);
  servers.push(server);
  return server;
}

const listening = (files: TlsFiles): ServerCredentials =>
  serverCredentials(files, { toStatus, onRefusal: (text) => refusals.push(text) });

before(async () => {
  process.on("warning", ({ message }) => warnings.push(message));
  identities = await makeIdentities(directory);
  const { files } = identities;
  worker = await start(listening(files("worker")));
  for (const [name, credentials] of [
    ["plaintext", ServerCredentials.createInsecure()],
    ["another authority", listening(files("worker", "foreign"))],
    ["an expired certificate", listening(files("expired"))],
    ["a certificate of another host", listening(files("elsewhere"))],
    ["a coordinator's certificate", listening(files("coordinator"))],
    ["a client's certificate", listening(files("client"))],
    ["a certificate without a known role", listening(files("nobody"))],
  ] as const) {
    impostors.set(name, await start(credentials));
  }
});

after(() => {
  for (const server of servers) server.stop();
  rmSync(directory, { recursive: true });
});

describe("a server with TLS refuses, before it reads a message,", () => {
  for (const path of PATHS) {
    test(`every stranger and every wrong role that calls ${path}`, async () => {
      const { strangers, nobody, caller } = identities;
      const callers = callersOf(path);
      assert.notEqual(callers.length, 0, "the table of roles lacks this method");
      for (const [name, credentials] of strangers) {
        const { code, details } = await rawCall(worker.address, path, credentials);
        assert.equal(code, "UNAVAILABLE", `${name}: ${details}`);
      }
      assert.equal((await rawCall(worker.address, path, nobody)).code, "UNAUTHENTICATED");
      for (const role of otherRoles(callers)) {
        const { code, details } = await rawCall(worker.address, path, caller(role));
        assert.equal(code, "PERMISSION_DENIED", role);
        assert.match(details, new RegExp(`${path}: not for role ${role}, only for ${callers[0]}`));
      }
      assert.equal(worker.taken(), 0);
      for (const role of callers) {
        assert.equal((await rawCall(worker.address, path, caller(role))).code, "OK", role);
        assert.ok(worker.taken() > 0);
      }
    });
  }

  test("everybody who calls a method that the table of roles lacks", async () => {
    for (const role of ROLES) {
      const { code } = await rawCall(worker.address, UNLISTED_PATH, identities.caller(role));
      assert.equal(code, "PERMISSION_DENIED", role);
    }
    assert.equal(worker.taken(), 0);
  });

  test("where the odd certificates are of the right authority and odd in their dates only", () => {
    const { certificate, authority } = identities.files("coordinator");
    const welcome = new X509Certificate(certificate);
    for (const [name, isEarly] of [
      ["expired", false],
      ["early", true],
    ] as const) {
      const odd = new X509Certificate(identities.files(name).certificate);
      assert.ok(odd.verify(new X509Certificate(authority).publicKey));
      assert.equal(odd.subjectAltName, welcome.subjectAltName);
      assert.equal(Date.parse(odd.validFrom) > Date.now(), isEarly);
      assert.equal(Date.parse(odd.validTo) < Date.now(), !isEarly);
    }
  });

  test("and tells its log who was refused what", async () => {
    refusals.length = 0;
    await rawCall(worker.address, UNLISTED_PATH, identities.caller("client"));
    assert.equal(refusals.length, 1);
    assert.match(
      refusals[0] ?? "",
      /^refused 127\.0\.0\.1:\d+: .*NotInTheTable: not for role client/,
    );
  });
});

describe("a coordinator that wants a worker sends nothing to a server with", () => {
  for (const path of PATHS) {
    test(`a wrong certificate, on ${path}`, async () => {
      const credentials = credentialsFor(identities.files("coordinator"), "worker");
      for (const [name, { address, taken }] of impostors) {
        const { code, details } = await rawCall(address, path, credentials);
        assert.equal(code, "UNAVAILABLE", `${name}: ${details}`);
        assert.equal(taken(), 0, name);
      }
    });
  }

  test("a wrong role, and says so", async () => {
    const credentials = credentialsFor(identities.files("coordinator"), "worker");
    const server = impostors.get("a coordinator's certificate");
    const { details } = await rawCall(server?.address ?? "", PATHS[0] ?? "", credentials);
    assert.match(details, /127\.0\.0\.1: its certificate has role coordinator, expected worker/);
  });
});

describe("the credentials of a coordinator", () => {
  const path = "/graft.v1.WorkerService/GetWorker";
  const call = async (address: string): Promise<string> => {
    const credentials = credentialsFor(identities.files("coordinator"), "worker");
    return (await rawCall(address, path, credentials, {})).code;
  };

  test("reach a worker by its address and by its name", async () => {
    assert.equal(await call(worker.address), "OK");
    assert.equal(await call(worker.address.replace("127.0.0.1", "localhost")), "OK");
  });

  test("leave a unix socket plain", async () => {
    const address = `unix:${join(directory, "plain.sock")}`;
    await start(ServerCredentials.createInsecure(), address);
    assert.equal(await call(address), "OK");
  });

  test("give Node no reason for a warning", () => assert.deepEqual(warnings, []));
});
