import { exitCodes } from "./exit-code.ts";

/**
 * Does work that Ctrl-C or SIGTERM ends in order: the signal fires, Sessions are closed and paid,
 * and only then the process ends. A second Ctrl-C ends it at once.
 */
export async function whileInterruptible(
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  try {
    await work(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted) throw error;
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
  if (controller.signal.aborted) process.exitCode = exitCodes.interrupted;
}
