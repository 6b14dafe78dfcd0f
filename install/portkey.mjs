// Installs Portkey's gateway for the benches, which compare with it: `node install/portkey.mjs`
// prints the folder of the installed package as its last line. It is no part of the product and is
// kept out of its dependencies. Its own ones are pinned to versions with which it starts here.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const version = "1.15.2";
const manifest = {
  name: "lake-travis-peer-portkey",
  private: true,
  dependencies: { "@portkey-ai/gateway": version },
  overrides: { hono: "4.9.7", "@hono/node-server": "1.13.8" },
};

const folder = fileURLToPath(new URL("../node_modules/.cache/peers/portkey", import.meta.url));
const gateway = join(folder, "node_modules/@portkey-ai/gateway");

if (installedVersion() !== version) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2));
  const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  execFileSync("npm", args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
}
console.log(gateway);

function installedVersion() {
  const path = join(gateway, "package.json");
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).version : undefined;
}
