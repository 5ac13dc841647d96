#!/usr/bin/env python3
"""The same data, split, weights, size and epochs in fastai + PyTorch: image + metadata in one model, by hand.

    python bench/peer_fastai.py RUN [--epochs N] [--freeze-epochs N|same] [--arm image|metadata|both]

RUN is a finished Sidelight run: its config.toml says what to read, its predictions.csv which rows are held out.
The network is torchvision's MobileNetV2 cut at the pooling, fastai's AdaptiveConcatPool2d, metadata
(standardised numbers with fastai's FillMissing flags, fastai-sized embeddings of categories) concatenated to the
pooled features, then fastai's own head; `fine_tune` with fastai's defaults; `--freeze-epochs same` gives its new layers as many epochs as ours had.
Prints one JSON line with the metrics under Sidelight's names.
"""
import argparse, csv, json, pathlib, random, time, tomllib
import numpy as np, pandas as pd, torch, torchvision
from fastai.basics import Learner, DataLoaders, params
from fastai.layers import AdaptiveConcatPool2d, Flatten, LinBnDrop
from fastai.callback.all import *  # fine_tune
from PIL import Image
from torch import nn
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, r2_score

MEAN, SD = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]


class Rows(torch.utils.data.Dataset):
    """One row: (image, numbers, codes), target; images decoded once and kept as bytes, flipped at random in training."""
    def __init__(self, images, numbers, codes, targets, training):
        self.images, self.numbers, self.codes, self.targets, self.training = images, numbers, codes, targets, training
    def __len__(self): return len(self.images)
    def __getitem__(self, i):
        x = torch.from_numpy(self.images[i]).permute(2, 0, 1).float() / 255
        if self.training and random.random() < 0.5: x = x.flip(2)
        return (x - MEAN) / SD, self.numbers[i], self.codes[i], self.targets[i]


class Joined(nn.Module):
    def __init__(self, body, sizes, n_numbers, n_out, arm):
        super().__init__()
        self.body, self.arm = body, arm
        self.pool = nn.Sequential(AdaptiveConcatPool2d(), Flatten())
        self.embed = nn.ModuleList([nn.Embedding(n, min(600, round(1.6 * n**0.56))) for n in sizes])
        self.norm = nn.BatchNorm1d(n_numbers)
        d_meta = n_numbers + sum(e.embedding_dim for e in self.embed)
        d = (2560 if arm != "metadata" else 0) + (d_meta if arm != "image" else 0)
        self.head = nn.Sequential(*LinBnDrop(d, 512, p=0.25, act=nn.ReLU(inplace=True)), *LinBnDrop(512, n_out, p=0.5))
    def forward(self, x, numbers, codes):
        parts = [] if self.arm == "metadata" else [self.pool(self.body(x))]
        if self.arm != "image": parts += [self.norm(numbers)] + [e(codes[:, i]) for i, e in enumerate(self.embed)]
        return self.head(torch.cat(parts, 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run"); parser.add_argument("--epochs", type=int); parser.add_argument("--arm")
    parser.add_argument("--freeze-epochs", default="1")
    args = parser.parse_args()
    run = pathlib.Path(args.run)
    config = tomllib.loads((run / "config.toml").read_text())
    table = pathlib.Path(config["data"]["table"])
    if not table.is_absolute(): table = run / table
    data = pd.read_csv(table)
    with open(run / "predictions.csv") as f:
        valid = {int(r["row"]) - 1 for r in csv.DictReader(f)}
    seed, size, batch = config["train"].get("seed", 0), config["train"]["size"], config["train"].get("batch", 32)
    epochs, arm = args.epochs or config["train"]["epochs"], args.arm or config["model"]["arm"]
    planned = next(e for e in map(json.loads, open(run / "log.jsonl")) if "epochs" in e)["epochs"]
    frozen = planned - config["train"]["epochs"] if args.freeze_epochs == "same" else int(args.freeze_epochs)
    random.seed(seed); np.random.seed(seed); torch.manual_seed(seed)
    started = time.time()
    held = np.array([i in valid for i in range(len(data))])
    numbers, codes, sizes = [], [], []
    for name, entry in config["metadata"].items():
        kind = entry if isinstance(entry, str) else entry["kind"]
        column, known = data[name], data[name][~held]
        if kind == "continuous":
            median = known.median(); filled = column.fillna(median)
            numbers.append((filled - known.fillna(median).mean()) / (known.fillna(median).std() + 1e-9))
            if known.isna().any(): numbers.append(column.isna().astype(float))
        else:
            names = {v: i + 1 for i, v in enumerate(sorted({str(v) for v in known.dropna()}))}
            codes.append(column.map(lambda v: names.get(str(v), 0) if pd.notna(v) else 0)); sizes.append(len(names) + 1)
    numbers = torch.tensor(np.stack([np.asarray(n, float) for n in numbers], 1) if numbers else np.zeros((len(data), 1)), dtype=torch.float32)
    codes = torch.tensor(np.stack([np.asarray(c, int) for c in codes], 1) if codes else np.zeros((len(data), 1), int))
    target, kind = data[config["target"]["column"]], config["target"]["kind"]
    if kind in ("regression", "value"):
        y = np.log(target.to_numpy(float)); mean, sd = y[~held].mean(), y[~held].std()
        targets, n_out, loss = torch.tensor((y - mean) / sd, dtype=torch.float32)[:, None], 1, nn.MSELoss()
    else:
        labels, names = pd.factorize(target.astype(str), sort=True)
        targets, n_out, loss = torch.tensor(labels), len(names), nn.CrossEntropyLoss()
    images = [np.array(Image.open(table.parent / f).convert("RGB").resize((size, size), Image.BILINEAR)) for f in data[config["data"]["image"]]]
    def rows(mask, training):
        index = np.flatnonzero(mask)
        return Rows([images[i] for i in index], numbers[index], codes[index], targets[index], training)
    train_rows, valid_rows = rows(~held, True), rows(held, False)
    dls = DataLoaders(torch.utils.data.DataLoader(train_rows, batch, shuffle=True, drop_last=True), torch.utils.data.DataLoader(valid_rows, batch))
    dls.n_inp = 3
    net = torchvision.models.mobilenet_v2()
    net.load_state_dict(torch.load(config["model"]["weights"], weights_only=True))
    model = Joined(net.features, sizes if codes.shape[1] == len(sizes) else [1], numbers.shape[1], n_out, arm)
    def splitter(m): return [params(m.body), params(m.head) + params(m.embed) + params(m.norm)]
    learn = Learner(dls, model, loss_func=loss, splitter=splitter)
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(epochs, freeze_epochs=frozen)
    model.eval()
    with torch.no_grad():
        out = torch.cat([model(*(t for t in b[:3])) for b in dls.valid])
    if kind in ("regression", "value"):
        predicted, true = np.exp(out[:, 0].numpy() * sd + mean), target.to_numpy(float)[held]
        metrics = {"mae": mean_absolute_error(true, predicted), "rmse": float(np.sqrt(((true - predicted) ** 2).mean())), "r2": r2_score(true, predicted)}
    else:
        p, true = out.softmax(1).double().numpy(), targets[np.flatnonzero(held)].numpy()
        metrics = {"accuracy": accuracy_score(true, p.argmax(1)), "log_loss": log_loss(true, p / p.sum(1, keepdims=True), labels=list(range(n_out)))}
    print(json.dumps({"peer": "fastai", "run": str(run), "arm": arm, "epochs": epochs, "freeze_epochs": frozen, "n_valid": int(held.sum()), "metrics": metrics, "seconds": round(time.time() - started, 1)}))


if __name__ == "__main__":
    main()
