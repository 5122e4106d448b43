/** What the options of reading accept, on the device and over HTTP. */
import * as option from "../../shared/options.ts";
import type { ReadAllOptions, ReadStreamOptions } from "../event-store.ts";

export const READ_STREAM_OPTIONS = {
  from: option.count,
  direction: option.direction,
  limit: option.count,
} satisfies option.OptionsOf<ReadStreamOptions>;

export const READ_ALL_OPTIONS = {
  after: /* @__PURE__ */ option.withPreset(option.ordinal, 0),
  category: option.texts,
  stream: option.texts,
  type: option.texts,
  limit: option.count,
} satisfies option.OptionsOf<ReadAllOptions>;
