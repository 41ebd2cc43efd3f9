import { vi } from "vitest";

/** What is written to standard output and standard error from now on, until mocks are restored. */
export function writtenStreams(): { output: string; notes: string } {
  const written = { output: "", notes: "" };
  for (const [stream, name] of [
    [process.stdout, "output"],
    [process.stderr, "notes"],
  ] as const) {
    vi.spyOn(stream, "write").mockImplementation((text) => {
      written[name] += String(text);
      return true;
    });
  }
  return written;
}
