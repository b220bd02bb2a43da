"""Engines that build a dataset: embedded, Beam, Dataflow."""
