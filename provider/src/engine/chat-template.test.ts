import assert from "node:assert/strict";
import { test } from "node:test";
import { createChatTemplate } from "./chat-template.ts";

// The calls' part of a Hermes template.
const source =
  "{% for tool in tools %}{{ tool.function.name }};{% endfor %}" +
  "{% for message in messages %}{{ message.role }}:{{ message.content }}" +
  "{% if message.tool_calls %}{% for call in message.tool_calls %}" +
  "<tool_call>{{ call.function.arguments | tojson }}</tool_call>" +
  "{% endfor %}{% endif %}|{% endfor %}";

test("a conversation with calls and their results is written as the template says", () => {
  const template = createChatTemplate(source, { bos: "", eos: "" });
  assert.equal(template.takesTools, true);
  const call = (text: string) => ({
    id: "1",
    type: "function",
    function: { name: "add", arguments: text },
  });
  const prompt = (text: string): string =>
    template.render({
      model: "a/b",
      tools: [{ type: "function", function: { name: "add" } }],
      messages: [
        { role: "user", content: "1+1?" },
        { role: "assistant", content: null, tool_calls: [call(text)] },
        { role: "tool", content: "2", tool_call_id: "1" },
      ],
    });
  const around = (shown: string): string =>
    `add;user:1+1?|assistant:<tool_call>${shown}</tool_call>|tool:2|`;
  assert.equal(prompt('{"a":1}'), around('{"a": 1}'));
  assert.equal(prompt("torn"), around('"torn"'));
});
