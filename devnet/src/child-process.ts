import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, openSync, closeSync } from "node:fs";
import { dirname } from "node:path";
import { LakeError } from "@lake-travis/protocol";

/** One process of the local network. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** What the process said of itself when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Resolves when it has ended, with its exit code (null: by a signal). */
  readonly ended: Promise<number | null>;
  /** Asks it to stop, and ends it if it does not within `stopMsMax`. */
  stop(): Promise<void>;
}

/** How to start one process. */
export interface ChildOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly readyMsMax: number;
  /** Hears the process id as soon as there is one, before it is ready. */
  readonly onSpawn: (pid: number) => void;
  /** For a program that has no IPC channel: resolves once it serves. */
  readonly probe?: () => Promise<Readonly<Record<string, unknown>>>;
}

const stopMsMax = 12_000;

/** Starts a process and waits till it is ready. Throws `child-failed` or what the child says. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { args, command, logFile, name, onSpawn, probe, readyMsMax } = options;
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, "a");
  const child = spawn(command, args, {
    stdio: probe === undefined ? ["ignore", log, log, "ipc"] : ["ignore", log, log],
    // Ctrl-C in the terminal reaches the whole process group; the parent stops its children in
    // order instead, so each gets a group of its own.
    detached: true,
  });
  closeSync(log);
  if (child.pid !== undefined) onSpawn(child.pid);
  const ended = new Promise<number | null>((resolve) => {
    child.once("exit", (code) => resolve(code));
    child.once("error", () => resolve(1));
  });
  const failure = ended.then((code) => {
    throw failed(name, logFile, `ended with exit code ${code ?? "none"} before it was ready`);
  });
  // A later exit is noticed through `ended`; this promise only matters while starting.
  failure.catch(() => undefined);
  const patience = timeout(readyMsMax, () => failed(name, logFile, "did not become ready in time"));
  try {
    const ready = await Promise.race([
      probe === undefined ? readyMessage(child) : probe(),
      failure,
      patience.promise,
    ]);
    return { name, pid: child.pid ?? 0, ready, ended, stop: () => stop(child, ended) };
  } catch (error) {
    await stop(child, ended);
    throw error;
  } finally {
    patience.cancel();
  }
}

function readyMessage(child: ChildProcess): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    child.on("message", (message: { ready?: Record<string, unknown>; failed?: FailedMessage }) => {
      if (message.ready !== undefined) resolve(message.ready);
      if (message.failed === undefined) return;
      const { advice, code, message: sentence } = message.failed;
      reject(new LakeError(code, sentence, advice === undefined ? {} : { advice }));
    });
  });
}

interface FailedMessage {
  readonly code: LakeError["code"];
  readonly message: string;
  readonly advice?: string;
}

async function stop(child: ChildProcess, ended: Promise<number | null>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const patience = timeout(stopMsMax, () => new Error("still running"));
  await Promise.race([ended, patience.promise]).catch(() => child.kill("SIGKILL"));
  patience.cancel();
  await ended;
}

function timeout(ms: number, error: () => Error): { promise: Promise<never>; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(error()), ms);
  });
  promise.catch(() => undefined);
  return { promise, cancel: () => clearTimeout(timer) };
}

function failed(name: string, logFile: string, what: string): LakeError {
  return new LakeError("child-failed", `The ${name} process ${what}.`, {
    advice: `Its log is ${logFile}.`,
  });
}
