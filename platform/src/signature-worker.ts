/* A thread that does nothing but signatures: batches in, batches out, in the same order. */
import { parentPort, workerData } from "node:worker_threads";
import type { Hex } from "@lake-travis/protocol";
import { createJobRunner } from "./signature-jobs.ts";

const { privateKey } = workerData as { readonly privateKey: Hex };
const run = createJobRunner(privateKey);
parentPort?.on("message", (rows: Uint8Array) => {
  const results = run(rows);
  parentPort?.postMessage(results, [results.buffer]);
});
