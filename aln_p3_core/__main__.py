"""`python -m aln_p3_core`."""

from aln_p3_core.cli import main

main()
