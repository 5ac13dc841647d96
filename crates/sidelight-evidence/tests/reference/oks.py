"""Object keypoint similarity of 200 objects, as pycocotools has it.

Writes oks.json beside this file: `truth` has null for a point that is not labelled; `oks` is of each object, `ar` the average
recall over thresholds .5 to .95, `ap` the average precision where objects are as sure as `sure` says.
Run: python oks.py  (pycocotools 2.0, NumPy)
"""

import json
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

random = np.random.default_rng(7)
SIGMAS = np.array([0.026, 0.05, 0.079, 0.107, 0.03])
K = len(SIGMAS)
truths, predictions, areas = [], [], []
for i in range(200):
    side = random.uniform(20, 300)
    # Single precision, in which tables of points are read.
    truth = random.uniform(0, side, (K, 2)).astype(np.float32)
    spread = side * random.choice([0.005, 0.02, 0.06])
    predictions.append((truth + random.normal(0, spread, (K, 2))).astype(np.float32))
    labelled = random.random(K) < 0.8
    labelled[random.integers(K)] = True
    truths.append([xy.tolist() if is_labelled else None for xy, is_labelled in zip(truth, labelled)])
    areas.append(float(np.float32(side * side * random.uniform(0.2, 0.7))))

# Half of them know how well they do.
sure = [float(np.float32(random.uniform(0.05, 1) if i % 2 else np.clip(1 - 8 * np.abs(p - np.array([xy or [0, 0] for xy in t])).mean() / a**0.5, 0.05, 1)))
        for i, (p, t, a) in enumerate(zip(predictions, truths, areas))]
images = [{"id": i + 1, "width": 400, "height": 400} for i in range(200)]
annotations, results = [], []
for i, (truth, predicted, area) in enumerate(zip(truths, predictions, areas)):
    flat = [number for xy in truth for number in ((*xy, 2) if xy else (0, 0, 0))]
    known = np.array([xy for xy in truth if xy])
    low, size = known.min(0), np.maximum(np.ptp(known, 0), 1)
    annotations.append({"id": i + 1, "image_id": i + 1, "category_id": 1, "keypoints": flat, "num_keypoints": len(known),
                        "area": area, "bbox": [*low.tolist(), *size.tolist()], "iscrowd": 0})
    found = [number for xy in predicted.tolist() for number in (*xy, 1)]
    results.append({"image_id": i + 1, "category_id": 1, "keypoints": found, "score": sure[i]})
coco = COCO()
coco.dataset = {"images": images, "annotations": annotations,
                "categories": [{"id": 1, "name": "thing", "keypoints": [f"p{k}" for k in range(K)], "skeleton": []}]}
coco.createIndex()
evaluation = COCOeval(coco, coco.loadRes(results), "keypoints")
evaluation.params.kpt_oks_sigmas = SIGMAS
evaluation.evaluate()
evaluation.accumulate()
evaluation.summarize()
oks = [float(evaluation.ious[i + 1, 1][0, 0]) for i in range(200)]
with open(Path(__file__).parent / "oks.json", "w") as file:
    json.dump({"sigmas": SIGMAS.tolist(), "truth": truths, "predicted": [p.tolist() for p in predictions], "area": areas,
               "sure": sure, "oks": oks, "ar": float(evaluation.stats[5]), "ap": float(evaluation.stats[0])}, file)
