/** The accounting periods of one network: one UTC day on a real chain, 20 s on the local one. */
export interface EpochSchedule {
  /** Unix milliseconds at which epoch 0 begins. */
  readonly genesisMs: number;
  readonly lengthMs: number;
}

/** The epoch that holds the instant `atMs`; negative before genesis. */
export function epochAt(schedule: EpochSchedule, atMs: number): number {
  return Math.floor((atMs - schedule.genesisMs) / schedule.lengthMs);
}

/** Unix milliseconds at which `epoch` begins. */
export function epochStartMs(schedule: EpochSchedule, epoch: number): number {
  return schedule.genesisMs + epoch * schedule.lengthMs;
}
