/** Whether a process of this machine lives, whoever owns it. */
export function isProcessAlive(id: number): boolean {
  try {
    // Signal 0 asks whether the process is there and does nothing to it.
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
