import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LakeError } from "@lake-travis/protocol";
import { limits } from "../limits.ts";
import { createSlotQueue, type SlotQueue } from "./slot-queue.ts";

const never = new AbortController().signal;

test("one line may use every slot that no other line needs", async () => {
  const lines = ["a"];
  const queue = createSlotQueue({ slots: 3, lines: () => lines });
  const releases = await Promise.all([0, 1, 2].map(() => queue.take("a", never)));
  assert.equal(queue.running, 3);
  releases.forEach((release) => release());
  assert.equal(queue.running, 0);
});

test("a slot stays free for every open line that is idle", async () => {
  const lines = ["a", "b"];
  const queue = createSlotQueue({ slots: 3, lines: () => lines });
  await queue.take("a", never);
  await queue.take("a", never);
  void queue.take("a", never);
  assert.deepEqual([queue.running, queue.waiting], [2, 1]);
  await queue.take("b", never);
  assert.equal(queue.running, 3);
});

test("a line without a running request goes before the others that wait", async () => {
  const queue = createSlotQueue({ slots: 1, lines: () => ["a", "b"] });
  const release = await queue.take("a", never);
  const order: string[] = [];
  void queue.take("a", never).then(() => order.push("a"));
  void queue.take("b", never).then(() => order.push("b"));
  release();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(order, ["a"], "a has none running now, and it came first");
});

test("who waits can leave, and the queue of one Session is bounded", async () => {
  const queue = createSlotQueue({ slots: 1, lines: () => ["a"] });
  await queue.take("a", never);
  const controller = new AbortController();
  const waiting = queue.take("a", controller.signal);
  controller.abort(new Error("left"));
  await assert.rejects(waiting, /left/);
  assert.equal(queue.waiting, 0);
  for (let n = 0; n < limits.queuedPerSessionMax; n += 1) void queue.take("a", never);
  await assert.rejects(
    queue.take("a", never),
    (error) => error instanceof LakeError && error.code === "queue-full",
  );
});

/** Takes or gives back by random commands and checks what must always hold. */
async function obey(queue: SlotQueue, slots: number, commands: readonly number[]): Promise<void> {
  const held: (() => void)[] = [];
  for (const command of commands) {
    if (command < 3) {
      void queue.take(`line-${command}`, never).then((release) => held.push(release));
    } else held.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(queue.running <= slots, "never more than the slots");
    assert.ok(queue.running === slots || queue.running === held.length);
  }
  // Everything that waits gets its turn in the end.
  for (let round = 0; round < commands.length * 2 && queue.running > 0; round += 1) {
    held.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual([queue.running, queue.waiting], [0, 0]);
}

test("any sequence of commands: bounded, and nobody waits for ever", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 30 }),
      async (slots, commands) => {
        const lines = ["line-0", "line-1", "line-2"].slice(0, slots);
        const busy = commands.filter((command) => command >= 3 || command < slots);
        await obey(createSlotQueue({ slots, lines: () => lines }), slots, busy);
      },
    ),
    { numRuns: 60, seed: 7 },
  );
});
