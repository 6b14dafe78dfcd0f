import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A PostgreSQL server of this test alone. */
export interface ScratchPostgres {
  readonly url: string;
  stop(): void;
}

/** Why there is no PostgreSQL to test on; undefined where there is. */
export function postgresMissing(): string | undefined {
  if (binaries() !== undefined) return undefined;
  return "no PostgreSQL here: install it to run this (Debian: apt-get install postgresql)";
}

/** Makes a new cluster in a temporary folder and starts it on a free port of loopback. */
export async function startScratchPostgres(): Promise<ScratchPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "lake-postgres-"));
  const bin = binaries() as string;
  const data = join(folder, "data");
  const port = await freePort();
  const run = runner(folder);
  run(join(bin, "initdb"), ["-D", data, "-U", "lake", "-A", "trust", "-E", "UTF8", "--no-sync"]);
  const options = `-p ${port} -c listen_addresses=127.0.0.1 -k ${folder} -F`;
  const ctl = join(bin, "pg_ctl");
  run(ctl, ["-D", data, "-w", "-l", join(folder, "log"), "-o", options, "start"]);
  return {
    url: `postgres://lake@127.0.0.1:${port}/postgres`,
    stop() {
      run(ctl, ["-D", data, "-m", "immediate", "-w", "stop"]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function binaries(): string | undefined {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).sort().reverse() : [];
  const folders = [
    ...versions.map((version) => join(debian, version, "bin")),
    ...(process.env["PATH"] ?? "").split(":"),
  ];
  return folders.find((folder) => existsSync(join(folder, "pg_ctl")));
}

/** PostgreSQL refuses to run as root; Debian's package brings a user for it. */
function runner(folder: string): (command: string, args: readonly string[]) => void {
  const isRoot = process.getuid?.() === 0;
  const uid = isRoot ? Number(execFileSync("id", ["-u", "postgres"])) : undefined;
  if (uid !== undefined) chownSync(folder, uid, uid);
  return (command, args) => {
    const as = uid === undefined ? {} : { uid, gid: uid };
    // Without pipes: the server would hold them open and never let the call return.
    execFileSync(command, args, { cwd: folder, stdio: "ignore", ...as });
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
