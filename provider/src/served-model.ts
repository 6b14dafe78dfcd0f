import type { Engine } from "@lake-travis/protocol/inference";
import type { SlotQueue } from "./core/slot-queue.ts";

/** One model that this Provider serves. */
export interface ServedModel {
  /** `builder/name:tag`. */
  readonly handle: string;
  readonly engine: Engine;
  readonly queue: SlotQueue;
  /** Unix seconds at which it was loaded. */
  readonly createdAtSeconds: number;
}
