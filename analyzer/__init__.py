"""Weights to eigenvalues to power-law exponents: the spectra of a model, layer by layer.

api: the calls that most users need (also as tailora.outline and tailora.analyze)
source, weightfile, local, checkpoint, header, architecture, strict_json: files, and what they say
hub/: the same from the Hugging Face Hub, strictly and without keeping anything
naming, fused, packing/, scan, outline, selection, experts: what is a matrix of which layer
adapter, difference, series: LoRA updates, changes from a base, several checkpoints
units, requests, buffer, stream, pipeline: reading ahead of the solver within a bound
decode, dequantize, eigenvalues, solver: weights and their eigenvalues; all that imports torch
spectrum, tails, aspect, measures, estimate: estimators of alpha, shape correction, costs
sampling, resample, distributions: windows and halves, how far alpha scatters, other laws
analyze, options, run, progress, measuring, report, store: the loop, its result, what is kept
errors, text, version: the exception tree, names in messages, the installed version
"""
