"""Trained networks at work: images in, poses out."""
