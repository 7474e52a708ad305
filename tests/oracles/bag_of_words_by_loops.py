"""Bag of words and VLAD written from their papers, one descriptor, one word and one number at a time."""

from __future__ import annotations

import math

import numpy as np


def root_sift(descriptor):
    """Arandjelovic and Zisserman 2012: scale to sum 1, then take square roots."""
    total = sum(float(value) for value in descriptor)
    return [math.sqrt(float(value) / total) for value in descriptor]


def plain_sift(descriptor):
    """Lowe 2004: length 1."""
    length = math.sqrt(sum(float(value) ** 2 for value in descriptor))
    return [float(value) / length for value in descriptor]


def component_of(descriptor, mean, directions):
    """Coordinates of a descriptor along directions, counted from the mean."""
    return [
        sum((descriptor[i] - float(mean[i])) * float(axis[i]) for i in range(len(descriptor)))
        for axis in directions.T
    ]


def squared_distance(a, b):
    """Sum of squared differences in float64."""
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def nearest_words(descriptor, centroids, n):
    """The n nearest centroids, of equally near ones the first."""
    distances = [(squared_distance(descriptor, c), word) for word, c in enumerate(centroids)]
    return [word for _, word in sorted(distances)[:n]]


def soft_words(descriptor, centroids, n, sigma):
    """Philbin et al. 2008: ``(word, weight)`` of the nearest, by a Gaussian; weights add up to 1."""
    words = nearest_words(descriptor, centroids, n)
    weights = [
        math.exp(-squared_distance(descriptor, centroids[word]) / (2 * sigma**2)) for word in words
    ]
    return [(word, weight / sum(weights)) for word, weight in zip(words, weights, strict=True)]


def bag_of_words(descriptors, centroids, n, sigma):
    """Sivic and Zisserman 2003: how often each word is there, as one number for each word."""
    counts = [[0.0] for _ in centroids]
    for descriptor in descriptors:
        for word, weight in soft_words(descriptor, centroids, n, sigma):
            counts[word][0] += weight
    return counts


def vlad(descriptors, centroids, n, sigma):
    """Jegou et al. 2010: for each word the sum of its descriptors' differences from it."""
    sums = [[0.0] * len(centroids[0]) for _ in centroids]
    for descriptor in descriptors:
        for word, weight in soft_words(descriptor, centroids, n, sigma):
            for axis in range(len(descriptor)):
                sums[word][axis] += weight * (descriptor[axis] - float(centroids[word][axis]))
    return sums


def normalised(parts, power, *, normalise_words, idf):
    """Signed power (Jegou 2009, 2012), length of each word's part (Arandjelovic 2013), idf, length."""
    numbers = []
    for word, part in enumerate(parts):
        raised = [math.copysign(abs(value) ** power, value) for value in part]
        length = math.sqrt(sum(value**2 for value in raised))
        if normalise_words and length > 0:
            raised = [value / length for value in raised]
        numbers += [value * (1.0 if idf is None else float(idf[word])) for value in raised]
    length = math.sqrt(sum(value**2 for value in numbers))
    return np.array(numbers) / length


def inverse_document_frequency(words_of_images, n_words):
    """Sivic and Zisserman 2003: the log of the number of images over those that have the word."""
    n = len(words_of_images)
    return [math.log(n / max(1, count)) for count in _having(words_of_images, n_words)]


def smooth_inverse_document_frequency(words_of_images, n_words):
    """The same as if one more image had every word, plus 1."""
    n = len(words_of_images)
    return [1 + math.log((1 + n) / (1 + count)) for count in _having(words_of_images, n_words)]


def _having(words_of_images, n_words):
    return [sum(word in words for words in words_of_images) for word in range(n_words)]
