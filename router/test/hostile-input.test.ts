/*
 * Hostile input at the door of a Router in its own process: whatever comes, each body gets a 4xx
 * with its code, the process stays the same one, and its memory flat.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { WebSocket } from "ws";
import {
  type ErrorBody,
  errorStatus,
  type RequestForCompute,
  rfcType,
  routerPaths,
  type Signed,
  signedToJson,
} from "@lake-travis/protocol";
import { createHttpClient, systemClock } from "@lake-travis/platform";
import { SimulatedUser } from "../src/test-support/simulated-user.ts";
import { TrialNetwork } from "../src/test-support/trial-network.ts";

const bodiesMax = 10_000;
const framesMax = 2_000;
/** A garbage collector's slack over a few thousand requests; a leak of a kB each is twice that. */
const growthBytesMax = 60 * 1024 * 1024;
const lanes = 16;

let network: TrialNetwork;
let beating: NodeJS.Timeout;
const http = createHttpClient({ unreachable: "router-unreachable" });

before(async () => {
  network = await TrialNetwork.start({ users: 2, slots: 1_000_000, epochMs: 3_600_000 });
  // A Provider that is silent for some seconds is gone.
  beating = setInterval(() => void network.simulated.beat({}).catch(() => undefined), 1_000);
});
after(async () => {
  clearInterval(beating);
  await http.close();
  await network.stop();
});

function rfcOf(
  changes: Partial<RequestForCompute> = {},
  user = network.users[0] as SimulatedUser,
): Signed<RequestForCompute> {
  const { router, model } = network;
  const delegationHash = network.delegationHashes[0] ?? "0x";
  return user.rfc({ router, model, delegationHash, maxSeconds: 5, ...changes });
}

const textOf = (rfc: Signed<RequestForCompute>): string =>
  JSON.stringify(signedToJson(rfcType, rfc));

/** Posts a body and tells its code, `granted` or `cut` where the Router hung up on it. */
async function post(path: string, body: string | Uint8Array): Promise<string> {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  try {
    const answer = await http.stream("POST", network.url + path, bytes, { timeoutMs: 20_000 });
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body) chunks.push(chunk);
    if (answer.status === 200) return "granted";
    const { error } = JSON.parse(Buffer.concat(chunks).toString()) as ErrorBody;
    assert.equal(answer.status, errorStatus[error.code], error.code);
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${error.message}`);
    return error.code;
  } catch (error) {
    if (bytes.length > 65_536) return "cut";
    throw error;
  }
}

async function memoryBytes(): Promise<number> {
  const answer = await http.stream("GET", `${network.url}/metrics`, undefined);
  let text = "";
  for await (const chunk of answer.body) text += Buffer.from(chunk).toString();
  return Number(/lake_router_memory_bytes (\d+)/.exec(text)?.[1]);
}

/** Does `action` with each item, a few at a time. */
async function inLanes<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      next += 1;
      await action(items[next - 1] as T);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Valid RFCs with a cut, a byte changed, a field of another type, or nothing like one at all. */
function brokenBodies(count: number): string[] {
  const good = textOf(rfcOf());
  const fields = Object.keys(signedToJson(rfcType, rfcOf()).message);
  const withField = (name: string, value: unknown): string => {
    const json = signedToJson(rfcType, rfcOf());
    return JSON.stringify({ ...json, message: { ...json.message, [name]: value } });
  };
  const arbitrary = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc.json({ maxDepth: 5 }),
    fc.nat({ max: good.length - 1 }).map((at) => good.slice(0, at)),
    fc
      .tuple(fc.nat({ max: good.length - 1 }), fc.string({ minLength: 1, maxLength: 4 }))
      .map(([at, put]) => good.slice(0, at) + put + good.slice(at + put.length)),
    fc.tuple(fc.constantFrom(...fields), fc.anything()).map(([name, value]) => {
      const plain = JSON.stringify(value, (_, part: unknown) =>
        typeof part === "bigint" ? part.toString() : part,
      ) as string | undefined;
      return withField(name, plain === undefined ? null : (JSON.parse(plain) as unknown));
    }),
  );
  return fc.sample(arbitrary, { numRuns: count, seed: 5 });
}

describe("hostile input", () => {
  it(`gets a 4xx for each of ${bodiesMax} broken bodies, with flat memory`, async () => {
    const { pid } = network;
    const bodies = brokenBodies(bodiesMax);
    const paths = Object.values(routerPaths).filter((path) => !/status|sessions|epochs/.test(path));
    const postable = paths.filter((path) => !/credits|debits/.test(path));
    const share = bodiesMax / 5;
    const run = (some: readonly string[]): Promise<void> =>
      inLanes(some, async (body) => {
        // Most go where most will come; a changed byte in a text field may leave it valid.
        const path =
          body.length % 4 === 0
            ? (postable[body.length % postable.length] as string)
            : routerPaths.rfcs;
        await post(path, body);
      });
    await run(bodies.slice(0, share));
    const first = await memoryBytes();
    await run(bodies.slice(share));
    assert.ok((await memoryBytes()) - first < growthBytesMax, "memory stayed flat");
    assert.equal(network.pid, pid);
    assert.equal(await post(routerPaths.rfcs, textOf(rfcOf())), "granted");
  });

  it("names what is wrong with an RFC that looks right", async () => {
    const check = async (text: string | Uint8Array, ...codes: string[]): Promise<void> => {
      const code = await post(routerPaths.rfcs, text);
      assert.ok(codes.includes(code), `${code} instead of ${codes.join()}`);
    };
    const now = systemClock.now();
    const elsewhere = { chainId: 1, computeContract: network.router } as const;
    await check(textOf(rfcOf({}, network.users[1])), "signer-wrong");
    await check(textOf(rfcOf({}, new SimulatedUser(elsewhere, systemClock))), "signer-wrong");
    await check(textOf(rfcOf({ router: `0x${"9".repeat(40)}` })), "audience-wrong");
    await check(textOf(rfcOf({ deadline: now - 1 })), "message-expired");
    await check(textOf(rfcOf({ deadline: now + 600_000 })), "deadline-too-far");
    await check(textOf(rfcOf({ deadline: Number.MAX_SAFE_INTEGER })), "deadline-too-far");
    await check(textOf(rfcOf({ model: "no/such:model" })), "model-unknown");
    await check(textOf(rfcOf({ wishHash: `0x${"1".repeat(64)}` })), "message-invalid");
    await check(textOf(rfcOf({ delegationHash: `0x${"1".repeat(64)}` })), "delegation-unknown");
    const first = rfcOf();
    await check(textOf(first), "granted");
    await check(textOf(first), "message-replayed");
    const { nonce } = first.message;
    await check(textOf(rfcOf({ nonce })), "message-replayed");
    await check(textOf({ ...rfcOf(), signature: `0x${"0".repeat(130)}` }), "signature-invalid");
    await check("x".repeat(100_000), "body-too-large", "cut");
    await check("x".repeat(5_000_000), "body-too-large", "cut");
    await check(Buffer.from([0xff, 0xfe, 0x00]), "body-invalid");
    await check("[".repeat(60_000), "body-invalid", "message-invalid");
  });

  it(`answers or closes on each of ${framesMax} broken frames, and serves the next`, async () => {
    const { pid } = network;
    const first = await memoryBytes();
    const frames = brokenBodies(framesMax).map((body, index) => {
      if (index % 4 === 0) return `{"requests":[{"id":1,${body.slice(1)}]}`;
      return index % 4 === 1 ? JSON.stringify({ requests: [body, { id: index, body }] }) : body;
    });
    frames.push("x".repeat(500_000), JSON.stringify({ requests: Array(65).fill({ id: 1 }) }));
    let socket = await openSocket();
    for (const frame of frames) {
      if (socket.readyState !== socket.OPEN) socket = await openSocket();
      const said = await exchange(socket, frame);
      for (const code of said.matchAll(/"code":"([a-z-]+)"/g)) {
        assert.ok(errorStatus[code[1] as keyof typeof errorStatus] < 500, said);
      }
    }
    const good = `{"requests":[{"id":7,${textOf(rfcOf()).slice(1)}]}`;
    const last = await openSocket();
    socket.terminate();
    assert.match(await exchange(last, good), /^\{"answers":\[\{"id":7,"grant":\{"sessionId":"0x/);
    last.terminate();
    assert.ok((await memoryBytes()) - first < growthBytesMax, "memory stayed flat");
    assert.equal(network.pid, pid);
  });
});

async function openSocket(): Promise<WebSocket> {
  const socket = new WebSocket(network.url.replace(/^http/, "ws") + routerPaths.rfcs);
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("open", resolve));
  return socket;
}

/** Sends a frame; resolves with what came back, behind the close where the Router ends it. */
function exchange(socket: WebSocket, frame: string): Promise<string> {
  return new Promise((resolve) => {
    let said = "";
    const onClose = (): void => {
      resolve(said);
    };
    socket.once("close", onClose);
    socket.once("message", (data: Buffer) => {
      said = data.toString();
      if (!said.startsWith('{"answers"')) return;
      socket.off("close", onClose);
      resolve(said);
    });
    socket.send(frame);
  });
}
