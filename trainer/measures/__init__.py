"""How good a model is, measured on held-out samples.

record: what was measured
passes: log-probabilities of tokens and of classes; padding counts for nothing, and everything of
        the model is put back
likelihood: the right one of several answers, by its probability
classes: accuracy, macro-F1 and loss, from probabilities of classes
exact: answers as they are generated
"""
