import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ErrorCode, LakeError } from "@lake-travis/protocol";
import { openaiErrorResponse } from "./openai-error.ts";

async function check(code: ErrorCode, status: number, type: string): Promise<void> {
  const response = openaiErrorResponse(
    new LakeError(code, "What happened.", { advice: "Do this." }),
  );
  const { error } = (await response.json()) as { error: Record<string, unknown> };
  assert.equal(response.status, status);
  assert.equal(error["type"], type);
  assert.equal(error["code"], code);
  assert.equal(error["message"], "What happened. Do this.");
}

describe("openaiErrorResponse", () => {
  it("gives each failure its own status, type and code", async () => {
    await check("model-unknown", 404, "not_found_error");
    await check("mor-missing", 402, "insufficient_quota");
    await check("price-cap-too-low", 402, "insufficient_quota");
    await check("provider-none", 503, "server_error");
    await check("rate-limited", 429, "rate_limit_error");
    await check("body-invalid", 400, "invalid_request_error");
  });

  it("says nothing of what it does not know", async () => {
    const response = openaiErrorResponse(new Error("secret path /home/me"));
    assert.equal(response.status, 500);
    assert.ok(!(await response.text()).includes("secret"));
  });
});
