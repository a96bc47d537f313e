"""A kernel's result as a Bokeh model: no notebook, no torch."""
