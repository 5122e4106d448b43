/**
 * The chunks of a stream, as they come. WebKit can't iterate over a stream itself:
 * https://developer.mozilla.org/docs/Web/API/ReadableStream#browser_compatibility
 */
export async function* chunksOf<T>(stream: ReadableStream<T>): AsyncGenerator<T, void, undefined> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Of a stream that has failed, the error is thrown already, by `read`.
    await reader.cancel().catch(() => undefined);
  }
}
