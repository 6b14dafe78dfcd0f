/* The projection in a thread of its own: SQL never makes a request for a Ticket wait. */
import { parentPort, workerData } from "node:worker_threads";
import { LakeError } from "@lake-travis/protocol";
import { Projection } from "./projection.ts";
import type { ProjectionAnswer, ProjectionCall, ProjectionSetup } from "./projection-thread.ts";

if (parentPort === null) throw new Error("this file is the entry of a worker thread");
const port = parentPort;
const { url, shard } = workerData as ProjectionSetup;
let opening: Promise<Projection> | undefined;

port.on("message", ({ id, ask }: { readonly id: number; readonly ask: ProjectionCall }) => {
  void answer(ask)
    .then((result): ProjectionAnswer => ({ id, result }))
    .catch((error: unknown): ProjectionAnswer => ({ id, failure: failureOf(error) }))
    .then((message) => {
      port.postMessage(message);
      if (ask.verb === "close") port.close();
    });
});

async function answer(ask: ProjectionCall): Promise<unknown> {
  if (ask.verb === "close") return (await opening?.catch(() => undefined))?.close();
  const projection = await open();
  switch (ask.verb) {
    case "put":
      return projection.put(ask.batch);
    case "clear":
      return projection.clear();
    case "records":
      return projection.records(ask.query);
    case "rollups":
      return projection.rollups(ask.query);
    case "filed-epochs":
      return projection.filedEpochs();
  }
}

/** Opens at the first call, and again after a failure: a server may be down for a while. */
function open(): Promise<Projection> {
  opening ??= Projection.open(url, shard).catch((error: unknown) => {
    opening = undefined;
    throw error;
  });
  return opening;
}

function failureOf(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof LakeError) return { code: error.code, message: error.message };
  return { code: "database-unreachable", message: String((error as Error | null)?.message) };
}
