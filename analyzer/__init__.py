"""Weights to eigenvalues to power-law exponents: the spectra of a model, layer by layer.

api: the calls that most users need (also as tailora.outline and tailora.analyze)
source, local, header, architecture: where weights come from, and what files say of them
naming, fused, packing, scan, outline, selection: which tensors are matrices of which layer
dequantize: quantised weights in float32
solver, eigenvalues: read, and solve exactly; the only modules that import torch
spectrum, tails, aspect, measures: estimators of alpha, shape correction, scalar measures
analyze, report, store: the loop, its result, and what is kept
errors, version: the exception tree, the installed version
"""
