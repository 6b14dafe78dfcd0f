import { setTimeout as sleep } from "node:timers/promises";
import { LakeError } from "@lake-travis/protocol";
import type { Actors } from "./ground-work.ts";
import type { LocalNetwork } from "./local-network.ts";
import type { StepPrinter } from "./step-printer.ts";

/** What the steps of the workflow work with. */
export interface Workplace {
  readonly network: LocalNetwork;
  readonly actors: Actors;
  readonly printer: StepPrinter;
  /** Port of the OpenAI endpoint; 0 for any free one. */
  readonly port: number;
}

const pollMs = 250;

/** Asks until there is an answer; throws `step-unverified` after `ms` milliseconds. */
export async function until<T>(
  what: string,
  ms: number,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const patience = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > patience) {
      throw new LakeError("step-unverified", `Waited ${ms / 1000} s in vain until ${what}.`);
    }
    await sleep(pollMs);
  }
}
