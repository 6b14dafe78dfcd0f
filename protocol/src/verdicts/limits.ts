/** Bounds of judging, so that no file of Records can fill a machine. */
export const verdictLimits = {
  /** (model, Provider, hardware) of one epoch; each holds 6 kB of counts. */
  linesMax: 65_536,
  /** Pairs of a User and a line; 40 bytes each. */
  pairsMax: 2 ** 24,
  /** Distinct names of one kind in a file: Users, Providers, models, hardware classes. */
  namesMax: 2 ** 24,
  /** Epochs of one file: four years of days. */
  epochsMax: 1_500,
  /** Models whose histograms a baseline carries on, the busiest first; 2 kB each as JSON. */
  baselineGroupsMax: 4_096,
  /** Providers whose history a baseline carries on, the most suspect first. */
  baselineProvidersMax: 65_536,
  /** A baseline as JSON. */
  baselineBytesMax: 64 * 1024 * 1024,
} as const;
