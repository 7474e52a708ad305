"""Metric-learning losses and miners, written out loop by loop from their papers, in Python floats.

Vectors have length 1. Where a mean is over what is not zero, that is pytorch-metric-learning's choice.
"""

from __future__ import annotations

import math


def dot(a, b):
    """Return the inner product of two sequences."""
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def squared_distance(a, b):
    """Return the squared Euclidean distance."""
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def unit(a):
    """Return the vector at length 1."""
    length = math.sqrt(dot(a, a))
    return [float(x) / length for x in a]


def mean_of_positive(values):
    """Return the mean of those above zero, 0 where there is none."""
    kept = [value for value in values if value > 0]
    return sum(kept) / len(kept) if kept else 0.0


def positive_pairs(classes):
    """Return (anchor, positive) of every ordered pair of one class."""
    n = len(classes)
    return [(i, j) for i in range(n) for j in range(n) if i != j and classes[i] == classes[j]]


def negative_pairs(classes):
    """Return (anchor, negative) of every ordered pair of two classes."""
    n = len(classes)
    return [(i, j) for i in range(n) for j in range(n) if classes[i] != classes[j]]


def triplets(classes):
    """Return every (anchor, positive, negative)."""
    negatives = negative_pairs(classes)
    return [(a, p, n) for a, p in positive_pairs(classes) for b, n in negatives if a == b]


def contrastive(vectors, classes, margin, positive_margin):
    """Hadsell et al. 2006, with cosines: positives up to one margin, negatives down to the other."""
    up = [positive_margin - dot(vectors[i], vectors[j]) for i, j in positive_pairs(classes)]
    down = [dot(vectors[i], vectors[j]) - margin for i, j in negative_pairs(classes)]
    return mean_of_positive(up) + mean_of_positive(down)


def triplet(vectors, classes, margin):
    """Schroff et al. 2015, equation 2: [|a - p|^2 - |a - n|^2 + margin]+."""
    return mean_of_positive(triplet_violations(vectors, triplets(classes), margin))


def triplet_violations(vectors, chosen, margin):
    """Return |a - p|^2 - |a - n|^2 + margin of each triplet."""
    return [
        squared_distance(vectors[a], vectors[p]) - squared_distance(vectors[a], vectors[n]) + margin
        for a, p, n in chosen
    ]


def n_pair(vectors, classes, temperature):
    """Sohn 2016, equation 3: log(1 + sum over negatives of exp(a.n - a.p)), for every positive pair."""
    losses = []
    for a, p in positive_pairs(classes):
        others = [n for b, n in negative_pairs(classes) if b == a]
        similar = dot(vectors[a], vectors[p])
        gaps = [(dot(vectors[a], vectors[n]) - similar) / temperature for n in others]
        losses.append(math.log1p(sum(math.exp(gap) for gap in gaps)))
    return sum(losses) / len(losses)


def arcface(vectors, classes, centres, margin, scale):
    """Deng et al. 2019, equation 3: cross-entropy with the margin added to the angle of the own class."""
    total = 0.0
    for vector, own in zip(vectors, classes, strict=True):
        angles = [math.acos(max(-1.0, min(1.0, dot(unit(vector), unit(c))))) for c in centres]
        logits = [scale * math.cos(angle + margin * (k == own)) for k, angle in enumerate(angles)]
        total += cross_entropy_of(logits, own)
    return total / len(classes)


def cross_entropy_of(logits, own, smoothing=0.0):
    """Return -sum of target times log of softmax; the target is smoothed over all classes (Szegedy 2016)."""
    top = max(logits)
    log_sum = top + math.log(sum(math.exp(x - top) for x in logits))
    share = smoothing / len(logits)
    return sum((log_sum - x) * (share + (1 - smoothing) * (k == own)) for k, x in enumerate(logits))


def normalised_cross_entropy(vectors, classes, centres, temperature):
    """Zhai and Wu 2019: softmax over cosines with class weights."""
    losses = [
        cross_entropy_of([dot(vector, unit(c)) / temperature for c in centres], own)
        for vector, own in zip(vectors, classes, strict=True)
    ]
    return sum(losses) / len(losses)


def classification(features, classes, weights, biases, *, temperature, smoothing):
    """Jun et al. 2019, equation 3: a linear classifier with temperature and label smoothing."""
    losses = []
    for feature, own in zip(features, classes, strict=True):
        logits = [
            (dot(feature, w) + float(b)) / temperature for w, b in zip(weights, biases, strict=True)
        ]
        losses.append(cross_entropy_of(logits, own, smoothing))
    return sum(losses) / len(losses)


def proxy_anchor(vectors, classes, proxies, margin, scale):
    """Kim et al. 2020, equation 4: proxies as anchors, all vectors of the batch as their partners."""
    pulled, pushed, n_with = 0.0, 0.0, 0
    for k, proxy in enumerate(proxies):
        cosines = [dot(unit(proxy), vector) for vector in vectors]
        near = [c for c, own in zip(cosines, classes, strict=True) if own == k]
        far = [c for c, own in zip(cosines, classes, strict=True) if own != k]
        if near:
            n_with += 1
            pulled += math.log1p(sum(math.exp(-scale * (c - margin)) for c in near))
        pushed += math.log1p(sum(math.exp(scale * (c + margin)) for c in far))
    return pulled / n_with + pushed / len(proxies)


def multi_similarity(vectors, classes, alpha, beta, base):
    """Wang et al. 2019, equation 15, over all pairs."""
    total = 0.0
    for i in range(len(classes)):
        near = [dot(vectors[i], vectors[j]) for a, j in positive_pairs(classes) if a == i]
        far = [dot(vectors[i], vectors[j]) for a, j in negative_pairs(classes) if a == i]
        total += math.log1p(sum(math.exp(-alpha * (s - base)) for s in near)) / alpha
        total += math.log1p(sum(math.exp(beta * (s - base)) for s in far)) / beta
    return total / len(classes)


def semi_hard(vectors, classes, margin):
    """Schroff et al. 2015, equation 4: negatives farther than the positive, but within the margin."""
    return [
        one
        for one, violation in zip(
            triplets(classes),
            triplet_violations(vectors, triplets(classes), margin),
            strict=True,
        )
        if 0 <= violation < margin
    ]


def hard(vectors, classes):
    """Hermans et al. 2017: of every anchor the farthest positive and the nearest negative."""
    chosen = []
    for anchor in range(len(classes)):
        near = [p for a, p in positive_pairs(classes) if a == anchor]
        far = [n for a, n in negative_pairs(classes) if a == anchor]
        farthest = max(near, key=lambda p: squared_distance(vectors[anchor], vectors[p]))
        nearest = min(far, key=lambda n: squared_distance(vectors[anchor], vectors[n]))
        chosen.append((anchor, farthest, nearest))
    return chosen
