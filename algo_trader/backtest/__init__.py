"""Strategies over history, on the same engine, book, work and venue as everything else."""
