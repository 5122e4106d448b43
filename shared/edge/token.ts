/** The form of a token with grants, for the code that signs tokens and the code that verifies them. */

/** The claim with the grants, see `grants.ts`. */
export const GRANTS_CLAIM = "headwater";
/** HS256 requires a secret of at least the length of its hash, in bytes: RFC 7518, section 3.2. */
export const SECRET_BYTES = 32;
