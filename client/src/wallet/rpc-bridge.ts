import { LakeError } from "@lake-travis/protocol";
import { createHttpClient } from "@lake-travis/platform";
import { bridgeError, type WalletBridge } from "./bridge-wallet.ts";

/** A person may have to confirm on a device. */
const answerMsMax = 300_000;

/** A signer that speaks JSON-RPC over HTTP, such as Clef, Frame or a signing service. */
export function openRpcBridge(url: string): WalletBridge {
  requireUrl(url);
  const http = createHttpClient({ unreachable: "wallet-unreachable" });
  let id = 0;
  return {
    async request(method, params) {
      id += 1;
      const body = { jsonrpc: "2.0", id, method, params };
      const answer = await http.json("POST", url, body, { timeoutMs: answerMsMax });
      const { error, result } = (answer ?? {}) as { error?: unknown; result?: unknown };
      if (error !== undefined && error !== null) throw bridgeError(url, error);
      return result;
    },
    close: () => http.close(),
  };
}

function requireUrl(url: string): void {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return;
  throw new LakeError("config-invalid", `'${url.slice(0, 80)}' is no address of a signer.`, {
    advice: "Write http://host:port or https://host/path.",
  });
}
