"""The user's data: from files to samples with labels, and a report before training starts.

read, arrow: files and saved datasets as rows, each with the number that a user looks for
columns, examples: which form the columns have, and what a row says in it
encode, chat: what a row says as token ids, and where the loss lies
questions, prompts: what is scored by likelihood, and what answers are generated to
split: a share held out for evaluation
look: whether a file can be read, and its columns, before anybody trains on it
report: what was used, what was not, and why
source: a file as samples, with its report
prepare, whole: all of it, for training; with every row held out
collate: samples side by side (torch)
"""
