import { createHash } from "node:crypto";

/** The page that passes questions to the browser's wallet; it loads nothing from elsewhere. */
export function walletPage(): Response {
  return new Response(page, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
      "x-frame-options": "DENY",
      "content-security-policy":
        "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; " +
        `script-src 'sha256-${createHash("sha256").update(script).digest("base64")}'; ` +
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    },
  });
}

const script = `
const home = location.pathname;
const say = (text) => { document.getElementById("say").textContent = text; };
const show = (text) => { document.getElementById("what").textContent = text; };
const describe = (method, params) => {
  const told = { eth_signTypedData_v4: () => JSON.parse(params[1]).message,
    eth_sendTransaction: () => params[0] }[method];
  return told === undefined ? "" : JSON.stringify(told(), null, 2);
};
const answer = (body) => fetch(home + "/answers", {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
const work = async () => {
  if (!window.ethereum) {
    say("This browser has no wallet. Install one, then load this page again.");
    return;
  }
  let after = 0;
  for (;;) {
    const response = await fetch(home + "/next?after=" + after);
    if (response.status === 204) continue;
    const question = await response.json();
    if (question === null) break;
    after = question.id;
    say("Please look at your wallet.");
    show(describe(question.method, question.params));
    try {
      const { method, params } = question;
      await answer({ id: question.id, result: await window.ethereum.request({ method, params }) });
    } catch (error) {
      const { code, message } = error;
      await answer({ id: question.id, error: { code, message: String(message) } });
    }
  }
  show("");
  say("Done. You may close this page.");
};
work().catch(() => say("The lake command has ended. You may close this page."));
`;

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Lake Travis: wallet</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto }
  pre { background: #8882; padding: 1rem; border-radius: 6px; overflow: auto }
</style>
<h1>Your wallet is asked to sign</h1>
<p id="say">Connecting to your wallet.</p>
<pre id="what"></pre>
<p>The key stays in your wallet. What you sign is shown above and again by the wallet itself.</p>
<script>${script}</script>
</html>
`;
