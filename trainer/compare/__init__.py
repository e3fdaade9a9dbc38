"""The same data under several plans, over several seeds.

document: what is compared: arms and seeds, as a document
arms: arms made from one plan and a recipe
intervals: means, paired differences and corrected p-values over seeds
results: the document of what came out
summary, verdict: from runs to it, and what it allows to say
table: the table for people
run: the runs one after the other, in a folder that goes on where it was cut off
"""
