"""PyTorch and transformers as a server of JSON lines on standard input and output (standard error is free).

  {"cmd":"prepare","kind":"op","op":"attention","backward":true,"inputs":["FILE",…],"shapes":[[…],…],"out":"PREFIX"}
  {"cmd":"prepare","kind":"encoder","model":"bert-base","ids":[[…],…],"out":"PREFIX"}        ragged ids; padded here
  {"cmd":"prepare","kind":"training","model":"bert-base","ids":[[…],…],"labels":[[…],…],"head":"all"|"masked"}
  {"cmd":"prepare","kind":"electra","ids":[[…],…],"head":"all"|"masked","share":0.15,"layers":12,…}
  {"cmd":"prepare","kind":"generation","folder":"FOLDER","ids":[[…]],"newTokens":128,"beams":1}   -> "ids": what was added
  {"cmd":"run","repeat":3}  -> {"ok":true,"milliseconds":[…]}
  {"cmd":"close"}           frees what was prepared

`--models NAME` makes the random models; `--memory FILE` runs the training step of that JSON file and prints its peak memory.
"""
import json, os, sys, time

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(here))
cache = os.path.join(root, ".peers", "cache")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import torch
import torch.nn.functional as F

threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
torch.set_num_threads(threads)


def make_model(name):
    """A random BertForMaskedLM as a Hugging Face folder, and its encoder as ONNX."""
    from transformers import BertConfig, BertForMaskedLM, BertModel

    with open(os.path.join(root, "bench", "models.json")) as file:
        config = BertConfig(**json.load(file)[name])
    folder = os.path.join(cache, name)
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(20)
    model = BertForMaskedLM(config).eval()
    model.save_pretrained(folder)

    encoder = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").eval()

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids, attention_mask):
            return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    ids = torch.randint(5, 1000, (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    axes = {"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "length"}, "hidden": {0: "batch", 1: "length"}}
    target = os.path.join(folder, "model.onnx")
    names = dict(input_names=["input_ids", "attention_mask"], output_names=["hidden"])
    with torch.no_grad():
        try:
            torch.onnx.export(Hidden().eval(), (ids, mask), target, opset_version=17, dynamic_axes=axes, dynamo=False, **names)
        except Exception as error:
            print(f"The TorchScript exporter failed ({error}); using the dynamo exporter.", file=sys.stderr)
            dim = torch.export.Dim
            dynamic = ({0: dim("batch"), 1: dim("length")},) * 2
            torch.onnx.export(
                Hidden().eval(), (ids, mask), target, opset_version=18, dynamic_shapes=dynamic, dynamo=True, external_data=False, **names
            )


def pad(rows, value=0):
    width = max(len(row) for row in rows)
    return torch.tensor([row + [value] * (width - len(row)) for row in rows], dtype=torch.long)


def write(prefix, tensors):
    paths = []
    for i, tensor in enumerate(tensors):
        path = f"{prefix}.{i}.f32"
        tensor.detach().to(torch.float32).contiguous().numpy().tofile(path)
        paths.append(path)
    return paths


def prepare_op(request):
    inputs = [
        torch.from_numpy(np.fromfile(path, dtype=np.float32)).reshape(shape)
        for path, shape in zip(request["inputs"], request["shapes"])
    ]
    op, backward = request["op"], request["backward"]
    # With a backward pass the last input is the gradient of the output.
    gradient = inputs.pop() if backward else None
    functions = {
        "layer-norm": lambda x, weight, bias: F.layer_norm(x, (x.shape[-1],), weight, bias, 1e-12),
        "gelu": lambda x: F.gelu(x),
        "softmax": lambda x: torch.softmax(x, -1),
        "attention": lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
    }
    function = functions[op]
    if not backward:

        def step():
            with torch.inference_mode():
                return [function(*inputs)]
    else:
        for x in inputs:
            x.requires_grad_()

        def step():
            for x in inputs:
                x.grad = None
            y = function(*inputs)
            y.backward(gradient)
            return [y] + [x.grad for x in inputs]

    return step, {"outputs": write(request["out"], step())}


def prepare_encoder(request):
    from transformers import BertModel

    model = BertModel.from_pretrained(
        os.path.join(cache, request["model"]), add_pooling_layer=False, attn_implementation="sdpa", dtype=torch.float32
    ).eval()
    rows = request["ids"]
    ids = pad(rows)
    mask = pad([[1] * len(row) for row in rows])

    def step():
        with torch.inference_mode():
            return model(input_ids=ids, attention_mask=mask).last_hidden_state

    hidden = step()
    packed = torch.cat([hidden[i, : len(row)] for i, row in enumerate(rows)])
    return step, {"outputs": write(request["out"], [packed])}


def prepare_training(request):
    from transformers import BertForMaskedLM

    torch.manual_seed(1)
    model = BertForMaskedLM.from_pretrained(os.path.join(cache, request["model"]), dtype=torch.float32)
    ids, labels = torch.tensor(request["ids"]), torch.tensor(request["labels"])
    mask = torch.ones_like(ids)
    masked = labels != -100
    targets = labels[masked]

    def loss_of():
        if request["head"] == "all":
            return model(input_ids=ids, attention_mask=mask, labels=labels).loss
        hidden = model.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        return F.cross_entropy(model.cls(hidden[masked]), targets)

    reply = {}
    if not request.get("memory"):
        model.eval()
        with torch.no_grad():
            reply["loss"] = loss_of().item()
    model.train()
    return training_step(list(model.parameters()), loss_of, request.get("fused", False)), reply


def training_step(parameters, loss_of, fused=False):
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01, **({"fused": True} if fused else {}))

    def step():
        loss = loss_of()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def prepare_electra(request):
    """ELECTRA's two towers with shared embeddings, as transformers has them; `head`: the generator's, on which tokens."""
    from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

    torch.manual_seed(1)
    hidden, heads, share = request["hiddenSize"], request["heads"], request["generatorWidth"]
    common = dict(embedding_size=request["embeddingSize"], num_hidden_layers=request["layers"])
    detector = ElectraForPreTraining(
        ElectraConfig(hidden_size=hidden, num_attention_heads=heads, intermediate_size=4 * hidden, **common)
    )
    width = int(hidden * share)
    generator = ElectraForMaskedLM(
        ElectraConfig(hidden_size=width, num_attention_heads=int(heads * share), intermediate_size=4 * width, **common)
    )
    generator.electra.embeddings = detector.electra.embeddings
    generator.generator_lm_head.weight = detector.electra.embeddings.word_embeddings.weight
    parameters = list({id(p): p for model in (generator, detector) for p in model.parameters()}.values())
    ids = torch.tensor(request["ids"])
    attention_mask = torch.ones_like(ids)
    count = round(ids.numel() * request["share"])

    def loss_of():
        chosen = torch.zeros(ids.numel(), dtype=torch.bool)
        chosen[torch.randperm(ids.numel())[:count]] = True
        chosen = chosen.view_as(ids)
        masked = ids.masked_fill(chosen, 103)
        if request["head"] == "all":
            logits = generator(input_ids=masked, attention_mask=attention_mask).logits[chosen]
        else:
            found = generator.electra(input_ids=masked, attention_mask=attention_mask).last_hidden_state[chosen]
            logits = generator.generator_lm_head(generator.generator_predictions(found))
        guessing = F.cross_entropy(logits, ids[chosen])
        with torch.no_grad():
            drawn = (logits - torch.empty_like(logits).exponential_().log()).argmax(-1)
        replaced = ids.clone()
        replaced[chosen] = drawn
        labels = (replaced != ids).long()
        return guessing + 50 * detector(input_ids=replaced, attention_mask=attention_mask, labels=labels).loss

    generator.train()
    detector.train()
    step = training_step(parameters, loss_of)
    return step, {"loss": step()}


def prepare_generation(request):
    """A GPT-2 folder goes on with a text: the likeliest tokens, or beams. No token ends it."""
    from transformers import GenerationConfig, GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(request["folder"]).eval()
    ids = torch.tensor(request["ids"], dtype=torch.long)
    count, beams = request["newTokens"], request["beams"]
    how = GenerationConfig(max_new_tokens=count, do_sample=False, num_beams=beams, eos_token_id=None, pad_token_id=0)

    def step():
        with torch.no_grad():
            made = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=how)
        return made[0, ids.shape[1] :].tolist()

    return step, {"ids": step()}


prepare = {"op": prepare_op, "encoder": prepare_encoder, "training": prepare_training, "electra": prepare_electra, "generation": prepare_generation}


def peak_memory():
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def serve():
    # Libraries may print: only replies go to the real standard output.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    step = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            reply = {}
            if request["cmd"] == "prepare":
                step = None
                step, reply = prepare[request["kind"]](request)
                reply["version"] = f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
            elif request["cmd"] == "run":
                times = []
                for _ in range(request["repeat"]):
                    start = time.perf_counter()
                    step()
                    times.append((time.perf_counter() - start) * 1e3)
                reply["milliseconds"] = times
            elif request["cmd"] == "close":
                step = None
            else:
                raise ValueError(f"unknown command {request['cmd']}")
            reply["ok"] = True
        except Exception as error:
            reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--models"]:
        for name in sys.argv[2:]:
            make_model(name)
    elif sys.argv[1:2] == ["--memory"]:
        with open(sys.argv[2]) as file:
            request = {**json.load(file), "memory": True}
        import transformers.models.bert.modeling_bert  # noqa: F401

        libraries = peak_memory()
        step, _ = prepare_training(request)
        for _ in range(request["steps"]):
            step()
        print(json.dumps({"peakBytes": peak_memory(), "librariesBytes": libraries}))
    else:
        serve()
