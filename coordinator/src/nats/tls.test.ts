// TLS to a real nats-server that asks for certificates: who gets in, and that nobody falls back to none.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { type NatsFlags, natsSettings } from "@graft/proto";
import { createAuthority, issueCertificate, type KeyPair } from "../tls/certificates.js";
import { connectNats, type NatsLink } from "./connection.js";
import { SKIP_WITHOUT_NATS, startTestServer } from "./server-for-tests.js";

const skip = SKIP_WITHOUT_NATS;
const LOGIN = { GRAFT_NATS_USER: "u", GRAFT_NATS_PASSWORD: "geheim" };

interface Files {
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly tlsCa: string;
}

const HERE = ["localhost", "127.0.0.1"];

/** An authority of its own, and a certificate for the hosts below it, as PEM files. */
async function makeFiles(t: TestContext, hosts: readonly string[] = HERE): Promise<Files> {
  const directory = await mkdtemp(join(tmpdir(), "graft-nats-tls-"));
  t.after(() => rm(directory, { recursive: true }));
  const nowMs = Date.now();
  const authority = await createAuthority({ nowMs });
  const options = { name: "n", role: "coordinator", hosts, days: 1, nowMs } as const;
  const pair: KeyPair = await issueCertificate(authority, options);
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  return {
    tlsCert: write("certificate.pem", pair.certificate),
    tlsKey: write("key.pem", pair.key),
    tlsCa: write("authority.pem", authority.certificate),
  };
}

const serverConfig = ({ tlsCert, tlsKey, tlsCa }: Files): string => `
  tls { cert_file: "${tlsCert}", key_file: "${tlsKey}", ca_file: "${tlsCa}", verify: true }
  accounts { A { jetstream: enabled, users: [{ user: u, password: geheim }] } }
`;

async function connectWith(
  flags: NatsFlags,
  extra: Record<string, string> = {},
): Promise<NatsLink> {
  const settings = natsSettings(flags, { ...LOGIN, ...extra });
  assert.ok(settings !== null);
  return await connectNats(settings, { name: "test" });
}

describe("NATS with TLS", { skip, concurrency: true }, () => {
  test("a certificate of the authority and a login get in, encrypted", async (t) => {
    const files = await makeFiles(t);
    await using server = await startTestServer({ config: serverConfig(files) });
    for (const host of HERE) {
      await using link = await connectWith({ nats: `tls://${host}:${server.port}`, ...files });
      assert.equal(link.connection.info?.tls_required, true);
      await link.connection.flush();
    }
  });

  test("without a certificate, or with one of another authority, nobody gets in", async (t) => {
    const files = await makeFiles(t);
    const others = await makeFiles(t);
    await using server = await startTestServer({ config: serverConfig(files) });
    const nats = `tls://localhost:${server.port}`;
    await assert.rejects(
      connectWith({ nats }, { GRAFT_NATS_CA: files.tlsCa }),
      /NATS at localhost/,
    );
    await assert.rejects(connectWith({ nats, ...others, tlsCa: files.tlsCa }), /NATS at localhost/);
  });

  test("a server of another authority, or for another name, is not talked to", async (t) => {
    const files = await makeFiles(t);
    const others = await makeFiles(t);
    await using server = await startTestServer({ config: serverConfig(files) });
    const nats = `tls://localhost:${server.port}`;
    await assert.rejects(connectWith({ nats, ...files, tlsCa: others.tlsCa }), /NATS at localhost/);
    const stranger = await makeFiles(t, ["other.example"]);
    await using other = await startTestServer({ config: serverConfig(stranger) });
    for (const host of HERE) {
      const address = { nats: `tls://${host}:${other.port}`, ...stranger };
      await assert.rejects(connectWith(address), /NATS at .*altname/i);
    }
  });

  test("a server without TLS is not talked to when TLS is wanted", async (t) => {
    const files = await makeFiles(t);
    await using server = await startTestServer();
    const nats = `tls://localhost:${server.port}`;
    await assert.rejects(connectWith({ nats, ...files }), /NATS at localhost/);
  });
});
