import { IpfsNode } from "../src/ipfs-node.ts";

// `node publisher.ts <dataDir> <file>`: what a publish does with a file, timed: {ms, digest}.

const [dataDir = "", file = ""] = process.argv.slice(2);
const node = new IpfsNode({ dataDir });
const begun = performance.now();
const { digest } = await node.addFile(file);
const ms = performance.now() - begun;
console.log(JSON.stringify({ ms, digest: Buffer.from(digest).toString("hex") }));
await node.stop();
