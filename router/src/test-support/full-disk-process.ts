/*
 * A Router's machine that writes until its disk is full, then says on stdout how many events it had
 * promised and what it failed with. Its folder is in argv; the room it has is a limit on its files.
 */
import { createLogger } from "@lake-travis/platform";
import { LakeError } from "@lake-travis/protocol";
import { DurableMachine } from "../durable-machine.ts";
import { addressOf, bytes32Of } from "./core-world.ts";

/** The deployment and account of the machine, for whoever opens its folder again. */
export const fullDiskOptions = {
  router: addressOf(1),
  now: 1,
  deployment: {
    chainId: 1,
    computeContract: addressOf(3),
    deployBlock: 0,
    rpcUrl: "",
    mor: addressOf(4),
    modelRegistry: addressOf(5),
    nodeRegistry: addressOf(6),
    schedule: { genesisMs: 0, lengthMs: 1_000_000 },
  },
  logger: createLogger({ name: "test", level: "silent" }),
} as const;

/** An event that changes the state, the `number`th of its kind. */
export function blockEvent(number: number) {
  const transfer = { type: "mor-transferred", from: addressOf(0), to: addressOf(number), wei: 1n };
  const block = { number, hash: bytes32Of(number), timestampMs: number, events: [transfer] };
  return { type: "blocks-followed", blocks: [block] } as const;
}

if (process.argv[1] === import.meta.filename) {
  const folder = process.argv[2] ?? "";
  const machine = await DurableMachine.open({ ...fullDiskOptions, folder });
  let promised = 0;
  let number = 0;
  const write = async (): Promise<void> => {
    for (;;) {
      number += 1;
      await machine.submit(blockEvent(number) as never);
      promised += 1;
    }
  };
  // Several at once, so that the write that fails is in the middle of a batch.
  const ends = await Promise.allSettled([write(), write(), write(), write(), write()]);
  const codes = ends.map((end) => {
    const reason: unknown = end.status === "rejected" ? end.reason : undefined;
    return reason instanceof LakeError ? reason.code : "none";
  });
  const failed = await machine.failed.catch((error: unknown) => (error as LakeError).code);
  process.stdout.write(JSON.stringify({ promised, codes, failed }));
  process.exit(0);
}
