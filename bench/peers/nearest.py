"""Exact search by numpy or faiss, for bench/suites/retrieval.ts. One JSON object a line in, one out.
  {"cmd":"prepare","with":"numpy"|"faiss","rows":FILE,"queries":FILE,"width":384,"k":10,"out":FILE}
  {"cmd":"run","repeat":3}  -> {"ok":true,"milliseconds":[...]}
"""
import json
import os
import sys
import time

import numpy as np


def numpy_search(rows, queries, k):
    def search():
        best = []
        # A block at a time, as one must where all scores do not fit in the cache.
        for start in range(0, len(rows), 65536):
            scores = queries @ rows[start : start + 65536].T
            top = np.argpartition(-scores, min(k, scores.shape[1]) - 1, axis=1)[:, :k]
            best.append((np.take_along_axis(scores, top, 1), top + start))
        scores = np.concatenate([one for one, _ in best], 1)
        ids = np.concatenate([one for _, one in best], 1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(ids, order, 1)

    return search, np.__version__


def faiss_search(rows, queries, k):
    import faiss

    faiss.omp_set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return (lambda: index.search(queries, k)[1]), faiss.__version__


work = None
for line in sys.stdin:
    request = json.loads(line)
    try:
        if request["cmd"] == "prepare":
            width = request["width"]
            rows, queries = (np.fromfile(request[name], np.float32).reshape(-1, width) for name in ("rows", "queries"))
            make = numpy_search if request["with"] == "numpy" else faiss_search
            work, version = make(rows, queries, request["k"])
            work().astype(np.float32).tofile(request["out"])
            reply = {"ok": True, "version": version}
        else:
            milliseconds = []
            for _ in range(request["repeat"]):
                start = time.perf_counter()
                work()
                milliseconds.append((time.perf_counter() - start) * 1000)
            reply = {"ok": True, "milliseconds": milliseconds}
    except Exception as error:  # noqa: BLE001
        reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
