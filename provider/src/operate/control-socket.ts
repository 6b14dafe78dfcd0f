/*
 * How the owner's commands reach the running Provider: HTTP over a Unix socket that only the owner
 * of the data folder can open. No port, no password, nothing for a browser or another user.
 */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, rmSync, statSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { LakeError } from "@lake-travis/protocol";
import { folderError } from "@lake-travis/platform";
import { operateLimits } from "./limits.ts";

/** Answers by path; undefined for a path that is none. */
export type ControlPages = (path: string) => Promise<unknown>;

/** A Unix socket's path has 108 bytes on Linux and 104 on a Mac, the final zero included. */
const socketPathBytesMax = 103;

/** Where the socket of a data folder is. */
export function controlPath(dataDir: string): string {
  const path = join(resolve(dataDir), "control.sock");
  if (Buffer.byteLength(path) <= socketPathBytesMax) return path;
  const name = createHash("sha256").update(path).digest("hex").slice(0, 16);
  return join(tmpdir(), `lake-${process.getuid?.() ?? 0}`, `${name}.sock`);
}

/** Serves the pages until the result is called. The data folder's lock keeps others away. */
export async function serveControl(
  dataDir: string,
  pages: ControlPages,
): Promise<() => Promise<void>> {
  const path = controlPath(dataDir);
  const server = createServer((incoming, outgoing) => {
    pages(incoming.url ?? "/").then(
      (page) => {
        outgoing.writeHead(page === undefined ? 404 : 200, { "content-type": "application/json" });
        outgoing.end(JSON.stringify(page ?? null));
      },
      (error: unknown) => {
        const known = error instanceof LakeError ? error : internalError();
        outgoing.writeHead(500, { "content-type": "application/json" });
        outgoing.end(JSON.stringify(known.toBody()));
      },
    );
  });
  await listen(server, path);
  return async () => {
    await new Promise<void>((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
    rmSync(path, { force: true });
  };
}

/** Asks a running Provider; throws `provider-none` where none runs on this data folder. */
export async function askControl(dataDir: string, page: string): Promise<unknown> {
  const socketPath = controlPath(dataDir);
  const text = await new Promise<string>((resolvePage, reject) => {
    const fail = (cause: Error): void => reject(notRunning(dataDir, cause));
    const asked = request(
      { socketPath, path: page, timeout: operateLimits.controlMs },
      (answer) => {
        let body = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          body += chunk;
          if (body.length > operateLimits.controlBytesMax) answer.destroy(new Error("too large"));
        });
        answer.on("end", () => resolvePage(body));
        answer.on("error", fail);
      },
    );
    asked.on("timeout", () => asked.destroy(new Error("no answer in time")));
    asked.on("error", fail);
    asked.end();
  });
  return JSON.parse(text) as unknown;
}

async function listen(server: Server, path: string): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    requireOwn(dirname(path));
    rmSync(path, { force: true });
    await new Promise<void>((done, reject) => {
      server.once("error", reject);
      server.listen(path, done);
    });
    chmodSync(path, 0o600);
  } catch (cause) {
    throw folderError(path, cause);
  }
}

// In a shared folder for temporary files somebody else may have made the folder first.
function requireOwn(folder: string): void {
  const { mode, uid } = statSync(folder);
  const isShared = (mode & 0o022) !== 0;
  if (!isShared && (process.getuid === undefined || uid === process.getuid())) return;
  throw new LakeError("folder-unusable", `Others may write in ${folder}.`, {
    advice:
      "Give it to the user that runs the Provider alone (chmod 700), or name another dataDir.",
  });
}

function internalError(): LakeError {
  return new LakeError("internal", "The Provider could not say how it stands; see its log.");
}

function notRunning(dataDir: string, cause: Error): LakeError {
  return new LakeError("provider-none", `No Provider runs on ${dataDir}.`, {
    advice: "Start it with 'lake provider up'.",
    cause,
  });
}
