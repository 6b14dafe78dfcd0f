export type { BlockSource } from "./block-source.ts";
export { contentId, contentIdFromHex, contentIdToHex, parseContentId } from "./content-id.ts";
export type { BuilderWords } from "./describe-model.ts";
export type { HolderReport } from "./fetch-blocks.ts";
export { describeMachine, fitMachine, type Fit, type Machine } from "./fit-machine.ts";
export {
  collectGarbage,
  listModels,
  pinModel,
  readManifest,
  removeModel,
  verifyModel,
  type CheckedFile,
  type Collected,
  type ListedModel,
} from "./held-models.ts";
export { importModel, type ImportedModel, type ImportRequest } from "./import-model.ts";
export { IpfsNode, type IpfsNodeOptions, type Libp2pOptions } from "./ipfs-node.ts";
export {
  buildManifest,
  modelBytes,
  parseManifest,
  weightsOf,
  type Layer,
  type LayerRole,
  type Manifest,
  type ModelFacts,
  type ModelNeeds,
  type ModelTask,
} from "./manifest.ts";
export type { AddedFile } from "./model-store.ts";
export type { OnProgress, Progress } from "./progress.ts";
export { publishModel, type Publication, type PublishRequest } from "./publish-model.ts";
export { pullModel, type PulledModel, type PullPlan, type PullRequest } from "./pull-model.ts";
export { resolveVersion } from "./resolve-version.ts";
export { SimulatedModelNames } from "./simulated-model-names.ts";
