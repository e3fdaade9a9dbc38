"""The sections of an explanation: what a plan says, each a function from a Reading to sentences.

reading: the plan as every section needs it
what, reasons, certainty, evidence, unusual, advice: the sections, in their order
scattered, untrained: how counts scatter under draws; what alphas would be without training
commands: command lines that make a plan like this one
"""
