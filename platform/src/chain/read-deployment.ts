import { readFileSync } from "node:fs";
import { type Deployment, isHex, LakeError } from "@lake-travis/protocol";

/** Reads a network's deployment file; throws `argument-invalid` naming what is missing. */
export function readDeployment(path: string): Deployment {
  let json: Partial<Deployment>;
  try {
    json = JSON.parse(readFileSync(path, "utf8")) as Partial<Deployment>;
  } catch (cause) {
    throw new LakeError("argument-invalid", `The deployment file ${path} cannot be read.`, {
      advice: "Give the path of the JSON file that names the chain and its contracts.",
      cause,
    });
  }
  const { chainId, deployBlock, rpcUrl, schedule } = json;
  const contracts = ["mor", "modelRegistry", "nodeRegistry", "computeContract"] as const;
  const missing = contracts.find((name) => !isHex(json[name], 20));
  const sound =
    Number.isSafeInteger(chainId) &&
    Number.isSafeInteger(deployBlock) &&
    typeof rpcUrl === "string" &&
    Number.isSafeInteger(schedule?.genesisMs) &&
    Number.isSafeInteger(schedule?.lengthMs);
  if (missing !== undefined || !sound) {
    const what = missing ?? "chainId, deployBlock, rpcUrl or schedule";
    throw new LakeError("argument-invalid", `The deployment file ${path} lacks ${what}.`);
  }
  for (const name of ["holders", "routers"] as const) {
    if (!isListOfText(json[name] ?? [])) {
      const sentence = `The deployment file ${path} must list URLs in ${name}.`;
      throw new LakeError("argument-invalid", sentence);
    }
  }
  return json as Deployment;
}

function isListOfText(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
