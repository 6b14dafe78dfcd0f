import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../install/launch.mjs", import.meta.url));

describe("install/launch.mjs", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "lake-travis-launch-"));
    mkdirSync(join(folder, "install"));
    cpSync(launcher, join(folder, "install/launch.mjs"));
    writeFileSync(
      join(folder, "entry.ts"),
      "const words: string[] = process.argv.slice(1);\nconsole.log(JSON.stringify(words));\n",
    );
    writeFileSync(join(folder, "fails.ts"), "process.exitCode = Number(process.argv[2]);\n");
    // What an old Node says of itself; the oldest one that npm ci works with is 20.19.
    writeFileSync(
      join(folder, "pretend.mjs"),
      'Object.defineProperty(process.versions, "node", { value: process.env.PRETENDED });\n',
    );
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const launch = (version: string, ...parameters: string[]) =>
    spawnSync(
      process.execPath,
      ["--import", "./pretend.mjs", "install/launch.mjs", ...parameters],
      { cwd: folder, encoding: "utf8", env: { ...process.env, PRETENDED: version } },
    );

  test("runs the entry with its arguments where Node is new enough", () => {
    for (const version of ["22.19.0", "24.0.0"]) {
      const { stdout, stderr, status } = launch(version, "entry.ts", "--exit", "b");
      assert.equal(stderr, "");
      assert.deepEqual(JSON.parse(stdout), [join(folder, "entry.ts"), "--exit", "b"]);
      assert.equal(status, 0);
    }
  });

  test("says in one sentence what to do where Node is too old and no other is there", () => {
    for (const version of ["18.0.0", "20.19.0", "22.18.9"]) {
      const { stdout, stderr, status } = launch(version, "entry.ts");
      assert.equal(
        stderr,
        `Node ${version} is too old: run \`npm ci\` here, which brings a newer one, ` +
          "or install Node 22.19 or later.\n",
      );
      assert.equal(stdout, "");
      assert.equal(status, 1);
    }
  });

  test("says what to do when no entry is named", () => {
    const { stderr, status } = launch("24.0.0");
    assert.match(stderr, /^Say which file to start/);
    assert.equal(status, 1);
  });

  test("hands over to the Node in node_modules where its own is too old", () => {
    mkdirSync(join(folder, "node_modules/.bin"), { recursive: true });
    symlinkSync(process.execPath, join(folder, "node_modules/.bin/node"));
    const { stdout, status } = launch("20.19.0", "entry.ts", "--exit");
    assert.deepEqual(JSON.parse(stdout), [join(folder, "entry.ts"), "--exit"]);
    assert.equal(status, 0);
    assert.equal(launch("20.19.0", "fails.ts", "7").status, 7);
  });

  test("passes a signal on to the Node that it handed over to", async () => {
    writeFileSync(
      join(folder, "waits.ts"),
      'process.on("SIGTERM", () => process.exit(9));\n' +
        "setTimeout(() => process.exit(8), 20_000);\n" +
        'console.log("waiting");\n',
    );
    const parameters = ["--import", "./pretend.mjs", "install/launch.mjs", "waits.ts"];
    const child = spawn(process.execPath, parameters, {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, PRETENDED: "20.19.0" },
    });
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [9, null]);
  });
});
