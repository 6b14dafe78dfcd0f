import { type ConfigKey, demandKeys, modelKeys, pricingKeys, topKeys } from "./config-keys.ts";
import { operateLimits } from "./limits.ts";

type Schema = Readonly<Record<string, unknown>>;

/** The JSON schema of provider.yaml (draft 2020-12), for editors; docs/ holds it as a file. */
export function configSchema(): Schema {
  const models = { type: "array", maxItems: operateLimits.modelsMax, items: objectOf(modelKeys) };
  const top = objectOf(topKeys);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Lake Travis Provider",
    description: "What 'lake provider init' writes and 'lake provider up' reads.",
    ...top,
    properties: {
      ...(top["properties"] as Schema),
      models: { ...models, description: "What is served, and for how much." },
      pricing: { ...objectOf(pricingKeys), description: "How prices move." },
      demand: {
        ...objectOf(demandKeys),
        description: "What 'lake provider up --auto' may do beside that.",
      },
    },
  };
}

function objectOf(keys: readonly ConfigKey[]): Schema {
  return {
    type: "object",
    additionalProperties: false,
    required: keys.filter(({ isRequired }) => isRequired === true).map(({ key }) => key),
    properties: Object.fromEntries(keys.map((known) => [known.key, propertyOf(known)])),
  };
}

function propertyOf(known: ConfigKey): Schema {
  const { fallback, says } = known;
  const value = formOf(known);
  const documented = {
    description: says,
    ...(fallback === undefined ? {} : { default: fallback }),
  };
  if (known.isList !== true) return { ...value, ...documented };
  const listed = { type: "array", items: value, maxItems: operateLimits.listedMax };
  return { anyOf: [listed, value], ...documented };
}

// YAML's editors read 0.36 and 4 as numbers, so both are let through; our reader sees the text.
function formOf(known: ConfigKey): Schema {
  switch (known.form) {
    case "text":
    case "path":
      return { type: "string", minLength: 1, maxLength: operateLimits.textMax };
    case "url":
      return { type: "string", pattern: "^https?://" };
    case "address":
      return { type: "string", pattern: "^0x[0-9a-fA-F]{40}$" };
    case "handle":
      return {
        type: "string",
        pattern: "^[a-z0-9._-]+/[a-z0-9._-]+(:[a-z0-9._-]+)?(@sha256:.*)?$",
      };
    case "price":
      return { type: ["string", "number"], pattern: "^[0-9]{1,9}([.][0-9]{1,18})?$", minimum: 0 };
    case "listen":
      return { type: "string", pattern: "^.+:[0-9]{1,5}$" };
    case "whole":
      return { type: ["integer", "string"], minimum: known.min, maximum: known.max };
    case "choice":
      return { type: "string", enum: known.of };
  }
}
