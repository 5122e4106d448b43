import { HeadwaterError, StorageFailedError } from "../../shared/errors.ts";

/** Unexpected errors appear in `status.problem`, and are retried like failures of the storage. */
export function unexpected(error: unknown): HeadwaterError {
  if (error instanceof HeadwaterError) return error;
  return new StorageFailedError(`Sync failed unexpectedly: ${String(error)}`, {}, { cause: error });
}
