/*
 * A Provider in a process of its own for benchmarks: the real app over TLS or plain HTTP, with a
 * real or a simulated engine, and one Session that is open already.
 */
import { messageHash, providerPaths, ticketType } from "@lake-travis/protocol";
import { loadOrCreateCertificate, serveHttp, systemClock } from "@lake-travis/platform";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEngineChild } from "../engine/create-engine-child.ts";
import { OpenAiEngine } from "../engine/openai-engine.ts";
import { createRig } from "../test-support/provider-rig.ts";

/** What the process is started with, as its first argument in JSON. */
export interface BenchProvider {
  readonly modelPath?: string;
  /** A server in OpenAI's language instead. */
  readonly engineUrl?: string;
  readonly slots: number;
  readonly tls: boolean;
  /** Tokens of each answer of the simulated engine. */
  readonly tokens?: number;
}

/** What the process says when it serves. */
export interface BenchProviderReady {
  readonly url: string;
  readonly token: string;
  readonly cert: string | undefined;
}

const options = JSON.parse(process.argv[2] ?? "{}") as BenchProvider;
const { modelPath, engineUrl, slots, tokens } = options;
const engine =
  engineUrl !== undefined
    ? new OpenAiEngine({ baseUrl: engineUrl, slots }, systemClock)
    : modelPath !== undefined
      ? createEngineChild({ modelPath, slots, gpu: false, contextLength: 512 }, systemClock)
      : undefined;
const rig = await createRig({
  slots,
  ...(tokens === undefined ? {} : { tokens }),
  ...(engine === undefined ? {} : { engine }),
});
const user = rig.user();
const ticket = await user.ticket(rig.offerHash, { maxSeconds: 80_000 });
user.sessionId = messageHash(rig.router.separator, ticketType, ticket.message);
const opening = user.opening(ticket, { tick: { seconds: 80_000 } });
const opened = (await (await user.post(providerPaths.sessions, opening)).json()) as {
  token: string;
};
const folder = mkdtempSync(join(tmpdir(), "lake-bench-"));
const tls = options.tls ? await loadOrCreateCertificate(folder, systemClock) : undefined;
const server = await serveHttp({
  fetch: (request) => rig.fetch(request),
  host: "127.0.0.1",
  port: 0,
  ...(tls === undefined ? {} : { tls }),
});
process.on("disconnect", () => process.exit(0));
process.on("message", () => process.send?.({ cpu: process.cpuUsage() }));
process.send?.({
  url: `${options.tls ? "https" : "http"}://127.0.0.1:${server.port}`,
  token: opened.token,
  cert: tls?.cert,
} satisfies BenchProviderReady);
