import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { LakeError } from "@lake-travis/protocol";
import { configSchema } from "./config-schema.ts";
import { parseConfig, readConfig } from "./provider-config.ts";
import { writeConfig } from "./write-config.ts";

const account = `0x${"ab".repeat(20)}`;
const values = {
  top: { deployment: "net.json", routers: ["http://127.0.0.1:8786/"], account },
  models: [{ model: "lake/travis-tiny", price: "0.36", slots: "2" }],
  pricing: {},
  demand: {},
};
const minimal = [
  "deployment: net.json",
  "routers: http://127.0.0.1:8786",
  `account: "${account}"`,
].join("\n");

function refuses(text: string, sentence: RegExp): void {
  assert.throws(
    () => parseConfig(text, "/etc/lake/provider.yaml"),
    (error: unknown) => {
      assert.ok(error instanceof LakeError);
      assert.equal(error.code, "config-invalid");
      assert.match(error.message, sentence);
      assert.equal(error.message.split("\n").length, 1);
      return true;
    },
  );
}

test("what is written is read back, with every default", () => {
  const text = writeConfig(values);
  const config = parseConfig(text, "/etc/lake/provider.yaml");
  assert.equal(config.deployment, "/etc/lake/net.json");
  assert.deepEqual(config.routers, ["http://127.0.0.1:8786"]);
  assert.equal(config.dataDir, "/etc/lake/provider-data");
  assert.deepEqual(config.listen, { host: "0.0.0.0", port: 8790 });
  assert.deepEqual(config.pricing, { mode: "fixed", share: 50 });
  assert.deepEqual(config.models[0], {
    model: "lake/travis-tiny",
    weiPerSecond: 100_000_000_000_000n,
    floorWeiPerSecond: undefined,
    minSeconds: 1,
    slots: 2,
    engine: undefined,
    enginePackage: undefined,
  });
  assert.match(text, /price: 0\.36 +# = 100000000000000 wei of MOR a second/);
  assert.ok(text.split("\n").every((line) => line.length <= 100));
});

test("any price is read to the wei, never through a binary fraction", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 24n }), (weiPerHour) => {
      const whole = weiPerHour / 10n ** 18n;
      const price = `${whole}.${(weiPerHour % 10n ** 18n).toString().padStart(18, "0")}`;
      const text = writeConfig({ ...values, models: [{ model: "a/b", price }] });
      assert.equal(parseConfig(text, "/x").models[0]?.weiPerSecond, weiPerHour / 3_600n);
    }),
  );
});

test("paths are relative to the file, or begin at home", () => {
  const config = parseConfig(`${minimal}\nkeystore: ~/w.json\nlogFile: a.log`, "/srv/p.yaml");
  assert.equal(config.keystore, join(homedir(), "w.json"));
  assert.equal(config.logFile, "/srv/a.log");
});

test("each mistake is one sentence that names the key", () => {
  refuses("", /holds no keys/);
  refuses("a: [", /Flow sequence/);
  refuses(minimal.replace(/^deployment.*\n/, ""), /deployment is missing/);
  refuses(minimal.replace("routers", "router"), /router is no key; there are deployment, routers/);
  refuses(`${minimal}\nlisten: nowhere`, /listen must be host:port/);
  refuses(`${minimal}\ngpu: maybe`, /gpu must be one of auto, off/);
  refuses(`${minimal}\ndataDir: {a: b}`, /dataDir must be a plain value/);
  refuses(`${minimal}\npricing: {share: 0}`, /pricing\.share must be a whole number from 1 to 100/);
  refuses(`${minimal}\nmodels: [{model: A/B, price: 1}]`, /models\[0\]\.model is wrong/);
  refuses(`${minimal}\nmodels: [{model: a/b, price: 1e3}]`, /models\[0\]\.price is wrong/);
  refuses(`${minimal}\nmodels: [{model: a/b}]`, /models\[0\]\.price is missing/);
  const twice = "models: [{model: a/b, price: 1}, {model: 'a/b:latest', price: 2}]";
  refuses(`${minimal}\n${twice}`, /names a\/b:latest twice/);
  refuses(`${minimal}\naccount: "0x12"`, /unique/);
  refuses(`x: &a [b]\ny: *a\n${minimal}`, /alias/);
  refuses(`${minimal}\n#${"x".repeat(300_000)}`, /too large/);
});

test("a file that is not there says what to do", () => {
  assert.throws(
    () => readConfig("/nowhere/provider.yaml"),
    (error: unknown) => error instanceof LakeError && /lake provider init/.test(error.advice ?? ""),
  );
});

test("a file on the disk is read", () => {
  const folder = mkdtempSync(join(tmpdir(), "lake-config-"));
  const path = join(folder, "provider.yaml");
  writeFileSync(path, writeConfig(values));
  assert.equal(readConfig(path).account, account);
  rmSync(folder, { recursive: true });
});

test("the schema in docs is the one of the keys", () => {
  const path = fileURLToPath(new URL("../../../docs/provider-config.schema.json", import.meta.url));
  assert.deepEqual(JSON.parse(readFileSync(path, "utf8")), configSchema());
});
