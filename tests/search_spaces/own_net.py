"""A user's own space: a small convolutional network that draws its choices while it builds itself."""

from torch import nn


def net(choose, channels, classes):
    width = choose("width", [8, 16, 32])
    layers = []
    for i in range(choose("depth", [1, 2, 3])):
        kernel = choose(f"kernel{i}", [3, 5])  # asked for only as often as the network is deep
        layers += [nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    pool = nn.AdaptiveAvgPool2d(1) if choose("pool", ["avg", "max"]) == "avg" else nn.AdaptiveMaxPool2d(1)
    head = [nn.Flatten(), nn.Linear(width, classes)]
    if choose("hidden_layer", [False, True]):
        hidden = choose("hidden", [16, 32])
        head = [nn.Flatten(), nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, classes)]
    return nn.Sequential(*layers, pool, *head)
