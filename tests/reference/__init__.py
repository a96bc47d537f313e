"""Slow twins: the same quantities as the kernels, written from their definitions."""
