"""Checks that a likelihood ratio of two models is a test.

`nested` for models with rows, `nested_rowless` for those without.
"""
