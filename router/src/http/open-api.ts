import { errorStatus } from "@lake-travis/protocol";

/** One path's description; schemas are loose where the protocol's `api.ts` binds. */
export function describeApi(): Record<string, unknown> {
  return {
    openapi: "3.1.0",
    info: {
      title: "Lake Travis Router",
      version: "1",
      description: "Matches Users with Providers, keeps the record, computes the settlement.",
    },
    paths: Object.fromEntries(operations.map((operation) => pathOf(operation))),
    components: { schemas },
  };
}

interface Operation {
  readonly path: string;
  readonly method: "get" | "post";
  readonly summary: string;
  readonly answer: string;
}

const operations: readonly Operation[] = [];

const schemas = {
  ErrorBody: {
    type: "object",
    required: ["error"],
    properties: {
      error: {
        type: "object",
        required: ["code", "message"],
        properties: {
          code: { type: "string", enum: Object.keys(errorStatus) },
          message: { type: "string" },
          advice: { type: "string" },
        },
      },
    },
  },
};

function pathOf({ path, method, summary, answer }: Operation): [string, unknown] {
  const content = { "application/json": { schema: { $ref: `#/components/schemas/${answer}` } } };
  const failure = {
    "application/json": { schema: { $ref: "#/components/schemas/ErrorBody" } },
  };
  const responses = {
    200: { description: summary, content },
    default: { description: "A failure with its code.", content: failure },
  };
  return [path, { [method]: { summary, responses } }];
}
