"""Weights of networks: files, names, the published ones, and what goes from one network into another."""
