// Builds what ships and runs forge's tests on that very bytecode; the tests themselves are compiled
// the quick way. `mutants` and `coverage` run the same tests on the sources instead.
import { forge } from "./forge.ts";

const build = forge(["build", "--skip", "test", "--quiet"], {
  environment: { FOUNDRY_PROFILE: "release" },
});
process.exitCode =
  build.status === 0
    ? (forge(["test", ...process.argv.slice(2)], { environment: { LAKE_SHIPPED: "true" } })
        .status ?? 1)
    : (build.status ?? 1);
