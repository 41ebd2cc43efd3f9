// What Cloze saves, read by transformers itself: only where a Python with it is installed (npm run bench:setup).
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadModel, saveModel } from "../families/index.js";

const fixtures = fileURLToPath(new URL("../../test/fixtures/families/", import.meta.url));
const python = fileURLToPath(new URL("../../../../.peers/py/bin/python", import.meta.url));

/** Loads each folder with the class that its config names; prints what was missing, unexpected, or other than in the cases. */
const program = `
import json, sys, torch, transformers
from safetensors.torch import load_file
for line in sys.stdin:
    folder, cases, case = line.rstrip("\\n").split("\\t")
    name = json.load(open(folder + "/config.json"))["architectures"][0]
    model, info = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    model.eval()
    data = load_file(cases)
    inputs = {k[len(case) + 7:]: v.long() if v.dtype == torch.int32 else v for k, v in data.items() if k.startswith(case + ".input.")}
    out = model(**inputs)
    def difference(k):
        d = (out[k] - data[f"{case}.output.{k}"]).abs()
        mask = inputs.get("attention_mask")
        return float((d[mask.bool()] if mask is not None and d.shape[:2] == mask.shape else d).max())
    worst = max([difference(k) for k in out.keys() if f"{case}.output.{k}" in data and torch.is_tensor(out[k])], default=-1)
    print(json.dumps({"folder": folder, "missing": sorted(info["missing_keys"]), "unexpected": sorted(info["unexpected_keys"]), "worst": worst}))
`;

test.skipIf(!existsSync(python))(
  "transformers reads every class of every model type as Cloze saved it",
  () => {
    const at = mkdtempSync(join(tmpdir(), "cloze-transformers-"));
    try {
      const lines: string[] = [];
      for (const type of readdirSync(fixtures, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
        const folder = join(fixtures, type.name);
        for (const { name } of readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
          const model = loadModel(join(folder, name));
          const again = join(at, `${type.name}-${name}`);
          saveModel(model, again);
          model.dispose();
          lines.push([again, join(folder, "cases.safetensors"), name].join("\t"));
        }
      }
      const { stdout, stderr, status } = spawnSync(python, ["-c", program], {
        input: lines.join("\n"),
        encoding: "utf8",
      });
      expect(status, stderr).toBe(0);
      const results = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { folder: string; missing: string[]; unexpected: string[]; worst: number });
      expect(results).toHaveLength(lines.length);
      for (const { folder, missing, unexpected, worst } of results) {
        expect({ folder, missing, unexpected }).toEqual({ folder, missing: [], unexpected: [] });
        expect(worst, folder).toBeLessThan(1e-4);
        expect(worst, folder).toBeGreaterThanOrEqual(0);
      }
    } finally {
      rmSync(at, { recursive: true, force: true });
    }
  },
  240_000,
);
