// Starts a TypeScript entry point under a Node that can run one: `node install/launch.mjs FILE
// [arguments]`. Old Nodes have to be able to read this file, so it uses nothing newer than 2020.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

// The first version that the network's libraries accept; it strips types without a flag.
const oldest = [22, 19];

const bundled = join(dirname(fileURLToPath(import.meta.url)), "../node_modules/.bin/node");
const entry = process.argv[2];

if (entry === undefined) {
  stop("Say which file to start: node install/launch.mjs FILE [arguments].");
} else if (isNewEnough(process.versions.node)) {
  const path = resolve(entry);
  process.argv.splice(1, 2, path);
  import(pathToFileURL(path).href).catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
} else if (existsSync(bundled)) {
  relay(spawn(bundled, [entry].concat(process.argv.slice(3)), { stdio: "inherit" }));
} else {
  stop(
    "Node " +
      process.versions.node +
      " is too old: run `npm ci` here, which brings a newer one, or install Node " +
      oldest.join(".") +
      " or later.",
  );
}

function isNewEnough(version) {
  const parts = version.split(".").map(Number);
  return parts[0] > oldest[0] || (parts[0] === oldest[0] && parts[1] >= oldest[1]);
}

// A terminal sends Ctrl-C to both processes, and the second one a child gets may mean 'at once';
// every other signal reaches only this process and is passed on.
function relay(child) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("error", (error) => {
    stop("The Node in node_modules does not start (" + error.message + "): run `npm ci` again.");
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code === null ? 128 + (signal === "SIGINT" ? 2 : 15) : code;
  });
}

function stop(sentence) {
  console.error(sentence);
  process.exitCode = 1;
}
