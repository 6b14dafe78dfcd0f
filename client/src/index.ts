export * from "./check-grant.ts";
export * from "./delegation.ts";
export * from "./lake-client.ts";
export * from "./open-by-name.ts";
export * from "./openai-endpoint.ts";
export * from "./router-client.ts";
export * from "./session.ts";
export * from "./session-pool.ts";
