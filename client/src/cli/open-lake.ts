import { createLake, type Lake } from "../sdk/index.ts";
import type { LakeContext } from "./lake-context.ts";
import { openNode } from "./open-node.ts";

/**
 * The network for a command that asks something: through the `lake up` that runs already, whose
 * Sessions it shares, else by a node of its own that is closed with it.
 */
export async function openLake(
  context: LakeContext,
  wishes: { readonly maxPrice?: bigint } = {},
): Promise<Lake> {
  const { running } = context.place();
  if (running !== undefined) {
    const { bearer, endpoint } = running;
    return createLake({ endpoint, ...(bearer === null ? {} : { apiKey: bearer }) });
  }
  const node = await openNode(context, wishes);
  return createLake({
    transport: {
      base: "http://lake.localhost/v1/",
      fetch: (request) => node.client.fetch(request),
      close: () => node.stop(),
    },
  });
}
