import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { buildSdk, writeSdk } from "../../scripts/build-sdk.ts";
import type { LakeClient } from "../lake-client.ts";
import { SimulatedNetwork, simulatedModel } from "../test-support/simulated-network.ts";
import type * as Sdk from "./index.ts";

/** What a page may have to load for it; an image icon is larger. */
const gzippedBytesMax = 8 * 1024;

const folder = mkdtempSync(join(tmpdir(), "lake-sdk-"));
const network = new SimulatedNetwork();
const files = buildSdk();
let client: LakeClient;
let sdk: typeof Sdk;

before(async () => {
  await network.start({});
  client = await network.client({
    listen: { host: "127.0.0.1", port: 0 },
    aliases: { "lake/travis-tiny": simulatedModel },
    maxWeiPerSecond: 10n ** 18n,
  });
  writeSdk(folder, files);
  sdk = (await import(pathToFileURL(join(folder, "index.js")).href)) as typeof Sdk;
});
after(async () => {
  await network.stop();
  rmSync(folder, { recursive: true });
});

describe("the npm package", () => {
  const textOf = new Map(files.map(({ path, text }) => [path, text]));

  it("reaches nothing but its own files, so that a page can load it", () => {
    const seen = new Set<string>();
    const queue = ["index.js"];
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      const text = textOf.get(path);
      assert.ok(text !== undefined, `${path} is in the package`);
      for (const [, specifier = ""] of text.matchAll(/from "([^"]+)"|import\("([^"]+)"\)/g)) {
        assert.match(specifier, /^\.\.?\/.*\.js$/, `${path} imports ${specifier}`);
        queue.push(normalize(join(dirname(path), specifier)));
      }
      assert.doesNotMatch(text, /\b(process|Buffer|require|setImmediate)\b[.(]/, path);
    }
    const bytes = gzipSync([...seen].map((path) => textOf.get(path)).join("")).length;
    assert.ok(bytes <= gzippedBytesMax, `${bytes} bytes of JavaScript, gzipped`);
  });

  it("has declarations that name no other package", () => {
    for (const { path, text } of files) {
      if (!path.endsWith(".d.ts")) continue;
      assert.doesNotMatch(text, /from "[^.]/, path);
      assert.doesNotMatch(text, /\.ts"/, path);
    }
    assert.ok(textOf.has("index.d.ts"));
  });

  it("answers in plain Node as it does here", async () => {
    const lake = sdk.createLake({ endpoint: client.endpoint });
    const answer = lake.chat({
      model: simulatedModel,
      messages: [{ role: "user", content: "Count." }],
    });
    assert.ok((await answer.text()).length > 0);
    const unknown = lake.chat({ model: "Not A Handle", messages: [] }).text();
    await assert.rejects(unknown, (error) => error instanceof sdk.LakeError);
  });
});

describe("the examples", () => {
  const page = readFileSync(new URL("../../../docs/sdk.md", import.meta.url), "utf8");
  const examples = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ""]) => code);
  for (const file of ["lake.ts", "lake-session.ts"]) {
    const source = readFileSync(new URL(file, import.meta.url), "utf8");
    for (const [, code = ""] of source.matchAll(/@example\n((?:\s+\*(?!\/).*\n)+)/g)) {
      examples.push(code.replace(/^\s+\* ?/gm, "").replace(/^@[\s\S]*/m, ""));
    }
  }

  it("are there", () => assert.ok(examples.length >= 8, `${examples.length} examples`));

  for (const [index, code] of examples.entries()) {
    it(`number ${index + 1} runs`, async () => {
      const said: string[] = [];
      await runExample(code, said);
      assert.ok(said.join("").length > 0, "it printed something");
    });
  }
});

/** Runs an example as it stands; only the endpoint's port and where it prints are ours. */
async function runExample(code: string, said: string[]): Promise<void> {
  const body = stripTypeScriptTypes(code.replace(/^import .*$/gm, ""));
  const { createLake } = sdk;
  const names = {
    ...sdk,
    createLake: (options: Sdk.LakeOptions = {}) =>
      createLake({ ...options, endpoint: client.endpoint }),
    lake: createLake({ endpoint: client.endpoint }),
    node: client,
    model: simulatedModel,
    messages: [{ role: "user", content: "Count." }],
    console: { log: (...words: unknown[]) => said.push(words.map(String).join(" ")) },
    process: { stdout: { write: (text: string) => said.push(text) } },
  };

  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (...values: unknown[]) => Promise<void>;
  await new AsyncFunction(...Object.keys(names), `{${body}\n}`)(...Object.values(names));
}
