/* Makes a snapshot by replaying the journal in a thread of its own, so that no request waits. */
import { parentPort, workerData } from "node:worker_threads";
import { writeSnapshot } from "./recover.ts";

const { folder, number } = workerData as { readonly folder: string; readonly number: number };
await writeSnapshot(folder, number);
parentPort?.postMessage("done");
