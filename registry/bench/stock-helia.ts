import { registerHooks } from "node:module";

// Stock Helia imports WebRTC even where only TCP is used, and its native part is left out of this
// repository's install. A hook gives the import an answer; it is called by nobody here.
registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== "@libp2p/webrtc") return next(specifier, context);
    const source = "export const webRTC = () => undefined; export const webRTCDirect = webRTC;";
    return { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true };
  },
});

const { createHeliaLight } = await import("helia");
const { withLibp2pLight } = await import("@helia/libp2p");
const { withBitswap } = await import("@helia/bitswap");
const { tcp } = await import("@libp2p/tcp");
const { noise } = await import("@libp2p/noise");
const { yamux } = await import("@libp2p/yamux");
const { identify } = await import("@libp2p/identify");

/** A stock Helia node with bitswap over TCP on the loopback interface, and nothing tuned. */
export async function startHelia() {
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight(), {
      addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { identify: identify() },
    }),
  );
  await helia.start();
  return helia;
}
