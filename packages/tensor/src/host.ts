// What Node and a browser have in different places. Modules of Node are asked for at run time, so that a browser can load
// every file that does.

interface Host {
  readonly process?: NodeJS.Process;
}
const { process: node } = globalThis as Host;

/** One of Node's own modules, or undefined in a browser. */
export const nodeModule: NodeJS.Process["getBuiltinModule"] = ((id: string) =>
  node?.getBuiltinModule?.(id)) as NodeJS.Process["getBuiltinModule"];

/** A variable of the environment; a browser has none. */
export const environmentVariable = (name: string): string | undefined => node?.env[name];

/** A line for developers: a warning of the process (which can be filtered by its code), or of the browser's console. */
export function warn(message: string, { code, detail }: { code: string; detail?: string }): void {
  if (node?.emitWarning !== undefined) node.emitWarning(message, { code, detail });
  else console.warn(`[${code}] ${message}`);
}

/** Writes a line of debugging output. */
export function debug(line: string): void {
  if (node?.stderr !== undefined) node.stderr.write(`${line}\n`);
  else console.debug(line);
}

/** "linux-x64", or "browser". */
export const platform: string = node?.platform === undefined ? "browser" : `${node.platform}-${node.arch}`;
