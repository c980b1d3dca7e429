"""DLMS/COSEM."""
