import { expect, test } from "vitest";
import { isUtcTime } from "../../shared/time.ts";
import { parseTime, toUtc } from "../../shared/zoned-time.ts";

test.each([
  ["2026-01-31T09:30:00Z", "2026-01-31T09:30:00.000Z"],
  ["2024-02-29T23:59:59.9Z", "2024-02-29T23:59:59.900Z"],
  ["2026-01-31T09:30:00.123456789Z", "2026-01-31T09:30:00.123456789Z"],
  ["2026-01-31T09:30:00.266000+02:00", "2026-01-31T07:30:00.266Z"],
  ["2026-01-31T09:30:00.1200345-05:30", "2026-01-31T15:00:00.1200345Z"],
  ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"],
])("%s is %s", (time, utc) => {
  expect(toUtc(time)).toBe(utc);
  expect(isUtcTime(utc)).toBe(true);
  expect(isUtcTime(time)).toBe(time.endsWith("Z"));
  expect(parseTime(time)).toBe(Date.parse(utc));
});

test.each([
  ["30 February", "2026-02-30T10:00:00Z"],
  ["29 February of a common year", "2025-02-29T10:00:00Z"],
  ["31 April, with an offset", "2026-04-31T10:00:00+02:00"],
  ["month 13", "2026-13-01T10:00:00Z"],
  ["hour 24", "2026-01-01T24:00:00Z"],
  ["a leap second", "2016-12-31T23:59:60Z"],
  ["a year of six digits", "+012026-01-31T09:30Z"],
  ["a year before 0", "-000001-01-31T09:30Z"],
  ["no seconds", "2026-01-31T09:30Z"],
  ["no zone", "2026-01-05T10:00:00"],
  ["no zone and a blank", "2026-01-05 10:00"],
  ["a blank", "2026-01-05 10:00:00Z"],
  ["a date", "2026-01-05"],
  ["an American date", "05/01/2026"],
  ["a name with a number", "Permit 7"],
  ["a week", "week 12"],
  ["a zone in lower case", "2026-01-05T10:00:00z"],
  ["an offset of a day", "2026-01-05T10:00:00+24:00"],
  ["an offset of hours", "2026-01-05T10:00:00+02"],
  ["ten digits of a second", "2026-01-05T10:00:00.1234567890Z"],
  ["a line break", "2026-01-05T10:00:00Z\n"],
  ["a number", 1767607200000],
  ["a list", ["2026-01-05T10:00:00Z"]],
])("%s is not a time", (_, value) => {
  expect([isUtcTime(value), parseTime(value)]).toEqual([false, undefined]);
});
