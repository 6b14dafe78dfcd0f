import canonicalize from "canonicalize";

/** What a line behind the Records of a public file is about; docs/records.md has their fields. */
export type PublicLineKind =
  "demand" | "funding" | "verdict" | "report" | "outcome" | "credit" | "baseline" | "settlement";

/** A line behind the Records of a public file: its RFC 8785 form, without a line end. */
export function publicLine(kind: PublicLineKind, facts: object): string {
  return canonicalize({ ...facts, kind }) as string;
}
