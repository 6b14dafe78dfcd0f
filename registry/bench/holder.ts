import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { stat } from "node:fs/promises";
import { IpfsNode } from "../src/ipfs-node.ts";

// One holder in a process of its own, so that its work is not counted as the puller's:
// `node holder.ts gateway <dataDir> <file> <bytesPerSecond or 0>` or `node holder.ts http <file>`.
// It prints one line of JSON, one more with the bytes it sent for each line of input, and ends
// when its input is closed.

const [mode = "", ...words] = process.argv.slice(2);
if (mode === "http") await servePlain(words[0] ?? "");
else await serveBlocks(words[0] ?? "", words[1] ?? "", Number(words[2] ?? "0"));
process.stdin.resume().on("end", () => process.exit());

async function serveBlocks(dataDir: string, file: string, rate: number): Promise<void> {
  const node = new IpfsNode({ dataDir, ...(rate > 0 ? { uploadBytesPerSecond: rate } : {}) });
  await node.start();
  const added = await node.addFile(file);
  const digest = Buffer.from(added.digest).toString("hex");
  const root = added.root.toString();
  console.log(JSON.stringify({ url: node.gatewayUrl, root, digest, bytes: added.bytes }));
  process.stdin.on("data", () => console.log(JSON.stringify({ sentBytes: node.sentBytes })));
}

async function servePlain(file: string): Promise<void> {
  const { size } = await stat(file);
  const server = createServer((_, response) => {
    response.writeHead(200, { "Content-Length": size });
    createReadStream(file).pipe(response);
  });
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo;
    console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }));
  });
}
