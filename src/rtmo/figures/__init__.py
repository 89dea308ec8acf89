"""Figures of the paper from a trained network: ``python -m rtmo.figures COMMAND``.

One file a figure: what is measured, how it is drawn, and the command. Measuring and drawing know no config; notebooks
call them.
"""
