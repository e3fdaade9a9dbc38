"""Quantised weights: which stored tensors make up which weight, from headers and small tensors.

checkpoint.py: the tensors and the config, as the formats below look at them
scaled.py: floats of 8 bits and integers of 8 bits with scales (FP8, compressed-tensors)
bitsandbytes.py: LLM.int8(), NF4 and FP4
gptq.py, compressed.py: integers packed into words of 32 bits (GPTQ and AWQ; compressed-tensors)
nibbles.py: floats of 4 bits with a scale a group (MXFP4, NVFP4)
unknown.py: names for what none of these reads
find.py: tries them on every tensor

`analyzer.dequantize` turns what is found here into float32.
"""
