// Compiles the contracts and writes the generated TypeScript beside their sources.
import { writeFileSync } from "node:fs";
import { forge } from "./forge.ts";
import { generate } from "./generate.ts";

const status =
  forge(["build", "--skip", "test", "--quiet"], {
    environment: { FOUNDRY_PROFILE: "release" },
  }).status ?? 1;
if (status === 0) {
  for (const [path, text] of await generate()) {
    writeFileSync(new URL(`../${path}`, import.meta.url), text);
  }
}
process.exitCode = status;
