// What every command shares: results on standard output, everything else on standard error, exit codes.
import { CommanderError } from "commander";
import { ClozeError } from "../errors.js";
import { createProgress, type ProgressReporter, silentProgress } from "../training/progress.js";

/** Options that every command has. */
export interface CommonOptions {
  json?: boolean;
  quiet?: boolean;
}

/** With --quiet: warnings only. */
const quietProgress: ProgressReporter = {
  ...silentProgress,
  warn: (line) => void process.stderr.write(`${line}\n`),
};

/** Progress for a command; with --quiet nothing but warnings. */
export const progressFor = ({ quiet }: CommonOptions): ProgressReporter =>
  quiet === true ? quietProgress : createProgress();

/** Prints a result: one JSON value with --json, else the text. */
export function printResult({ json }: CommonOptions, value: unknown, text: () => string): void {
  const lines = json === true ? JSON.stringify(value) : text();
  process.stdout.write(lines.endsWith("\n") ? lines : `${lines}\n`);
}

/** Rows as a table with aligned columns; the first row is the head. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join("  ");
  return [line(rows[0]), widths.map((width) => "─".repeat(width)).join("  "), ...rows.slice(1).map(line)].join("\n");
}

/** An operating system's error in words a person can act on. */
function explain(error: unknown): { code: string; message: string } {
  if (error instanceof ClozeError) return { code: error.code, message: error.message };
  const { code, message, syscall } = error as NodeJS.ErrnoException;
  const known: Record<string, string> = {
    ENOENT: "No such file or folder. Check the path.",
    EACCES: "Permission denied. Check who may read and write there.",
    EISDIR: "This is a folder; a file was expected.",
    ENOTDIR: "A part of this path is a file; a folder was expected.",
    EEXIST: "There is a file of this name; a folder was expected.",
    ENOSPC: "The disk is full. Free some space; what was there before is intact.",
  };
  if (code !== undefined && known[code] !== undefined) return { code, message: `${message}. ${known[code]}` };
  if (code !== undefined && syscall !== undefined) return { code, message };
  return { code: "UNEXPECTED", message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

/**
 * What happens when nobody reads on (`cloze info | head`), or standard output is a full disk: the first ends the process
 * quietly, the second is an error. A closed standard error only silences the progress.
 */
export function watchOutput(): void {
  process.stderr.on("error", () => {});
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    process.exit(reportError(error, false));
  });
}

/** Prints an error and returns the exit status: 2 for wrong usage, 0 after --help, else 1. */
export function reportError(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) {
    // Commander has already printed its message.
    if (error.exitCode === 0) return 0;
    const message = error.message.replace(/^error: /, "");
    if (json) process.stdout.write(`${JSON.stringify({ error: { code: "USAGE", message } })}\n`);
    return 2;
  }
  const { code, message } = explain(error);
  process.stderr.write(`error [${code}]: ${message}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  return 1;
}
