import assert from "node:assert/strict";
import { createContext, runInContext } from "node:vm";
import { after, before, describe, it } from "node:test";
import { Wallet } from "ethers";
import {
  type Address,
  delegationType,
  domainSeparatorOf,
  LakeError,
  requireSigner,
} from "@lake-travis/protocol";
import {
  generateKey,
  type HttpServer,
  nativeSignatures,
  serveHttp,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import { makeDelegation } from "../delegation.ts";
import { openBridgeWallet, type WalletBridge } from "./bridge-wallet.ts";
import { openPageBridge } from "./page-bridge.ts";
import { openRpcBridge } from "./rpc-bridge.ts";

const owner = new Wallet(generateKey());
const address = owner.address.toLowerCase() as Address;
const domain = { chainId: 31_337, computeContract: `0x${"4".repeat(40)}` } as const;
const allowed = { epochLimit: 5n, debitCeiling: 7n, lifetimeMs: 86_400_000 };

interface Fault {
  readonly reject?: boolean;
  readonly other?: boolean;
  readonly chainId?: number;
}

/** What a wallet does that people use: signs typed data by a library of its own. */
async function answer(method: string, params: readonly unknown[], fault: Fault): Promise<unknown> {
  if (method === "eth_requestAccounts") return [owner.address];
  if (method === "eth_chainId") return `0x${(fault.chainId ?? domain.chainId).toString(16)}`;
  if (method === "eth_signTypedData_v4" && fault.reject !== true) {
    const typed = JSON.parse(String(params[1])) as {
      domain: object;
      types: Record<string, { name: string; type: string }[]>;
      message: Record<string, unknown>;
    };
    const { EIP712Domain: _, ...types } = typed.types;
    const signer = fault.other === true ? new Wallet(generateKey()) : owner;
    return signer.signTypedData(typed.domain, types, typed.message);
  }
  throw Object.assign(new Error("User rejected the request."), { code: 4001 });
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LakeError && error.code === code;
}

async function delegate(bridge: WalletBridge): Promise<void> {
  const { chainId } = domain;
  const wallet = await openBridgeWallet({ bridge, signatures: nativeSignatures, chainId });
  assert.equal(wallet.address, address);
  const parts = { wallet, allowed, domain, clock: systemClock, random: systemRandom };
  const { held } = await makeDelegation(parts);
  const by = { signatures: nativeSignatures, expected: address };
  requireSigner(domainSeparatorOf(domain), delegationType, held.signed, by);
  assert.equal(held.signed.message.debitCeiling, 7n);
}

describe("a signer over JSON-RPC", () => {
  let server: HttpServer;
  let fault: Fault = {};
  let url = "";

  before(async () => {
    const fetch = async (request: Request): Promise<Response> => {
      const { id, method, params } = (await request.json()) as {
        id: number;
        method: string;
        params: unknown[];
      };
      try {
        const result = await answer(method, params, fault);
        return Response.json({ jsonrpc: "2.0", id, result });
      } catch (error) {
        const { code, message } = error as { code: number; message: string };
        return Response.json({ jsonrpc: "2.0", id, error: { code, message } });
      }
    };
    server = await serveHttp({ fetch, host: "127.0.0.1", port: 0 });
    url = `http://127.0.0.1:${server.port}/`;
  });
  after(() => server.close(0));

  async function withFault(given: Fault, code: string): Promise<void> {
    fault = given;
    const bridge = openRpcBridge(url);
    await assert.rejects(delegate(bridge), hasCode(code));
    await bridge.close();
    fault = {};
  }

  it("signs a Delegation that the network accepts", async () => {
    const bridge = openRpcBridge(url);
    await delegate(bridge);
    await bridge.close();
  });

  it("may say no", () => withFault({ reject: true }, "wallet-refused"));
  it("may not sign for another account", () => withFault({ other: true }, "signer-wrong"));
  it("must be on the network's chain", () => withFault({ chainId: 1 }, "chain-wrong"));

  it("is named when it is away", async () => {
    const bridge = openRpcBridge("http://127.0.0.1:1/");
    await assert.rejects(delegate(bridge), hasCode("wallet-unreachable"));
    assert.throws(() => openRpcBridge("not an address"), hasCode("config-invalid"));
  });
});

/** Runs the page as a browser with a wallet would, in a context that has nothing else. */
async function openInBrowser(url: string, fault: Fault): Promise<void> {
  const page = await (await fetch(url)).text();
  const [, script = ""] = /<script>([\s\S]*)<\/script>/.exec(page) ?? [];
  const { origin, pathname } = new URL(url);
  const elements = new Map<string, { textContent: string }>();
  const window = {
    ethereum: {
      request: ({ method, params }: { method: string; params: unknown[] }) =>
        answer(method, params, fault),
    },
  };
  const document = {
    getElementById(id: string) {
      const element = elements.get(id) ?? { textContent: "" };
      elements.set(id, element);
      return element;
    },
  };
  const fromPage = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(origin + path, {
      ...init,
      headers: { ...(init?.headers as Record<string, string>), origin },
    });
  const context = { location: { pathname }, window, document, fetch: fromPage, JSON, String };
  runInContext(script, createContext(context));
}

describe("the browser's wallet", () => {
  async function openPage(fault: Fault): Promise<WalletBridge> {
    let url = "";
    const bridge = await openPageBridge({ random: systemRandom, show: (shown) => (url = shown) });
    await openInBrowser(url, fault);
    return bridge;
  }

  it("signs a Delegation through the page", async () => {
    const bridge = await openPage({});
    await delegate(bridge);
    await bridge.close();
  });

  it("may say no", async () => {
    const bridge = await openPage({ reject: true });
    await assert.rejects(delegate(bridge), hasCode("wallet-refused"));
    await bridge.close();
  });

  it("is open to its own page alone", async () => {
    let url = "";
    const bridge = await openPageBridge({ random: systemRandom, show: (shown) => (url = shown) });
    const { origin, pathname } = new URL(url);
    const statusOf = async (path: string, init?: RequestInit): Promise<number> =>
      (await fetch(origin + path, init)).status;
    assert.equal(await statusOf("/"), 404);
    assert.equal(await statusOf(`/${"0".repeat(64)}`), 404);
    const forged = { method: "POST", headers: { origin: "https://evil.example" }, body: "{}" };
    assert.equal(await statusOf(`${pathname}/answers`, forged), 403);
    const policy = (await fetch(url)).headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'.*script-src 'sha256-/);
    await bridge.close();
  });

  it("is given up when nobody comes", async () => {
    const bridge = await openPageBridge({
      random: systemRandom,
      show: () => undefined,
      answerMs: 20,
    });
    await assert.rejects(delegate(bridge), hasCode("wallet-unreachable"));
    await bridge.close();
  });
});
