// Brings a GPU build of llama.cpp, which a plain install leaves out (700 MB): `npm run gpu -- cuda`
// or `npm run gpu -- vulkan`. `npm ci` takes it away again.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const builds = { cuda: ["cuda", "cuda-ext"], vulkan: ["vulkan"] };
const wanted = builds[process.argv[2]];

if (wanted === undefined) {
  console.error("Say which build: npm run gpu -- cuda, or npm run gpu -- vulkan.");
  process.exitCode = 1;
} else {
  for (const build of wanted) fetchBuild(build);
  console.log("Done. A Provider that starts now uses the GPU if its driver is there.");
}

function fetchBuild(build) {
  const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
  const { version } = JSON.parse(
    readFileSync(join(modules, "node-llama-cpp/package.json"), "utf8"),
  );
  const name = `@node-llama-cpp/${process.platform}-${process.arch}-${build}`;
  const folder = mkdtempSync(join(tmpdir(), "lake-travis-gpu-"));
  try {
    console.log(`Fetching ${name}@${version}`);
    const args = ["pack", `${name}@${version}`, "--pack-destination", folder, "--silent"];
    const archive = execFileSync("npm", args, { encoding: "utf8" }).trim();
    const target = join(modules, name);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    execFileSync("tar", ["-xzf", join(folder, archive), "--strip-components=1", "-C", target]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
