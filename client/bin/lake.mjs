#!/usr/bin/env node
// `lake` under any Node: the launcher hands over to one that runs TypeScript.
import { fileURLToPath } from "node:url";

process.argv.splice(2, 0, fileURLToPath(new URL("../src/main.ts", import.meta.url)));
await import("../../install/launch.mjs");
