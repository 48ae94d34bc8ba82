"""Bytes to records: what a DICOM object says about dose, each value with its provenance."""
