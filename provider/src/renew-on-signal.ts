import type { Logger } from "@lake-travis/platform";
import type { ProviderNode } from "./provider-node.ts";

/**
 * Lets the owner renew the certificate by `kill -USR2`, for as long as the process lives. Not
 * SIGHUP: that is a closed terminal, which ends the process in order.
 */
export function renewOnSignal(node: ProviderNode, logger: Logger): void {
  process.on("SIGUSR2", () => {
    node.renewCertificate().catch((error: unknown) => {
      logger.error({ err: error }, "certificate not renewed");
    });
  });
}
