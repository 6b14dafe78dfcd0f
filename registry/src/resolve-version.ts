import { LakeError, type Handle, type ModelNames, type ModelVersion } from "@lake-travis/protocol";

/** What a handle stands for on chain; throws `model-unknown`. */
export async function resolveVersion(names: ModelNames, handle: Handle): Promise<ModelVersion> {
  const name = `${handle.builder}/${handle.name}`;
  const { tag, digest } = handle;
  const version =
    digest === undefined
      ? await names.resolve({ name, tag })
      : await names.version({ name, manifestDigest: digest });
  if (version !== undefined) return version;
  throw new LakeError("model-unknown", `There is no ${name}:${digest ?? tag}.`, {
    advice: "Check the spelling; lake models tags <builder/name> lists what was published.",
    data: { name, tag },
  });
}
