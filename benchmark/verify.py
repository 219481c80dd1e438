"""`python -m benchmark.verify`: recompute every table from the stored predictions; name what does not fit."""

from benchmark.report.verification import main

if __name__ == "__main__":
    main()
