import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import {
  type Hex,
  limits,
  rfcType,
  type RfcOutcomeFrame,
  routerPaths,
  signedToJson,
  type TicketGrant,
} from "@lake-travis/protocol";
import { routerLimits } from "../limits.ts";
import { TrialNetwork } from "../test-support/trial-network.ts";

let network: TrialNetwork;
before(async () => {
  network = await TrialNetwork.start({ users: 4, slots: 1_000, epochMs: 3_600_000 });
  await network.simulated.beat({});
});
after(() => network.stop());

async function open(path: string = routerPaths.rfcs): Promise<WebSocket> {
  const socket = new WebSocket(network.url.replace(/^http/, "ws") + path);
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  return socket;
}

function rfcs(count: number): object[] {
  return Array.from({ length: count }, (_, id) => {
    const which = id % network.users.length;
    const user = network.users[which];
    const { router, model } = network;
    const delegationHash = network.delegationHashes[which] as Hex;
    const rfc = user?.rfc({ router, model, delegationHash, maxSeconds: 5 });
    return { id, ...signedToJson(rfcType, rfc as never) };
  });
}

/** Sends frames and gathers outcomes until there are `count`. */
async function outcomes(
  socket: WebSocket,
  frames: readonly (readonly object[])[],
  count: number,
): Promise<Map<number | null, { grant?: TicketGrant; error?: { code: string } }>> {
  const found = new Map<number | null, { grant?: TicketGrant; error?: { code: string } }>();
  const done = new Promise((resolve) => {
    socket.on("message", (data: Buffer) => {
      const { answers } = JSON.parse(data.toString()) as RfcOutcomeFrame;
      for (const { id, ...outcome } of answers) found.set(id, outcome);
      if (found.size >= count) resolve(undefined);
    });
  });
  for (const requests of frames) socket.send(JSON.stringify({ requests }));
  await done;
  return found;
}

describe("RFCs over WebSocket", () => {
  it("get a Ticket each, whatever frame they came in", async () => {
    const socket = await open();
    const all = rfcs(40);
    const frames = [all.slice(0, 1), all.slice(1, 39), all.slice(39)];
    const found = await outcomes(socket, frames, 40);
    const sessions = new Set([...found.values()].map(({ grant }) => grant?.sessionId));
    assert.equal(sessions.size, 40);
    assert.ok(!sessions.has(undefined));
    socket.close();
  });

  it("are refused one by one, and the others of their frame are not", async () => {
    const socket = await open();
    const [good, other, unsigned, unnumbered] = rfcs(4) as [object, object, object, object];
    const requests = [
      { ...good, id: 1 },
      { ...unsigned, id: 2, signature: `0x${"0".repeat(130)}` },
      { ...good, id: 3 },
      { ...unnumbered, id: -1 },
      { ...other, id: 4 },
    ];
    const found = await outcomes(socket, [requests], 5);
    const codes = [1, 2, 3, null, 4].map((id) => found.get(id)?.error?.code ?? "granted");
    assert.equal(codes[0], "granted");
    assert.equal(codes[1], "signature-invalid");
    assert.ok(codes[2] === "rfc-pending" || codes[2] === "message-replayed", codes[2]);
    assert.deepEqual(codes.slice(3), ["message-invalid", "granted"]);
    socket.close();
  });

  it("are not read any faster than they are answered", async () => {
    const socket = await open();
    // More than may be under way at once: all come back, though nobody waited.
    const count = routerLimits.socketRfcsMax + limits.rfcsPerFrameMax * 2;
    const frames: object[][] = [];
    for (let at = 0; at < count; at += limits.rfcsPerFrameMax) {
      frames.push(
        Array.from({ length: limits.rfcsPerFrameMax }, (_, index) => ({ id: at + index })),
      );
    }
    const found = await outcomes(socket, frames, count);
    assert.ok([...found.values()].every(({ error }) => error?.code === "message-invalid"));
    socket.close();
  });

  it("have no other path, and not more connections than one address may have", async () => {
    await assert.rejects(open("/v1/status"), /404/);
    const sockets: WebSocket[] = [];
    await assert.rejects(async () => {
      for (;;) sockets.push(await open());
    }, /429/);
    assert.equal(sockets.length, routerLimits.socketsPerAddressMax);
    for (const socket of sockets) socket.terminate();
    assert.equal((await fetch(network.url + routerPaths.status)).status, 200);
  });
});
