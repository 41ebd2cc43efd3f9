// `npm run --silent parity -- FOLDER [--json]`: how far Cloze lies from what PyTorch, transformers and scikit-learn computed.
import { parseArgs } from "node:util";
import type { Check } from "./check.js";
import { checkFolder } from "./folder.js";

const usage = "Usage: npm run --silent parity -- FOLDER [--json]";

const line = ({ case: name, ok, difference, tolerance, note }: Check): string => {
  const mark = ok ? "ok  " : "FAIL";
  const measured = tolerance === undefined ? "" : ` ${(difference ?? 0).toExponential(1)} (at most ${tolerance})`;
  const about = note === undefined || note === "" || (ok && tolerance !== undefined) ? "" : `: ${note}`;
  return `${mark} ${name}${measured}${about}`;
};

async function main(): Promise<number> {
  let folder: string | undefined;
  let json = false;
  try {
    const { values, positionals } = parseArgs({
      options: { json: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
      allowPositionals: true,
    });
    if (values.help) {
      console.log(usage);
      return 0;
    }
    json = values.json;
    folder = positionals.length === 1 ? positionals[0] : undefined;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
  }
  if (folder === undefined) {
    console.error(usage);
    return 2;
  }
  try {
    const checks = await checkFolder(folder, (check) => {
      if (!json) console.log(line(check));
    });
    const failed = checks.filter(({ ok }) => !ok).length;
    if (json) console.log(JSON.stringify({ passed: checks.length - failed, failed, checks }, null, 2));
    else console.log(`${checks.length - failed} of ${checks.length} within tolerance`);
    return failed === 0 ? 0 : 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  }
}

process.exitCode = await main();
