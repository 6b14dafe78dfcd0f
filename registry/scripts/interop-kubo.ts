import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// Builds Kubo from source by the Go module proxy and runs the interop test against it. This takes
// minutes and some gigabytes of Go's caches, so it is no part of the ordinary tests.

const version = "v0.40.1";
const folder = join(homedir(), ".cache", "lake-travis", `kubo-${version}`);
const binary = join(folder, process.platform === "win32" ? "ipfs.exe" : "ipfs");

if (!existsSync(binary)) {
  mkdirSync(folder, { recursive: true });
  // `go install ...@version` asks the proxy for a list of versions, which not every proxy has; a
  // module of our own that requires this version does not.
  writeFileSync(join(folder, "go.mod"), goModule(version));
  const words = ["build", "-mod=mod", "-o", binary, "github.com/ipfs/kubo/cmd/ipfs"];
  console.log(`Building Kubo ${version} in ${folder} ...`);
  execFileSync("go", words, { cwd: folder, stdio: "inherit" });
}
execFileSync(binary, ["version"], { stdio: "inherit" });
execFileSync(
  process.execPath,
  ["--test", fileURLToPath(new URL("../test/kubo.test.ts", import.meta.url))],
  { env: { ...process.env, KUBO_BINARY: binary }, stdio: "inherit" },
);

function goModule(required: string): string {
  return `module kubo.build\n\ngo 1.25\n\nrequire github.com/ipfs/kubo ${required}\n`;
}
