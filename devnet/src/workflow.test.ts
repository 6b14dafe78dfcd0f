/*
 * The whole network as a newcomer starts it: real processes, a real chain, a real model. The parts
 * run in order on one data folder, because each looks at what the one before left behind.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import OpenAI from "openai";
import { generateKey } from "@lake-travis/platform";
import { startChild } from "./child-process.ts";
import { startNetwork, type StartedNetwork } from "./test-support/started-network.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "lake-travis-"));
const dataDir = join(folder, "devnet");
const clientEntry = fileURLToPath(new URL("../../client/src/main.ts", import.meta.url));
const model = "lake/travis-tiny";
const question = [{ role: "user" as const, content: "What is a tick?" }];

after(() => rmSync(folder, { recursive: true, force: true }));

describe("the whole network", () => {
  let network: StartedNetwork;
  let endpoint = "";

  before(async () => {
    network = startNetwork(["--data-dir", dataDir, "--port", "0", "--json"]);
    endpoint = String((await network.step("up"))["endpoint"]);
  });

  it("verified every step of the workflow", () => {
    assert.deepEqual(
      network.steps.filter((step) => !step.ok),
      [],
    );
    const names = network.steps.map((step) => step.name);
    for (const name of ["publish", "session", "settlement", "claim-builder"]) {
      assert.ok(names.includes(name), name);
    }
  });

  it("streams to the official client and shows what it costs", async () => {
    const openai = new OpenAI({ baseURL: endpoint, apiKey: "unused", maxRetries: 0 });
    const { data: stream, response } = await openai.chat.completions
      .create({ model, messages: question, stream: true, max_completion_tokens: 32 })
      .withResponse();
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    assert.ok(text.length > 0);
    assert.match(response.headers.get("lake-session") ?? "", /^0x[0-9a-f]{64}$/);
    assert.ok(BigInt(response.headers.get("lake-cost-wei") ?? "0") > 0n);
  });

  it("answers the official client in one piece, several at once, in one Session", async () => {
    const openai = new OpenAI({ baseURL: endpoint, apiKey: "unused", maxRetries: 0 });
    const answers = await Promise.all(
      [1, 2, 3].map(() =>
        openai.chat.completions
          .create({ model, messages: question, max_completion_tokens: 16 })
          .withResponse(),
      ),
    );
    for (const { data } of answers) {
      assert.ok((data.choices[0]?.message.content ?? "").length > 0);
      assert.ok((data.usage?.completion_tokens ?? 0) > 0);
    }
    const sessions = new Set(answers.map(({ response }) => response.headers.get("lake-session")));
    assert.equal(sessions.size, 1);
  });

  it("lists the models of the network", async () => {
    const openai = new OpenAI({ baseURL: endpoint, apiKey: "unused" });
    const { data } = await openai.models.list();
    assert.deepEqual(
      data.map(({ id }) => id),
      ["lake/digits", model],
    );
  });

  it("has a digit read by a classifier, paid by the same second", async () => {
    // A plain 1: a bar through the middle of eight rows.
    const input = [Array.from({ length: 64 }, (_, at) => (at % 8 === 3 || at % 8 === 4 ? 1 : 0))];
    const answer = await fetch(`${endpoint}/classify`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "lake/digits", input, top: 2 }),
    });
    const { data } = (await answer.json()) as { data?: { classes: { label: string }[] }[] };
    assert.equal(data?.[0]?.classes.length, 2);
    assert.equal(data[0].classes[0]?.label, "1");
    assert.match(answer.headers.get("lake-cost-mor") ?? "", /^0\.0/);
  });

  it("answers curl", async (t) => {
    const body = JSON.stringify({ model, messages: question, stream: true, max_tokens: 8 });
    const args = ["-sN", "-i", "-H", "content-type: application/json", "-d", body];
    try {
      const { stdout } = await run("curl", [...args, `${endpoint}/chat/completions`]);
      assert.match(stdout, /lake-cost-mor: 0\.0/);
      assert.match(stdout, /data: \[DONE\]/);
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") throw error;
      t.skip("no curl on this machine");
    }
  });

  async function refusal(
    body: unknown,
    headers: Record<string, string> = {},
    at = endpoint,
  ): Promise<{ status: number; code: string; message: string; type: string }> {
    const answer = await fetch(`${at}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const { error } = (await answer.json()) as {
      error: { code: string; message: string; type: string };
    };
    return { status: answer.status, ...error };
  }

  it("refuses each thing that cannot be with an error of its own", async () => {
    const ask = { messages: question };
    const unknown = await refusal({ ...ask, model: "nobody/nothing" });
    assert.deepEqual([unknown.status, unknown.code], [404, "model-unknown"]);
    const odd = await refusal({ ...ask, model: "Not A Handle" });
    assert.deepEqual([odd.status, odd.code], [400, "handle-invalid"]);
    const cheap = await refusal({ ...ask, model }, { "lake-max-price": "0.0001" });
    assert.deepEqual([cheap.status, cheap.code], [402, "price-cap-too-low"]);
    const nameless = await refusal(ask);
    assert.deepEqual([nameless.status, nameless.code], [400, "body-invalid"]);
    const torn = await refusal('{"model":');
    assert.deepEqual([torn.status, torn.code], [400, "body-invalid"]);
    const path = await fetch(`${endpoint}/nowhere`);
    assert.equal(path.status, 404);
  });

  it("tells a User without MOR so", async () => {
    const keyFile = join(folder, "poor.key");
    writeFileSync(keyFile, generateKey());
    const poor = await startChild({
      name: "poor",
      command: process.execPath,
      args: [
        ...[clientEntry, "--deployment", join(dataDir, "deployment.json")],
        ...["--data-dir", join(folder, "poor"), "--wallet-key-file", keyFile],
        ...["up", "--port", "0", "--router", String((await network.step("up"))["routerUrl"])],
      ],
      logFile: join(folder, "poor.log"),
      readyMsMax: 30_000,
      onSpawn: () => undefined,
    });
    try {
      const at = String(poor.ready["endpoint"]);
      const refused = await refusal({ model, messages: question }, {}, at);
      assert.deepEqual([refused.status, refused.code], [402, "mor-missing"]);
      assert.equal(refused.type, "insufficient_quota");
    } finally {
      await poor.stop();
    }
  });

  it("says so when no Provider is alive", async () => {
    for (const { name, pid } of notedProcesses()) {
      if (name.startsWith("provider")) process.kill(pid, "SIGKILL");
    }
    const other = { model: `${model}:latest`, messages: question };
    const refused = await refusal(other, { "lake-max-price": "1.9" });
    assert.equal(refused.status, 503);
    assert.match(refused.code, /^provider-(none|unreachable)$/);
  });

  it("leaves nothing running after kill -9, and starts again where it was", async () => {
    const before = notedProcesses();
    network.process.kill("SIGKILL");
    await network.exited;
    const again = startNetwork(["--data-dir", dataDir, "--port", "0", "--json", "--exit"]);
    assert.equal(await again.exited, 0, again.stderr() + JSON.stringify(again.steps.at(-1)));
    assert.deepEqual(
      again.steps.filter((step) => !step.ok),
      [],
    );
    for (const { pid } of before) assert.throws(() => process.kill(pid, 0), /ESRCH/);
  });
});

function notedProcesses(): readonly { name: string; pid: number }[] {
  return JSON.parse(readFileSync(join(dataDir, "processes.json"), "utf8")) as {
    name: string;
    pid: number;
  }[];
}

describe("a start that cannot work", () => {
  async function failsWith(args: readonly string[], sentence: RegExp): Promise<void> {
    const failed = startNetwork(args);
    assert.equal(await failed.exited, 1);
    assert.match(failed.stderr(), sentence);
    assert.equal(failed.stderr().trim().split("\n").length, 1, "one sentence, no stack");
  }

  it("names a taken port", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const args = ["--data-dir", join(folder, "port"), "--port", String(port)];
    await failsWith(args, /Port \d+ is taken by another program\. Stop .* or name another port\./);
    server.close();
  });

  it("names a folder that cannot be used", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    await failsWith(
      ["--data-dir", join(file, "sub")],
      /cannot be written \(ENOTDIR\)\. Name a folder/,
    );
  });

  it("names a port that is none", async () => {
    await failsWith(
      ["--port", "many", "--data-dir", join(folder, "odd")],
      /--port must be a number/,
    );
  });
});
