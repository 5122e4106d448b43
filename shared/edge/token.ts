/** What a token that grants has to be, for whoever signs one and whoever verifies it. */

/** The claim that grants, see `grants.ts`. */
export const GRANTS_CLAIM = "headwater";
/** HS256 wants a secret as long as its hash: RFC 7518, section 3.2. */
export const SECRET_BYTES = 32;
