import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** How a `lake` command ended. */
export interface LakeResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const program = fileURLToPath(new URL("../main.ts", import.meta.url));

/** Runs `lake` as a script does: nobody at a terminal, its home a folder of the test's own. */
export function runLake(
  home: string,
  args: readonly string[],
  input = "",
  env: Readonly<Record<string, string>> = {},
): Promise<LakeResult> {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", program, ...args],
    {
      env: { ...process.env, LAKE_HOME: home, NODE_TEST_CONTEXT: undefined, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
