export type { AnswerCost, AnswerUsage, ChatAnswer, ChatPiece } from "./chat-answer.ts";
export type { LakeSession, SessionOptions } from "./lake-session.ts";
export type { LakeTransport } from "./lake-transport.ts";
export {
  type ChatMessage,
  type ChatRequest,
  type ChatRole,
  createLake,
  type EmbedRequest,
  type Lake,
  type LakeOptions,
  type OfferedModel,
} from "./lake.ts";
export { type ErrorCode, formatMor, LakeError } from "@lake-travis/protocol";
