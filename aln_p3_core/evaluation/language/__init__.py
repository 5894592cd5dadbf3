"""Evaluation of texts: caption scores, the benchmarks' own protocols, and the language chapter of the report."""
