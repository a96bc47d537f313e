"""Pure compute kernels: numbers in, frozen dataclasses of arrays out; no notebook code."""
