// Writing is whole or not at all.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { tensor } from "../tensor.js";
import { writeFileAtomic, writeFileAtomicAsync } from "./atomic.js";
import { writeSafetensors } from "./safetensors.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-atomic-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const temporary = () => readdirSync(folder).filter((name) => name.endsWith(".tmp"));

it("a source that fails midway leaves the old file and no other", async () => {
  const path = join(folder, "old.bin");
  writeFileAtomic(path, "old");
  function* failing() {
    yield Buffer.from("new");
    throw new Error("midway");
  }
  expect(() => writeFileAtomic(path, failing())).toThrow("midway");
  await expect(
    writeFileAtomicAsync(
      path,
      (async function* () {
        yield* failing();
      })(),
    ),
  ).rejects.toThrow("midway");
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(temporary()).toEqual([]);
});

it("tensors that were freed, names twice, folders that are not there", () => {
  const path = join(folder, "kept.safetensors");
  writeSafetensors(path, [["a", tensor([1])]]);
  const before = readFileSync(path);
  const freed = tensor([1]);
  freed.dispose();
  const one = tensor([1]);
  const code = (value: string) => expect.objectContaining({ code: value });
  expect(() => writeSafetensors(path, [["a", freed]])).toThrow(code("TENSOR_DISPOSED"));
  for (const names of [["a", "a"], ["__metadata__"], ["\ud800"]]) {
    expect(() =>
      writeSafetensors(
        path,
        names.map((name) => [name, one] as const),
      ),
    ).toThrow(code("SAFETENSORS_DUPLICATE_NAME"));
  }
  expect(readFileSync(path)).toEqual(before);
  expect(() => writeSafetensors(join(folder, "no", "a.safetensors"), [["a", one]])).toThrow(code("FILE_WRITE"));
  expect(() => writeSafetensors(folder, [["a", one]])).toThrow(code("FILE_WRITE"));
  expect(temporary()).toEqual([]);
});
