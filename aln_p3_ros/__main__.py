"""`python -m aln_p3_ros`."""

from aln_p3_ros.cli import main

main()
