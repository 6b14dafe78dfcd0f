import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const command = fileURLToPath(new URL("run-tests.ts", import.meta.url));
const manifest = JSON.stringify({ type: "module" });
const testing = 'import { test } from "node:test";\n';

describe("npm test", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "lake-travis-tests-"));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  };
  const run = (...names: string[]) => {
    const { stdout, status } = spawnSync(process.execPath, [command, ...names], {
      encoding: "utf8",
      env: { ...process.env, LAKE_TRAVIS_TREE: folder, NODE_TEST_CONTEXT: undefined },
    });
    return { stdout, status, last: stdout.trimEnd().split("\n").at(-1) };
  };

  test("adds up every workspace, says why tests were skipped, and ends with one line", () => {
    write("one/package.json", manifest);
    write("one/src/a.test.ts", `${testing}test("a", () => {});\n`);
    write("two/package.json", manifest);
    write(
      "two/src/b.test.ts",
      `${testing}test("b", () => {});\ntest("c", { skip: "no Chromium" }, () => {});\n`,
    );
    write("checks/d.test.ts", `${testing}test("d", () => {});\n`);
    const { stdout, status, last } = run();
    assert.equal(last, "3 passed, 0 failed, 1 skipped");
    assert.match(stdout, /skipped: c: no Chromium/);
    assert.equal(status, 0);
    assert.equal(run("one").last, "1 passed, 0 failed, 0 skipped");
  });

  test("a failing test, a crashed run and a workspace without tests each fail it", () => {
    write("empty/package.json", manifest);
    assert.equal(run("empty").last, "0 passed, 1 failed, 0 skipped");
    assert.equal(run("empty").status, 1);
    write("red/package.json", manifest);
    write("red/src/a.test.ts", `${testing}test("a", () => {\n  throw new Error();\n});\n`);
    assert.equal(run("red").last, "0 passed, 1 failed, 0 skipped");
    assert.equal(run("red").status, 1);
    const script = 'node -e "console.log(\\"ℹ pass 2\\"); process.exit(3)"';
    write("crashed/package.json", JSON.stringify({ scripts: { test: script } }));
    const crashed = run("crashed");
    assert.equal(crashed.last, "2 passed, 1 failed, 0 skipped");
    assert.equal(crashed.status, 1);
  });

  test("refuses a workspace that is not there", () => {
    assert.equal(run("nowhere").status, 1);
  });
});
