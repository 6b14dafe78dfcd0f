import type { Engine } from "@lake-travis/protocol/inference";
import type { SlotQueue } from "./core/slot-queue.ts";
import type { SpeedWindow } from "./core/speed-window.ts";

/** One model that this Provider serves. */
export interface ServedModel {
  /** `builder/name:tag`. */
  readonly handle: string;
  readonly engine: Engine;
  readonly queue: SlotQueue;
  readonly speed: SpeedWindow;
  /** Unix seconds at which it was loaded. */
  readonly createdAtSeconds: number;
}
