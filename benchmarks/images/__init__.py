"""DropBlock, DropPath and ShakeDrop in a small residual network on a JPEG copy of CIFAR-10, and what they cost.

``python -m benchmarks.images --data DATA`` trains, ``python -m benchmarks.images.speed`` measures times.
"""
