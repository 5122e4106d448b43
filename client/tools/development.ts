/**
 * Whether the app runs in development. Bundlers replace exactly this expression by a constant, and a minifier then removes what is for
 * development alone. In a browser without a bundler there is no `process`: that counts as production.
 */
declare const process: { readonly env: { readonly NODE_ENV?: string } };

function isDevelopment(): boolean {
  try {
    return process.env.NODE_ENV !== "production";
  } catch {
    return false; // ReferenceError: there is no `process`
  }
}

export const IS_DEVELOPMENT = /* @__PURE__ */ isDevelopment();
