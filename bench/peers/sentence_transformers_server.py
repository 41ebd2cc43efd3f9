"""sentence-transformers as a server of JSON lines on standard input and output (standard error is free).

  {"cmd":"prepare","kind":"embedding","folder":FOLDER,"texts":FILE,"out":"PREFIX"}   encode, batches of 32
  {"cmd":"prepare","kind":"training","folder":FOLDER,"pairs":FILE,"batch":64,"length":128}   a step of its trainer, MNR
  {"cmd":"run","repeat":1} -> {"ok":true,"milliseconds":[…]}

`--memory FILE` trains a few steps of that JSON file with its trainer and prints the peak memory.
"""
import json, os, resource, sys, tempfile, time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
real = os.dup(1)
os.dup2(2, 1)  # Libraries print to standard output; it belongs to the protocol.

import numpy as np
import torch

threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
torch.set_num_threads(threads)
import sentence_transformers
from sentence_transformers import SentenceTransformer

work = None


def train(folder, pairs, batch, length, steps):
    """The seconds of each step of SentenceTransformerTrainer, the first ones left out."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from transformers import TrainerCallback

    model = SentenceTransformer(folder, device="cpu")
    model.max_seq_length = length
    rows = [pairs[i % len(pairs)] for i in range(batch * (steps + 2))]
    data = Dataset.from_dict({"anchor": [a for a, _ in rows], "positive": [b for _, b in rows]})
    times = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.start = time.perf_counter()

        def on_step_end(self, *_, **__):
            times.append(time.perf_counter() - self.start)

    with tempfile.TemporaryDirectory() as out:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=out, max_steps=steps + 2, per_device_train_batch_size=batch, learning_rate=2e-5, report_to=[], save_strategy="no",
            logging_strategy="no", disable_tqdm=True, use_cpu=True, dataloader_num_workers=0,
        )
        SentenceTransformerTrainer(model=model, args=arguments, train_dataset=data, loss=MultipleNegativesRankingLoss(model), callbacks=[Clock()]).train()
    return times[2:]


def prepare(request):
    global work
    version = f"sentence-transformers {sentence_transformers.__version__}, torch {torch.__version__}, {threads} threads"
    if request["kind"] == "training":
        with open(request["pairs"]) as file:
            pairs = json.load(file)
        work = lambda repeat: [1000 * t for t in train(request["folder"], pairs, request["batch"], request["length"], repeat)]
        return {"version": version}
    model = SentenceTransformer(request["folder"], device="cpu")
    with open(request["texts"]) as file:
        texts = json.load(file)
    path = f"{request['out']}.0.f32"
    model.encode(texts[:64]).astype(np.float32).tofile(path)

    def encode(repeat):
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            model.encode(texts, batch_size=32)
            times.append(1000 * (time.perf_counter() - start))
        return times

    work = encode
    return {"version": version, "outputs": [path]}


if "--memory" in sys.argv:
    with open(sys.argv[-1]) as file:
        job = json.load(file)
    libraries = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    train(job["folder"], job["pairs"], job["batch"], job["length"], job["steps"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    os.write(real, (json.dumps({"peakBytes": peak, "librariesBytes": libraries}) + "\n").encode())
    sys.exit()

for line in sys.stdin:
    try:
        request = json.loads(line)
        command = request["cmd"]
        answer = prepare(request) if command == "prepare" else {"milliseconds": work(request["repeat"])} if command == "run" else {}
        reply = {"ok": True, **answer}
    except Exception as error:
        reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    os.write(real, (json.dumps(reply) + "\n").encode())
