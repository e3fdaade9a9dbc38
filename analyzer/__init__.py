"""Weights to eigenvalues to power-law exponents: the spectra of a model, layer by layer.

api           the calls that most users need (also as tailora.outline and tailora.analyze)
source, local, header, architecture    where weights come from, and what files say of them
naming, fused, scan, outline, selection    which tensors are matrices of which layer
eigenvalues, spectrum    exact eigenvalues of one matrix (the only module that imports torch)
tails, aspect, measures    estimators of alpha, shape correction, scalar measures
analyze, report, store    the loop, its result, and what is kept
errors        the exception tree
"""
