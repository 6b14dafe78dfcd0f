import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { ScratchNetwork } from "../test/scratch-network.ts";
import { contentId, sha256 } from "./content-id.ts";
import { answerGateway, type GatewayAnswer } from "./gateway.ts";
import type { BlockStore } from "./block-store.ts";

const mib = 1024 * 1024;

function ask(
  store: BlockStore,
  target: string,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<GatewayAnswer> {
  return answerGateway(store, { method, target, headers });
}

async function bodyOf({ body }: GatewayAnswer): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0);
  if (body instanceof Uint8Array) return Buffer.from(body);
  if ("read" in body) return Buffer.from((await body.read(new Uint8Array(2 * mib))) ?? []);
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Blocks of a CAR in order, as [digest in hex, length]. */
function readCar(car: Buffer): { digest: string; bytes: Buffer }[] {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = car[at] ?? 0;
      at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const headerBytes = varint();
  at += headerBytes;
  const blocks = [];
  while (at < car.length) {
    const end = varint() + at;
    const digest = car.subarray(at + 4, at + 36).toString("hex");
    const bytes = car.subarray(at + 36, end);
    assert.equal(Buffer.from(sha256(bytes)).toString("hex"), digest);
    blocks.push({ digest, bytes });
    at = end;
  }
  return blocks;
}

test("the trustless gateway answers by its specification", async (context) => {
  const network = await ScratchNetwork.open(context);
  const node = await network.node("node");
  const bytes = randomBytes(3 * mib + 5);
  const { root } = await node.store.addBytes(bytes);
  const store = node.store.blocks;
  const path = `/ipfs/${root}`;

  const raw = await ask(store, `${path}?format=raw`);
  assert.equal(raw.status, 200);
  assert.equal(raw.headers["Content-Type"], "application/vnd.ipld.raw");
  assert.equal(raw.headers["X-Ipfs-Roots"], root.toString());
  assert.equal(raw.headers["X-Content-Type-Options"], "nosniff");
  assert.match(String(raw.headers["Cache-Control"]), /immutable/);
  const block = await bodyOf(raw);
  assert.equal(contentId("dag-pb", sha256(block)).toString(), root.toString());
  assert.equal(raw.headers["Content-Length"], block.length);

  const accepted = await ask(store, path, { accept: "application/vnd.ipld.raw" });
  assert.ok((await bodyOf(accepted)).equals(block));
  const etag = String(raw.headers["Etag"]);
  assert.equal((await ask(store, `${path}?format=raw`, { "if-none-match": etag })).status, 304);
  const head = await ask(store, `${path}?format=raw`, {}, "HEAD");
  assert.deepEqual([head.status, head.body], [200, undefined]);

  const car = await ask(store, `${path}?format=car`);
  assert.match(String(car.headers["Content-Type"]), /application\/vnd\.ipld\.car; version=1/);
  const blocks = readCar(await bodyOf(car));
  assert.equal(blocks.length, 5);
  assert.ok(Buffer.concat(blocks.slice(1).map((each) => each.bytes)).equals(bytes));
  const one = readCar(await bodyOf(await ask(store, `${path}?format=car&dag-scope=block`)));
  assert.equal(one.length, 1);
  const part = `${path}?format=car&dag-scope=entity&entity-bytes=${mib}:${2 * mib - 1}`;
  assert.equal(readCar(await bodyOf(await ask(store, part))).length, 2);

  const probe = await ask(store, "/ipfs/bafkqaaa?format=raw");
  assert.deepEqual([probe.status, (await bodyOf(probe)).length], [200, 0]);
});

test("what the gateway does not serve it refuses with a reason", async (context) => {
  const network = await ScratchNetwork.open(context);
  const node = await network.node("node");
  const { root } = await node.store.addBytes(Buffer.from("x"));
  const absent = contentId("raw", sha256(Buffer.from("absent")));
  const refused: [string, number, string?][] = [
    [`/ipfs/${root}`, 406],
    [`/ipfs/${root}?format=tar`, 406],
    [`/ipfs/${root}/../../etc/passwd?format=raw`, 404],
    [`/ipfs/${root}/file?format=raw`, 404],
    [`/ipfs/${absent}?format=raw`, 404],
    [`/ipfs/${absent}?format=car`, 404],
    ["/ipfs/nonsense?format=raw", 400],
    ["/ipfs/bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy?format=raw", 400],
    [`/ipfs/${"b".repeat(5000)}?format=raw`, 400],
    [`/ipfs/${root}?format=car&entity-bytes=-1:5`, 400],
    [`/ipfs/${root}?format=car&car-version=2`, 400],
    [`/ipfs/${root}?format=car&dag-scope=everything`, 400],
    ["/", 404],
    ["/ipns/example.org", 404],
    [`/ipfs/${root}?format=raw`, 405, "POST"],
  ];
  for (const [target, status, method = "GET"] of refused) {
    const answer = await ask(node.store.blocks, target, {}, method);
    assert.equal(answer.status, status, target);
    assert.ok((await bodyOf(answer)).length > 0, "a reason");
  }
});
