/* Portkey's gateway in a process that tells its address and the processor time that it took. */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.argv[2] ?? "";
const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
  version: string;
};
const port = await freePort();
process.argv.push(`--port=${port}`, "--headless");
// It prints a banner, and figures are this bench's only output.
process.stdout.write = () => true;
await import(pathToFileURL(join(folder, "build/start-server.js")).href);
process.on("message", () => process.send?.({ cpu: process.cpuUsage() }));
process.on("disconnect", () => process.exit(0));
await reachable(`http://127.0.0.1:${port}/`);
const url = `http://127.0.0.1:${port}`;
process.send?.({ url, token: "none", cert: undefined, version: manifest.version });

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port: found } = probe.address() as AddressInfo;
      probe.close(() => resolve(found));
    });
  });
}

async function reachable(address: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    try {
      await fetch(address);
      return;
    } catch {
      // Not listening yet.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error("Portkey's gateway does not start.");
}
