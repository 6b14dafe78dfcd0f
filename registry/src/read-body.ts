/** The bytes of a fetched answer as they come, which its declared type does not promise. */
export async function* readBody(response: Response): AsyncGenerator<Uint8Array> {
  const { body } = response;
  if (body !== null) yield* body as AsyncIterable<Uint8Array>;
}
