/*
 * The browser's wallet, reached through a page that this process serves on loopback: the page asks
 * for the next question, passes it to `window.ethereum` (EIP-1193), and posts the answer back.
 *
 * Other pages and other machines must not get in: the address holds a token of 256 random bits,
 * the Host header must be the loopback address (a rebound DNS name is not), answers must come from
 * the page's own origin, and the page may load and reach nothing but this server.
 */
import { LakeError, type Random, toHex } from "@lake-travis/protocol";
import { type HttpServer, readJson, serveHttp } from "@lake-travis/platform";
import { bridgeError, type WalletBridge } from "./bridge-wallet.ts";
import { walletPage } from "./wallet-page.ts";

/** An answer is a signature, a hash or an error's text. */
const answerBytesMax = 16 * 1024;
/** How long a person has to open the page and to decide, each time. */
const answerMsMax = 300_000;
/** How long the page waits for a next question before it asks again. */
const pollMs = 20_000;

interface Question {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Serves the page; `show` is told its address, for a person to open. */
export async function openPageBridge(options: {
  readonly random: Random;
  readonly show: (url: string) => void;
  readonly answerMs?: number;
}): Promise<WalletBridge> {
  const token = toHex(options.random.bytes(32)).slice(2);
  const desk = new QuestionDesk(options.answerMs ?? answerMsMax);
  const listening: HttpServer = await serveHttp({
    fetch: (request) => answerPage(request, { token, desk, port: listening.port }),
    host: "127.0.0.1",
    port: 0,
  });
  options.show(`http://127.0.0.1:${listening.port}/${token}`);
  return {
    request: (method, params) => desk.ask(method, params),
    close: async () => {
      desk.finish();
      await listening.close();
    },
  };
}

class QuestionDesk {
  readonly #answerMs: number;
  #current: Question | undefined;
  #asked = 0;
  #done = false;
  #wake: () => void = () => undefined;

  constructor(answerMs: number) {
    this.#answerMs = answerMs;
  }

  ask(method: string, params: readonly unknown[]): Promise<unknown> {
    const { promise, reject, resolve } = Promise.withResolvers<unknown>();
    this.#asked += 1;
    this.#current = { id: this.#asked, method, params, resolve, reject };
    const timer = setTimeout(() => {
      reject(
        new LakeError("wallet-unreachable", "Nobody answered at the wallet's page in time.", {
          advice: "Run the command again and open the address that it prints.",
        }),
      );
    }, this.#answerMs);
    this.#wake();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#current = undefined;
    });
  }

  finish(): void {
    this.#done = true;
    this.#wake();
  }

  /** The next question for the page; null once all is done, undefined to ask again. */
  async next(
    after: number,
  ): Promise<{ id: number; method: string; params: unknown } | null | undefined> {
    if (!this.#done && (this.#current === undefined || this.#current.id <= after)) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pollMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#current !== undefined && this.#current.id > after) {
      const { id, method, params } = this.#current;
      return { id, method, params };
    }
    return this.#done ? null : undefined;
  }

  answer(body: { id?: unknown; result?: unknown; error?: unknown }): void {
    const question = this.#current;
    if (question === undefined || body.id !== question.id) return;
    if (body.error === undefined) question.resolve(body.result);
    else question.reject(bridgeError("the browser", body.error));
  }
}

async function answerPage(
  request: Request,
  parts: { readonly token: string; readonly desk: QuestionDesk; readonly port: number },
): Promise<Response> {
  const { desk, port, token } = parts;
  const url = new URL(request.url);
  const home = `/${token}`;
  if (request.headers.get("host") !== `127.0.0.1:${port}` || !url.pathname.startsWith(home)) {
    return new Response("not here", { status: 404 });
  }
  const rest = url.pathname.slice(home.length);
  if (request.method === "GET" && rest === "") return walletPage();
  if (request.method === "GET" && rest === "/next") {
    const next = await desk.next(Number(url.searchParams.get("after")));
    return next === undefined ? new Response(null, { status: 204 }) : Response.json(next);
  }
  if (request.method === "POST" && rest === "/answers") {
    if (request.headers.get("origin") !== `http://127.0.0.1:${port}`) {
      return new Response("not from there", { status: 403 });
    }
    desk.answer((await readJson(request, answerBytesMax)) ?? {});
    return new Response(null, { status: 204 });
  }
  return new Response("not here", { status: 404 });
}
