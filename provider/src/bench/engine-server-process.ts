/* A real model behind a server in OpenAI's language: what a relay is compared with. */
import { systemClock } from "@lake-travis/platform";
import { createEngineChild } from "../engine/create-engine-child.ts";
import { OpenAiServer } from "../test-support/openai-server.ts";

const [modelPath = "", slots = "1"] = process.argv.slice(2);
const engine = createEngineChild(
  { modelPath, slots: Number(slots), gpu: false, contextLength: 512 },
  systemClock,
);
const server = new OpenAiServer(engine);
await server.start();
process.on("disconnect", () => process.exit(0));
process.send?.({ url: server.baseUrl, token: server.apiKey });
