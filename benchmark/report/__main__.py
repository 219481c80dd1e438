"""`python -m benchmark.report`: rebuild the report, or check that it is up to date."""

from benchmark.report.build import main

if __name__ == "__main__":
    main()
