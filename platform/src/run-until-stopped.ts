import { LakeError, type Startable } from "@lake-travis/protocol";

// A child that cannot stop within this time is ended; its state is safe at any moment anyway.
const stopMsMax = 10_000;

/**
 * Runs a process until SIGINT, SIGTERM or the death of the parent that holds its IPC channel, then
 * stops it in order. A `LakeError` becomes one sentence on standard error and exit code 1.
 *
 * @param start Starts the work; what it returns is stopped at the end. With an IPC channel, its
 *   `ready` facts are sent to the parent.
 */
export async function runUntilStopped(
  start: (signal: AbortSignal) => Promise<Pick<Startable, "stop"> & { readonly ready?: unknown }>,
): Promise<void> {
  const controller = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => resolve());
    // Node emits this when the parent's end of the channel closes, also after its kill -9.
    process.on("disconnect", () => resolve());
  });
  try {
    const running = await Promise.race([start(controller.signal), stopped]);
    if (running !== undefined) {
      process.send?.({ ready: running.ready ?? {} });
      await stopped;
      setTimeout(() => process.exit(1), stopMsMax).unref();
      controller.abort(new LakeError("shutting-down", "This process is stopping."));
      await running.stop();
    }
    process.exit(0);
  } catch (error) {
    reportFailure(error);
    process.exit(1);
  }
}

/** Writes a failure for a person: one sentence and what to do; a stack only for our own faults. */
export function reportFailure(error: unknown): void {
  if (error instanceof LakeError && error.code !== "internal") {
    process.stderr.write(
      `${error.message}${error.advice === undefined ? "" : ` ${error.advice}`}\n`,
    );
    process.send?.({ failed: error.toBody().error });
    return;
  }
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
}
