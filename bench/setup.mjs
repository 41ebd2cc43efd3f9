// `npm run bench:setup`: installs every peer that the benchmarks compare with, into .peers/ (ignored by git).
// Running it again does only what is missing. Needs Python 3.10 or newer and a C++ compiler.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const peers = join(root, ".peers");
const python = join(peers, "py", "bin", "python");
const problems = [];

// OPENBLAS_* may hold a slow kernel for the sake of other programs; a fair peer picks its own.
const environment = { ...process.env, ONNXRUNTIME_NODE_INSTALL_CUDA: "skip" };
delete environment.OPENBLAS_CORETYPE;
delete environment.OPENBLAS_L2_SIZE;

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, env: environment, stdio: ["ignore", 2, 2], ...options });
  return result.error === undefined && result.status === 0;
}
const quiet = (command, args) => run(command, args, { stdio: "ignore" });

function step(name, done, work, remedy) {
  if (done()) return console.error(`✓ ${name}`);
  console.error(`… ${name}`);
  if (work() && done()) return console.error(`✓ ${name}`);
  problems.push(`${name}: ${remedy}`);
  console.error(`✗ ${name}: ${remedy}`);
}

mkdirSync(join(peers, "bin"), { recursive: true });
mkdirSync(join(peers, "cache"), { recursive: true });

// PyPI's torch for Linux x64 links against NVIDIA's libraries, so they come along (about 6 GB); its CPU kernels are the same.
const pythonPackages = [
  "torch",
  "transformers",
  "onnx",
  "onnxruntime",
  "onnxscript",
  "tokenizers",
  "safetensors",
  "numpy",
  "faiss-cpu",
];
step(
  "Python: torch, transformers, onnx, onnxruntime, tokenizers",
  () =>
    existsSync(python) &&
    quiet(python, ["-c", `import ${pythonPackages.map((name) => name.replace("-cpu", "")).join(", ")}`]),
  () =>
    (existsSync(python) || run("python3", ["-m", "venv", join(peers, "py")])) &&
    run(python, ["-m", "pip", "install", "--no-input", "-q", ...pythonPackages]),
  "see pip's lines above; on Debian `apt-get install python3-venv` may be missing",
);

// What sentence-transformers' trainer stands on comes along.
const embedderPackages = ["sentence_transformers", "datasets", "accelerate"];
const pipNames = embedderPackages.map((name) => name.replace("_", "-"));
step(
  "Python: sentence-transformers, datasets, accelerate",
  () => quiet(python, ["-c", `import ${embedderPackages.join(", ")}`]),
  () => run(python, ["-m", "pip", "install", "--no-input", "-q", ...pipNames]),
  "see pip's lines above",
);

const nodePackages = [
  "onnxruntime-node",
  "onnxruntime-web",
  "usearch@2.25.3",
  "@huggingface/tokenizers",
  "@huggingface/transformers",
  "tokenizers",
  "fastembed",
];
const nodeFolder = join(peers, "node");
step(
  "Node: onnxruntime-node, onnxruntime-web, @huggingface/tokenizers, @huggingface/transformers, tokenizers, fastembed, usearch",
  () =>
    nodePackages.every((name) =>
      existsSync(join(nodeFolder, "node_modules", name.replace(/@[\d.]+$/, ""), "package.json")),
    ),
  () => {
    mkdirSync(nodeFolder, { recursive: true });
    const manifest = join(nodeFolder, "package.json");
    if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n');
    const args = ["install", "--no-audit", "--no-fund", "--no-workspaces", "--loglevel=error", ...nodePackages];
    return run("npm", args, { cwd: nodeFolder, shell: process.platform === "win32" });
  },
  "see npm's lines above",
);

const debianMultiarch = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[process.arch] ?? "";
const haveOpenblas = () =>
  ["/usr/lib", "/usr/local/lib", `/usr/lib/${debianMultiarch}`].some((folder) =>
    existsSync(join(folder, "libopenblas.so")),
  );
step(
  "OpenBLAS",
  haveOpenblas,
  () =>
    process.getuid?.() === 0 &&
    quiet("apt-get", ["update", "-qq"]) &&
    run("apt-get", ["install", "-y", "-qq", "libopenblas-dev"]),
  "run `sudo apt-get install libopenblas-dev`, then this command again",
);

function compile(name, ...libraries) {
  const source = join(root, "bench", "peers", `${name}.cpp`);
  const target = join(peers, "bin", name);
  step(
    `bench/peers/${name}.cpp`,
    () => existsSync(target) && statSync(target).mtimeMs >= statSync(source).mtimeMs,
    () => run(process.env.CXX ?? "g++", ["-O3", "-std=c++20", "-pthread", source, "-o", target, ...libraries]),
    "install a C++20 compiler (Debian: `apt-get install g++`)",
  );
}
compile("peak");
if (haveOpenblas()) compile("openblas", "-lopenblas");

// The random models of the suites, as Hugging Face folders and as ONNX.
const models = JSON.parse(readFileSync(join(root, "bench", "models.json"), "utf8"));
const isOfShape = (file, shape) => {
  const config = JSON.parse(readFileSync(file, "utf8"));
  return Object.entries(shape).every(([field, value]) => config[field] === value);
};
for (const name of Object.keys(models)) {
  const folder = join(peers, "cache", name);
  step(
    `model ${name}`,
    () =>
      ["config.json", "model.safetensors", "model.onnx"].every((file) => existsSync(join(folder, file))) &&
      isOfShape(join(folder, "config.json"), models[name]),
    () => run(python, [join(root, "bench", "peers", "pytorch.py"), "--models", name]),
    "see Python's lines above",
  );
}
for (const name of Object.keys(models)) {
  const folder = join(peers, "cache", name);
  // What onnxruntime's own tool makes of the model: 8-bit weights by channel, activations by tensor, found at each run.
  const program =
    "import sys; from onnxruntime.quantization import quantize_dynamic, QuantType; " +
    "quantize_dynamic(sys.argv[1], sys.argv[2], weight_type=QuantType.QInt8, per_channel=True)";
  step(
    `model ${name} in 8 bits`,
    () =>
      existsSync(join(folder, "model_int8.onnx")) &&
      statSync(join(folder, "model_int8.onnx")).mtimeMs >= statSync(join(folder, "model.onnx")).mtimeMs,
    () => run(python, ["-c", program, join(folder, "model.onnx"), join(folder, "model_int8.onnx")]),
    "see Python's lines above",
  );
}
step(
  "tokenizer",
  () => existsSync(join(peers, "cache", "tokenizer", "tokenizer.json")),
  () => run(python, [join(root, "bench", "peers", "tokenizers_server.py"), "--train"]),
  "see Python's lines above",
);

if (problems.length > 0) {
  console.error(`\nNot installed:\n${problems.map((line) => `  ${line}`).join("\n")}`);
  process.exit(1);
}
console.error("Every peer is installed. Next: npm run --silent bench -- gemm");
