/** Every bound on what a User asks of an engine, each with its reason. */
export const inferenceLimits = {
  /** Messages of one conversation; longer ones fill any context many times over. */
  messagesMax: 4_096,
  /** Parts of one message: a page of text and its pictures. */
  partsMax: 256,
  /** A model's name as a client writes it: a handle with its digest. */
  modelTextMax: 300,
  /** OpenAI allows 4 stop texts; engines take more, and each is compared at every token. */
  stopsMax: 16,
  /** A stop text is a marker, not a document; it is held back while it may be beginning. */
  stopLengthMax: 256,
  /** Choices of one request: each one takes an engine's slot of its own. */
  choicesMax: 8,
  /** Alternatives shown with each token, as OpenAI allows. */
  topLogprobsMax: 20,
  /** Biased tokens, as OpenAI allows. */
  logitBiasMax: 300,
  /** Tools offered to a model, as OpenAI allows. */
  toolsMax: 128,
  /** Texts of one embedding request, as OpenAI allows. */
  embeddingInputsMax: 2_048,
  /** Inputs of one classification request: what a batch gains is gained by 1,024. */
  classifyInputsMax: 1_024,
  /** Numbers of one classification input: an image of 512 x 512 in three colours. */
  classifyNumbersMax: 786_432,
  /** Tokens of one answer; larger than any context there is. */
  answerTokensMax: 10_000_000,
} as const;
