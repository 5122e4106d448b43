/** Base64url without padding (RFC 4648, section 5): the parts of a JWT, and a token in a subprotocol. */

/** Every browser and every runtime of the edge has them. */
declare function btoa(bytes: string): string;
declare function atob(text: string): string;
declare class TextDecoder {
  decode(bytes: Uint8Array): string;
}

/** @param bytes each a character up to `\xff` */
export function toBase64url(bytes: string): string {
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes, each as a character. @throws DOMException if the text is not base64url */
export function fromBase64url(text: string): string {
  return atob(text.replaceAll("-", "+").replaceAll("_", "/"));
}

/** The UTF-8 text that the bytes are. @throws DOMException if the text is not base64url */
export function textOfBase64url(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(fromBase64url(text), (byte) => byte.charCodeAt(0)));
}
